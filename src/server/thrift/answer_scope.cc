#include "src/server/thrift/answer_scope.h"

#include <sys/socket.h>

#include "src/base/check.h"

namespace cairn::server {
namespace {

thread_local AnswerScope* current = nullptr;

}  // namespace

AnswerScope::AnswerScope(AnswerTable* table, int fd, Duration stall, const Clock* clock)
    : table_(table), fd_(fd), stall_(stall), clock_(clock) {
  CAIRN_CHECK(current == nullptr);
  current = this;
}

AnswerScope::~AnswerScope() {
  Release();
  current = nullptr;
}

Status AnswerScope::Hold(std::size_t bytes) {
  AnswerScope* const scope = current;
  if (scope == nullptr || bytes < AnswerTable::kSmall) return Status::Ok();
  const MonotonicTime now = scope->clock_->Now();
  Status status = scope->table_->Add(scope, bytes * scope->copies_, now);
  if (status.ok()) {
    scope->held_ = true;
  } else {
    // For whoever asks next: those that are cut give their room back as soon as they notice.
    scope->table_->EndStalled(now + -scope->stall_);
  }
  return status;
}

void AnswerScope::Release() {
  if (current == nullptr || !current->held_) return;
  current->held_ = false;
  current->table_->Remove(current);
}

void AnswerScope::SetFramed(bool framed) {
  if (current != nullptr) current->copies_ = framed ? 2 : 1;
}

void AnswerScope::Cut() { shutdown(fd_, SHUT_RDWR); }

}  // namespace cairn::server
