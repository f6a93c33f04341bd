#include "src/base/testing/spawn.h"

#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace cairn {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

pid_t SpawnThisProgram(const std::vector<std::string>& arguments,
                       const std::vector<std::pair<std::string, std::string>>& variables,
                       int kept_fd) {
  std::vector<std::string> words = arguments;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::strcspn(*entry, "="));
    const auto same = [&](const auto& variable) { return variable.first == name; };
    if (std::none_of(variables.begin(), variables.end(), same)) environment.emplace_back(*entry);
  }
  posix_spawn_file_actions_t actions;
  errno = ::posix_spawn_file_actions_init(&actions);
  if (errno != 0) return -1;
  // Of a descriptor on itself: the new process's is not close-on-exec.
  int error = kept_fd < 0 ? 0 : ::posix_spawn_file_actions_adddup2(&actions, kept_fd, kept_fd);
  pid_t pid = -1;
  if (error == 0) {
    error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, Pointers(words).data(),
                          Pointers(environment).data());
  }
  ::posix_spawn_file_actions_destroy(&actions);
  errno = error;
  return error == 0 ? pid : -1;
}

}  // namespace cairn
