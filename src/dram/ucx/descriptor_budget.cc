#include "src/dram/ucx/descriptor_budget.h"

#include <dirent.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace cairn::dram::ucx {

std::optional<std::size_t> FreeDescriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return std::nullopt;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) {
    if (errno == EMFILE || errno == ENFILE) return 0;
    return std::nullopt;
  }
  std::size_t open = 0;
  while (const dirent* const entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    // One above a limit that was lowered since takes nobody's place.
    if (std::strtoull(entry->d_name, nullptr, 10) < files.rlim_cur) ++open;
  }
  ::closedir(folder);
  // The folder's own is closed again.
  --open;
  return files.rlim_cur > open ? static_cast<std::size_t>(files.rlim_cur) - open : 0;
}

bool DescriptorBudget::Take(std::size_t in_making, MonotonicTime now) {
  if (left_ == 0 || now >= counted_until_) {
    const std::size_t wanted = kKept + kEach * in_making;
    const std::size_t free = free_().value_or(wanted + kEach * kConnectionsEachCount);
    left_ = free > wanted ? std::min((free - wanted) / kEach, kConnectionsEachCount) : 0;
    counted_until_ = now + kCountFor;
  }
  if (left_ == 0) return false;
  --left_;
  return true;
}

}  // namespace cairn::dram::ucx
