// The types of values on Thrift's wires, made safe for what somebody else wrote: Thrift 0.17 casts
// any byte to its enum, and takes 0 for the least size of a struct, so that a short message can
// ask for any number of them. Shared by the readers of requests (src/server/thrift) and of answers
// (src/client/thrift_wire).
//
// Thread safety: no state.
#ifndef CAIRN_SRC_THRIFT_TYPES_VALUE_TYPES_H_
#define CAIRN_SRC_THRIFT_TYPES_VALUE_TYPES_H_

#include <thrift/protocol/TEnum.h>

#include <cstddef>
#include <cstdint>

namespace cairn::thrift_types {

// The fewest bytes that a value of `type` takes in the binary protocol; 0 for what is no type of a
// value.
std::size_t LeastBinaryBytes(int type);

// `type` as Thrift's enum. Throws TProtocolException (INVALID_DATA) if it is no type of a value.
apache::thrift::protocol::TType CheckedType(int type);

// The same for the elements of a container of `size` elements: an empty one may say T_STOP.
apache::thrift::protocol::TType CheckedElementType(int type, std::uint32_t size);

}  // namespace cairn::thrift_types

#endif  // CAIRN_SRC_THRIFT_TYPES_VALUE_TYPES_H_
