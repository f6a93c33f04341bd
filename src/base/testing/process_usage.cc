#include "src/base/testing/process_usage.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace cairn {
namespace {

std::string FolderOf(pid_t pid) { return "/proc/" + (pid == 0 ? "self" : std::to_string(pid)); }

std::size_t EntriesOf(const std::string& folder) {
  std::error_code error;
  std::size_t count = 0;
  std::filesystem::directory_iterator it(folder, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) ++count;
  return count;
}

// The first or the second number of statm, in bytes.
std::uint64_t MemoryOf(pid_t pid, std::size_t which) {
  std::ifstream file(FolderOf(pid) + "/statm");
  std::array<std::uint64_t, 2> pages{};
  file >> pages[0] >> pages[1];
  return pages.at(which) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::size_t OpenDescriptors(pid_t pid) {
  const std::size_t count = EntriesOf(FolderOf(pid) + "/fd");
  // This process's own has that of the listing itself.
  return count > 0 && pid == 0 ? count - 1 : count;
}

std::size_t ThreadCount(pid_t pid) { return EntriesOf(FolderOf(pid) + "/task"); }

std::uint64_t ResidentBytes(pid_t pid) { return MemoryOf(pid, 1); }

std::uint64_t MappedBytes(pid_t pid) { return MemoryOf(pid, 0); }

}  // namespace cairn
