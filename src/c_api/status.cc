#include <cstdlib>

#include "cairn/c.h"
#include "src/c_api/objects.h"

using cairn::StatusCode;
using cairn::c_api::Need;

extern "C" {

cairn_status* cairn_status_new(int32_t code, const char* message) {
  // A bug in the caller.
  if (code <= CAIRN_OK || code > CAIRN_OUT_OF_RANGE || message == nullptr) std::abort();
  return new cairn_status{{static_cast<StatusCode>(code), message}};
}
int32_t cairn_status_code(const cairn_status* status) {
  return status == nullptr ? CAIRN_OK : static_cast<int32_t>(status->status.code());
}
const char* cairn_status_code_name(int32_t code) {
  const bool known = code >= CAIRN_OK && code <= CAIRN_OUT_OF_RANGE;
  // The names are literals, which end with a zero.
  return known ? cairn::StatusCodeName(static_cast<StatusCode>(code)).data() : "UNKNOWN";
}
const char* cairn_status_message(const cairn_status* status) {
  return status == nullptr ? "" : status->status.message().c_str();
}
int cairn_status_maybe_applied(const cairn_status* status) {
  return status != nullptr && status->status.maybe_applied() ? 1 : 0;
}
const char* cairn_status_leader_hint(const cairn_status* status) {
  const bool hint = status != nullptr && status->status.code() == StatusCode::kNotLeader;
  return hint ? status->status.leader_hint().c_str() : "";
}
void cairn_status_free(cairn_status* status) { delete status; }

void cairn_operation_cancel(cairn_operation* operation) { Need(operation).cancel(); }
void cairn_operation_free(cairn_operation* operation) { delete operation; }

}  // extern "C"
