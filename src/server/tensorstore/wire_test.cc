#include "src/server/tensorstore/wire.h"

#include <gtest/gtest.h>

#include <map>

#include "src/base/clock.h"

namespace cairn::server {
namespace {

using dram::Generation;

TEST(WireTest, GenerationsComeBack) {
  SeededRandom random(1);
  std::map<std::string, Generation> seen;
  for (const Generation& g : {Generation::Unknown(), Generation::NoValue(), Generation{1, 0},
                              Generation{UINT64_MAX, UINT64_MAX}}) {
    EXPECT_EQ(FromWire(ToWire(g)), g);
  }
  for (int i = 0; i < 1000; ++i) {
    const Generation g{random.Next() | 1, random.Next()};
    EXPECT_EQ(FromWire(ToWire(g)), g);
    EXPECT_TRUE(seen.emplace(ToWire(g), g).second);
  }
}

TEST(WireTest, AsTensorStoreMarksThem) {
  EXPECT_EQ(ToWire(Generation::Unknown()), "");
  EXPECT_EQ(ToWire(Generation::NoValue()), "\x05");
  EXPECT_EQ(ToWire({0x0102, 3}), std::string("\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01", 17));
}

TEST(WireTest, WhatIsNotOursFitsNoValue) {
  SeededRandom random(2);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes(1 + random.Below(40), '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    if (bytes == "\x05") continue;
    const Generation g = FromWire(bytes);
    EXPECT_FALSE(g.IsUnknown() || g.IsNoValue());
    // Ours, or of no server.
    if (g.boot_id != 0) {
      EXPECT_EQ(ToWire(g), bytes);
    }
  }
  EXPECT_EQ(FromWire(std::string(16, '\0') + "\x01").boot_id, 0U);
  EXPECT_FALSE(FromWire(std::string(16, '\0') + "\x01").IsUnknown());
}

}  // namespace
}  // namespace cairn::server
