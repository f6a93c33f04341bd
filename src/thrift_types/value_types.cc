#include "src/thrift_types/value_types.h"

#include <thrift/Thrift.h>
#include <thrift/protocol/TProtocolException.h>

#include <string>

namespace cairn::thrift_types {

namespace tp = apache::thrift::protocol;

std::size_t LeastBinaryBytes(int type) {
  switch (type) {
    case tp::T_BOOL:
    case tp::T_BYTE:
    case tp::T_STRUCT:  // the end of an empty one
      return 1;
    case tp::T_I16:
      return 2;
    case tp::T_I32:
    case tp::T_STRING:
      return 4;
    case tp::T_SET:
    case tp::T_LIST:
      return 5;
    case tp::T_MAP:
      return 6;
    case tp::T_I64:
    case tp::T_DOUBLE:
      return 8;
    default:
      return 0;
  }
}

tp::TType CheckedType(int type) {
  if (LeastBinaryBytes(type) == 0) {
    throw tp::TProtocolException(tp::TProtocolException::INVALID_DATA,
                                 "there is no type " + std::to_string(type));
  }
  return static_cast<tp::TType>(type);
}

tp::TType CheckedElementType(int type, std::uint32_t size) {
  return size == 0 && type == tp::T_STOP ? tp::T_STOP : CheckedType(type);
}

}  // namespace cairn::thrift_types
