// Failed checks as exceptions, for tests and the simulator: a broken invariant then ends one
// simulated world and not the process.
#ifndef CAIRN_SRC_BASE_TESTING_CHECK_FAILURE_H_
#define CAIRN_SRC_BASE_TESTING_CHECK_FAILURE_H_

#include <stdexcept>
#include <string>

#include "src/base/check.h"

namespace cairn {

class CheckFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// While it lives, a failed CAIRN_CHECK of this thread throws CheckFailure.
class ChecksThrow {
 public:
  ChecksThrow() : before_(check_internal::on_failure) {
    check_internal::on_failure = [](const std::string& what) { throw CheckFailure(what); };
  }
  ~ChecksThrow() { check_internal::on_failure = before_; }
  ChecksThrow(const ChecksThrow&) = delete;
  ChecksThrow& operator=(const ChecksThrow&) = delete;

 private:
  void (*const before_)(const std::string&);
};

}  // namespace cairn

#endif  // CAIRN_SRC_BASE_TESTING_CHECK_FAILURE_H_
