// What the operating system says of this process, from /proc, and of the disk under a folder.
//
// Thread safety: all functions from any thread.
#ifndef CAIRN_SRC_SERVER_HTTP_PROCESS_FIGURES_H_
#define CAIRN_SRC_SERVER_HTTP_PROCESS_FIGURES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/metrics/exposition.h"

namespace cairn::server {

// One line of /proc/<pid>/stat or /proc/<pid>/task/<tid>/stat.
struct ProcStat {
  std::string name;
  char state = '?';  // R running, S sleeping, D waiting for the disk, ...
  double cpu_seconds = 0;
  std::uint64_t threads = 0;
  double started_seconds = 0;  // after the boot of the machine
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
};

// Nothing if `line` is not of that form. The name may hold spaces and parentheses.
std::optional<ProcStat> ParseProcStat(std::string_view line);

// Of this process. A figure that can't be read stays empty.
struct ProcessFigures {
  std::optional<ProcStat> stat;
  std::optional<double> start_time_seconds;  // since the Unix epoch
  std::optional<std::uint64_t> open_files;
  std::optional<std::uint64_t> max_files;
};
ProcessFigures ReadProcessFigures();

struct ThreadFigures {
  std::int64_t id = 0;
  ProcStat stat;
};
// The threads of this process, by id. One that ends meanwhile is left out.
std::vector<ThreadFigures> ReadThreads();

struct DiskFigures {
  std::uint64_t size_bytes = 0;
  std::uint64_t available_bytes = 0;  // to a process without privileges
};
// Of the file system that holds `folder`; nothing if it can't be asked.
std::optional<DiskFigures> ReadDisk(const std::string& folder);

// The families of any process: processor, memory, files, threads, and what was built.
void AppendProcessFamilies(std::string_view software_version, metrics::Exposition* page);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_HTTP_PROCESS_FIGURES_H_
