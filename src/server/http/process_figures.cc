#include "src/server/http/process_figures.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace cairn::server {
namespace {

constexpr char kFdFolder[] = "/proc/self/fd";

// Files of /proc say their length only when they are read.
std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Numbers of a line, separated by spaces.
class Numbers {
 public:
  explicit Numbers(std::string_view text) : text_(text) {}

  void Skip(int count) {
    for (int i = 0; i < count; ++i) Word();
  }
  std::uint64_t Next() {
    const std::string_view word = Word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || word.empty()) failed_ = true;
    return value;
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::string_view Word() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \n"), text_.size()));
    const std::string_view word = text_.substr(0, text_.find_first_of(" \n"));
    text_.remove_prefix(word.size());
    return word;
  }

  std::string_view text_;
  bool failed_ = false;
};

double TicksToSeconds(std::uint64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::optional<double> BootTime() {
  const std::string stat = ReadAll("/proc/stat");
  constexpr std::string_view kKey = "\nbtime ";
  const std::size_t at = stat.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  Numbers numbers(std::string_view(stat).substr(at + kKey.size()));
  const std::uint64_t seconds = numbers.Next();
  if (numbers.failed()) return std::nullopt;
  return static_cast<double>(seconds);
}

std::optional<std::uint64_t> CountOpenFiles() {
  // Newer kernels say it at once; with thousands of connections that saves milliseconds.
  struct stat status {};
  if (stat(kFdFolder, &status) != 0) return std::nullopt;
  if (status.st_size > 0) return static_cast<std::uint64_t>(status.st_size);
  std::error_code error;
  const std::filesystem::directory_iterator files(kFdFolder, error);
  if (error) return std::nullopt;
  // One of them is the folder, open for counting.
  const auto count = std::distance(begin(files), end(files));
  return static_cast<std::uint64_t>(count > 0 ? count - 1 : 0);
}

}  // namespace

std::optional<ProcStat> ParseProcStat(std::string_view line) {
  // "<id> (<name>) <state> ...": proc(5). The last parenthesis ends the name.
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open ||
      close + 2 >= line.size()) {
    return std::nullopt;
  }
  ProcStat stat;
  stat.name = line.substr(open + 1, close - open - 1);
  stat.state = line[close + 2];
  Numbers fields(line.substr(close + 3));
  fields.Skip(10);  // 4 ppid to 13 cmajflt
  const std::uint64_t user = fields.Next();
  const std::uint64_t system = fields.Next();
  fields.Skip(4);  // 16 cutime to 19 nice
  stat.threads = fields.Next();
  fields.Skip(1);  // 21 itrealvalue
  stat.started_seconds = TicksToSeconds(fields.Next());
  stat.virtual_bytes = fields.Next();
  stat.resident_bytes = fields.Next() * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  if (fields.failed()) return std::nullopt;
  stat.cpu_seconds = TicksToSeconds(user + system);
  return stat;
}

ProcessFigures ReadProcessFigures() {
  ProcessFigures figures;
  figures.stat = ParseProcStat(ReadAll("/proc/self/stat"));
  if (const auto boot = BootTime(); boot.has_value() && figures.stat.has_value()) {
    figures.start_time_seconds = *boot + figures.stat->started_seconds;
  }
  figures.open_files = CountOpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_files = limit.rlim_cur;
  return figures;
}

std::vector<ThreadFigures> ReadThreads() {
  std::vector<ThreadFigures> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    ThreadFigures thread;
    thread.id = std::atoll(entry.path().filename().c_str());
    const auto stat = ParseProcStat(ReadAll(entry.path() / "stat"));
    if (!stat.has_value()) continue;
    thread.stat = *stat;
    threads.push_back(std::move(thread));
  }
  std::sort(threads.begin(), threads.end(),
            [](const ThreadFigures& a, const ThreadFigures& b) { return a.id < b.id; });
  return threads;
}

std::optional<DiskFigures> ReadDisk(const std::string& folder) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0) return std::nullopt;
  return DiskFigures{status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize};
}

void AppendProcessFamilies(std::string_view software_version, metrics::Exposition* page) {
  using metrics::Kind;
  page->Family("cairn_build_info", Kind::kGauge, "Always 1; the version stands in the label.");
  page->Sample({{"version", software_version}}, std::uint64_t{1});
  const ProcessFigures process = ReadProcessFigures();
  if (process.stat.has_value()) {
    page->Family("process_cpu_seconds_total", Kind::kCounter, "Processor time of the process.");
    page->Sample({}, process.stat->cpu_seconds);
    page->Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.",
                process.stat->resident_bytes);
    page->Gauge("process_virtual_memory_bytes", "Address space of the process.",
                process.stat->virtual_bytes);
    page->Gauge("process_threads", "Threads of the process.", process.stat->threads);
  }
  if (process.start_time_seconds.has_value()) {
    page->Gauge("process_start_time_seconds", "When the process started, since the Unix epoch.",
                *process.start_time_seconds);
  }
  if (process.open_files.has_value()) {
    page->Gauge("process_open_fds", "File descriptors in use.", *process.open_files);
  }
  if (process.max_files.has_value()) {
    page->Gauge("process_max_fds", "File descriptors that the process may use.",
                *process.max_files);
  }
}

}  // namespace cairn::server
