// Generations, times and errors of the memory plane as TensorStore's wire has them.
//
// Thread safety: pure functions.
#ifndef CAIRN_SRC_SERVER_TENSORSTORE_WIRE_H_
#define CAIRN_SRC_SERVER_TENSORSTORE_WIRE_H_

#include <string>
#include <string_view>

#include "cairn/remote_dram.h"

namespace cairn::server {

// Empty: unknown. One byte 5: no value. Else boot id and counter, little-endian, and a byte 1,
// which marks a generation of a value that is stored.
std::string ToWire(const dram::Generation& generation);
// What is none of the above becomes a generation that no value has.
dram::Generation FromWire(std::string_view bytes);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_TENSORSTORE_WIRE_H_
