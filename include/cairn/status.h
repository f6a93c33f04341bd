// Errors of Cairn: one Status, one Result<T>, one list of reasons, shared by every library, both
// wires and the public clients.
//
// This header uses the standard library alone and compiles as C++17.
//
// Thread safety: values; a const object may be read by many threads.
#ifndef CAIRN_STATUS_H_
#define CAIRN_STATUS_H_

#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace cairn {

// Why an operation failed. The numbers are part of the wire formats: never reuse or renumber one.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  // The node is not the leader; Status::leader_hint() holds the leader's endpoint when known.
  kNotLeader = 1,
  // A transaction read something that a later commit changed. Retry with a new read version.
  kConflict = 2,
  // The deadline passed. A write may or may not have been applied.
  kTimeout = 3,
  // The read version is older than the window of kept versions. Start again with a new one.
  kTransactionTooOld = 4,
  // This replica lags too far behind for the requested read level.
  kStale = 5,
  // The session is unknown or expired. The command was not applied under it.
  kSessionExpired = 6,
  // The node can't serve now (no leader, shutting down, peer gone). Nothing was applied unless
  // maybe_applied() says otherwise.
  kUnavailable = 7,
  // A bound was reached (disk full, too many proposals outstanding). Nothing was applied.
  kResourceExhausted = 8,
  // The request is wrong in itself: no retry will help.
  kInvalidArgument = 9,
  // A named thing (column family, file, key) does not exist.
  kNotFound = 10,
  kAlreadyExists = 11,
  // An operation type or shape that a transaction can't hold (old wire: INVALID_OPERATION).
  kInvalidOperation = 12,
  // Stored or received bytes are damaged. The message names file and offset, or the frame.
  kCorruption = 13,
  kCancelled = 14,
  // The file system or the network said no; the message holds its words.
  kIoError = 15,
  kFailedPrecondition = 16,
  kPermissionDenied = 17,
  kUnimplemented = 18,
  // The condition of a conditional operation did not hold.
  kConditionFailed = 19,
  // A fault that a test injected on purpose (see setFaultInjection).
  kInjectedFault = 20,
  // A sequence number of a session whose answer the client already declared received.
  kAlreadyAnswered = 21,
  // A byte range that does not lie within the value.
  kOutOfRange = 22,
};

// The wire name of a code: "CONFLICT" for kConflict, "OK" for kOk. Never fails; an unknown value
// is "UNKNOWN".
inline std::string_view StatusCodeName(StatusCode code) noexcept;

// The outcome of an operation: OK, or a code with a message that says what was wrong, with which
// value, and what to do. Cheap to move; an OK status allocates nothing.
class [[nodiscard]] Status {
 public:
  // OK.
  Status() noexcept = default;
  // A failure, if `code` is not kOk, and what people should read about it.
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  // The status of what did well.
  static Status Ok() noexcept { return {}; }

  // True if it did well.
  [[nodiscard]] bool ok() const noexcept { return code_ == StatusCode::kOk; }
  // The reason, for programs.
  [[nodiscard]] StatusCode code() const noexcept { return code_; }
  // What was wrong, for people; empty with OK.
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

  // With kNotLeader: "host:port" of the leader for clients of the same protocol, empty if unknown.
  [[nodiscard]] const std::string& leader_hint() const noexcept { return detail_; }
  Status WithLeaderHint(std::string endpoint) && {
    detail_ = std::move(endpoint);
    return std::move(*this);
  }

  // With kInjectedFault: the fault's name, given back verbatim as the old wire's error_code.
  [[nodiscard]] const std::string& fault_name() const noexcept { return detail_; }
  Status WithFaultName(std::string name) && {
    detail_ = std::move(name);
    return std::move(*this);
  }

  // True if a write that failed with this status may have been applied all the same (its fate was
  // unknown when the answer was given). A retry is safe only under a session.
  [[nodiscard]] bool maybe_applied() const noexcept { return maybe_applied_; }
  Status WithMaybeApplied() && {
    maybe_applied_ = true;
    return std::move(*this);
  }

  // "CONFLICT: key ... was changed at version 12".
  [[nodiscard]] std::string ToString() const;

  // Alike in code, message, detail and maybe_applied().
  friend bool operator==(const Status& a, const Status& b) noexcept {
    return a.code_ == b.code_ && a.message_ == b.message_ && a.detail_ == b.detail_ &&
           a.maybe_applied_ == b.maybe_applied_;
  }
  // Not alike.
  friend bool operator!=(const Status& a, const Status& b) noexcept { return !(a == b); }

 private:
  StatusCode code_ = StatusCode::kOk;
  bool maybe_applied_ = false;
  std::string message_;
  std::string detail_;
};

// A value, or the Status that says why there is none. Never holds an OK status without a value.
template <typename T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): returning a T is the point.
  Result(T value) : value_(std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): returning a Status is the point.
  Result(Status status) : status_(std::move(status)) {
    if (status_.ok()) std::abort();  // A bug in the caller: OK promises a value.
  }

  // True if there is a value.
  [[nodiscard]] bool ok() const noexcept { return value_.has_value(); }
  // Why there is no value; OK if there is one.
  [[nodiscard]] const Status& status() const& noexcept { return status_; }
  [[nodiscard]] Status&& status() && noexcept { return std::move(status_); }

  // The value. Aborts if there is none: check ok() first.
  [[nodiscard]] T& value() & {
    RequireValue();
    return *value_;
  }
  [[nodiscard]] const T& value() const& {
    RequireValue();
    return *value_;
  }
  [[nodiscard]] T&& value() && {
    RequireValue();
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void RequireValue() const {
    if (!value_.has_value()) std::abort();
  }

  Status status_;
  std::optional<T> value_;
};

inline std::string_view StatusCodeName(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kNotLeader:
      return "NOT_LEADER";
    case StatusCode::kConflict:
      return "CONFLICT";
    case StatusCode::kTimeout:
      return "TIMEOUT";
    case StatusCode::kTransactionTooOld:
      return "TRANSACTION_TOO_OLD";
    case StatusCode::kStale:
      return "STALE";
    case StatusCode::kSessionExpired:
      return "SESSION_EXPIRED";
    case StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case StatusCode::kNotFound:
      return "NOT_FOUND";
    case StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case StatusCode::kInvalidOperation:
      return "INVALID_OPERATION";
    case StatusCode::kCorruption:
      return "CORRUPTION";
    case StatusCode::kCancelled:
      return "CANCELLED";
    case StatusCode::kIoError:
      return "IO_ERROR";
    case StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case StatusCode::kConditionFailed:
      return "CONDITION_FAILED";
    case StatusCode::kInjectedFault:
      return "INJECTED_FAULT";
    case StatusCode::kAlreadyAnswered:
      return "ALREADY_ANSWERED";
    case StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
  }
  return "UNKNOWN";
}

inline std::string Status::ToString() const {
  std::string text(StatusCodeName(code_));
  if (!message_.empty()) {
    text += ": ";
    text += message_;
  }
  return text;
}

// Short constructors, one a code.
inline Status NotLeaderError(std::string m) { return {StatusCode::kNotLeader, std::move(m)}; }
inline Status ConflictError(std::string m) { return {StatusCode::kConflict, std::move(m)}; }
inline Status TimeoutError(std::string m) { return {StatusCode::kTimeout, std::move(m)}; }
inline Status TransactionTooOldError(std::string m) {
  return {StatusCode::kTransactionTooOld, std::move(m)};
}
inline Status StaleError(std::string m) { return {StatusCode::kStale, std::move(m)}; }
inline Status SessionExpiredError(std::string m) {
  return {StatusCode::kSessionExpired, std::move(m)};
}
inline Status UnavailableError(std::string m) { return {StatusCode::kUnavailable, std::move(m)}; }
inline Status ResourceExhaustedError(std::string m) {
  return {StatusCode::kResourceExhausted, std::move(m)};
}
inline Status InvalidArgumentError(std::string m) {
  return {StatusCode::kInvalidArgument, std::move(m)};
}
inline Status NotFoundError(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
inline Status AlreadyExistsError(std::string m) {
  return {StatusCode::kAlreadyExists, std::move(m)};
}
inline Status InvalidOperationError(std::string m) {
  return {StatusCode::kInvalidOperation, std::move(m)};
}
inline Status CorruptionError(std::string m) { return {StatusCode::kCorruption, std::move(m)}; }
inline Status CancelledError(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
inline Status IoError(std::string m) { return {StatusCode::kIoError, std::move(m)}; }
inline Status FailedPreconditionError(std::string m) {
  return {StatusCode::kFailedPrecondition, std::move(m)};
}
inline Status PermissionDeniedError(std::string m) {
  return {StatusCode::kPermissionDenied, std::move(m)};
}
inline Status UnimplementedError(std::string m) {
  return {StatusCode::kUnimplemented, std::move(m)};
}

// Leaves the enclosing function with the status of `expr` unless it is OK.
#define CAIRN_RETURN_IF_ERROR(expr)                \
  do {                                             \
    ::cairn::Status cairn_status_ = (expr);        \
    if (!cairn_status_.ok()) return cairn_status_; \
  } while (false)

// Parts of CAIRN_ASSIGN_OR_RETURN, not for use by themselves.
#define CAIRN_CONCAT_INNER_(a, b) a##b
#define CAIRN_CONCAT_(a, b) CAIRN_CONCAT_INNER_(a, b)
#define CAIRN_ASSIGN_OR_RETURN_(tmp, lhs, expr)  \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = std::move(tmp).value()

// `CAIRN_ASSIGN_OR_RETURN(auto x, F());` binds x, or leaves with F's status.
#define CAIRN_ASSIGN_OR_RETURN(lhs, expr) \
  CAIRN_ASSIGN_OR_RETURN_(CAIRN_CONCAT_(cairn_result_, __LINE__), lhs, expr)

}  // namespace cairn

#endif  // CAIRN_STATUS_H_
