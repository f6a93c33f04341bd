#include "src/thrift_types/value_types.h"

#include <gtest/gtest.h>
#include <thrift/Thrift.h>
#include <thrift/protocol/TProtocolException.h>

namespace cairn::thrift_types {
namespace {

namespace tp = apache::thrift::protocol;

TEST(ValueTypes, EveryByteIsAValueTypeOrRefused) {
  int types = 0;
  for (int type = -128; type <= 255; ++type) {
    if (LeastBinaryBytes(type) == 0) {
      EXPECT_THROW(CheckedType(type), tp::TProtocolException) << type;
      continue;
    }
    ++types;
    EXPECT_EQ(static_cast<int>(CheckedType(type)), type);
  }
  EXPECT_EQ(types, 11);
  EXPECT_EQ(LeastBinaryBytes(tp::T_STOP), 0u);
  EXPECT_EQ(LeastBinaryBytes(tp::T_VOID), 0u);
}

TEST(ValueTypes, OnlyAnEmptyContainerMaySayNoType) {
  EXPECT_EQ(CheckedElementType(tp::T_STOP, 0), tp::T_STOP);
  EXPECT_THROW(CheckedElementType(tp::T_STOP, 1), tp::TProtocolException);
  EXPECT_THROW(CheckedElementType(99, 0), tp::TProtocolException);
  EXPECT_EQ(CheckedElementType(tp::T_I64, 3), tp::T_I64);
}

}  // namespace
}  // namespace cairn::thrift_types
