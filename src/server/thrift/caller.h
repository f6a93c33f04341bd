// Who the calling thread serves: the address of the client of its connection, for logs. A thread a
// connection makes this a property of the thread; Thrift's handlers have no place to pass it.
//
// Thread safety: each thread has its own.
#ifndef CAIRN_SRC_SERVER_THRIFT_CALLER_H_
#define CAIRN_SRC_SERVER_THRIFT_CALLER_H_

#include <string>
#include <utility>

namespace cairn::server {

namespace internal {
inline thread_local const std::string* current_caller = nullptr;
}  // namespace internal

// Names the caller of this thread for a scope.
class CallerScope {
 public:
  explicit CallerScope(std::string caller) : caller_(std::move(caller)) {
    internal::current_caller = &caller_;
  }
  ~CallerScope() { internal::current_caller = nullptr; }
  CallerScope(const CallerScope&) = delete;
  CallerScope& operator=(const CallerScope&) = delete;

 private:
  const std::string caller_;
};

// "127.0.0.1:40312"; empty outside a CallerScope.
inline std::string CurrentCaller() {
  return internal::current_caller == nullptr ? std::string() : *internal::current_caller;
}

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_CALLER_H_
