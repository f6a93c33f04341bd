// Assertions that stay in release builds: a broken invariant ends the process before it can spread
// to disk or to other nodes. For operating errors (bad input, full disk) return a Status instead.
#ifndef CAIRN_SRC_BASE_CHECK_H_
#define CAIRN_SRC_BASE_CHECK_H_

#include <string>

namespace cairn {

// Logs "file:line: check failed: text" and aborts. Thread safe.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& detail);

namespace check_internal {
// What a failed check of this thread does instead; it must not return. Set by src/base/testing
// alone.
inline thread_local void (*on_failure)(const std::string& what) = nullptr;
}  // namespace check_internal

}  // namespace cairn

// CAIRN_CHECK(x > 0) or CAIRN_CHECK(x > 0, "x is " + std::to_string(x)): the text is only built on
// failure.
#define CAIRN_CHECK(condition, ...)                                                     \
  do {                                                                                  \
    if (__builtin_expect(!(condition), 0)) {                                            \
      ::cairn::CheckFailed(__FILE__, __LINE__, #condition, ::std::string(__VA_ARGS__)); \
    }                                                                                   \
  } while (false)

#endif  // CAIRN_SRC_BASE_CHECK_H_
