// What the C functions of the client and of the memory plane share: their statuses and operations.
// Each of the two shared libraries holds a copy of this library and exports its functions; the
// objects of one may be given to the functions of the other.
//
// Thread safety: values.
#ifndef CAIRN_SRC_C_API_OBJECTS_H_
#define CAIRN_SRC_C_API_OBJECTS_H_

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "cairn/c.h"
#include "cairn/status.h"

struct cairn_status {
  cairn::Status status;
};

struct cairn_operation {
  std::function<void()> cancel;
};

namespace cairn::c_api {

// As the functions give it: NULL if OK.
inline cairn_status* Give(const Status& status) {
  return status.ok() ? nullptr : new cairn_status{status};
}

// The object behind a pointer that must not be NULL. Aborts: a bug in the caller.
template <class T>
T& Need(T* object) {
  if (object == nullptr) std::abort();
  return *object;
}

inline std::string_view View(const void* bytes, std::size_t size) {
  return {static_cast<const char*>(bytes), size};
}

}  // namespace cairn::c_api

#endif  // CAIRN_SRC_C_API_OBJECTS_H_
