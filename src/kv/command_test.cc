#include "src/kv/command.h"

#include <gtest/gtest.h>

#include <string>

#include "src/base/clock.h"
#include "src/base/codec.h"

namespace cairn::kv {
namespace {

std::string AnyBytes(Random& random, std::size_t most) {
  std::string out(random.Below(most + 1), '\0');
  for (char& c : out) c = static_cast<char>(random.Next());
  return out;
}

KvOperation AnyWrite(Random& random) {
  const auto bytes = [&] { return AnyBytes(random, 12); };
  switch (random.Below(12)) {
    case 0:
      return Set{bytes(), bytes(), bytes()};
    case 1:
      return Delete{bytes(), bytes()};
    case 2: {
      AtomicCommit commit;
      commit.read_version = Version(random.Next());
      for (std::uint64_t i = random.Below(4); i > 0; --i) {
        commit.read_conflict_keys.push_back(
            {bytes(), random.OneIn(1, 2) ? std::optional(bytes()) : std::nullopt});
      }
      for (std::uint64_t i = random.Below(4); i > 0; --i) {
        commit.read_conflict_ranges.push_back({bytes(), bytes(), bytes()});
      }
      for (std::uint64_t i = random.Below(4); i > 0; --i) {
        commit.operations.push_back(
            {static_cast<MutationType>(1 + random.Below(4)), bytes(), bytes(), bytes()});
      }
      return commit;
    }
    case 3:
      return SetVersionstampedKey{bytes(), bytes(), bytes()};
    case 4:
      return SetVersionstampedValue{bytes(), bytes(), bytes()};
    case 5:
      return CreateColumnFamily{bytes()};
    case 6:
      return DropColumnFamily{bytes()};
    case 7:
      return OpenSession{};
    case 8:
      return CloseSession{SessionId(random.Next())};
    case 9:
      return ExpireSessions{static_cast<std::int64_t>(random.Next())};
    case 10:
      return AdvanceWatermark{Version(random.Next())};
    case 11:
      return EnableFeatures{random.Next()};
    default:
      return SkipVersions{Version(random.Next())};
  }
}

Command AnyCommand(Random& random) {
  Command command;
  command.group = GroupId(static_cast<std::uint32_t>(random.Next()));
  if (random.OneIn(1, 2)) {
    command.session = SessionId(random.Next() | 1);
    command.sequence = random.Next();
    command.first_outstanding = random.Next();
  }
  command.proposed_at = {static_cast<std::int64_t>(random.Next())};
  command.operation = AnyWrite(random);
  return command;
}

TEST(Command, WhatIsEncodedDecodes) {
  SeededRandom random(1);
  for (int i = 0; i < 20'000; ++i) {
    const Command command = AnyCommand(random);
    std::string bytes;
    EncodeCommand(command, &bytes);
    const Result<Command> decoded = DecodeCommand(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
    ASSERT_EQ(*decoded, command);
  }
}

// A byte more or less is no command, and the encoding of a command is unique: what decodes encodes
// to the same bytes.
TEST(Command, DamageIsFoundOrStaysCanonical) {
  SeededRandom random(2);
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes;
    EncodeCommand(AnyCommand(random), &bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeCommand(std::string_view(bytes).substr(0, size)).ok());
    }
    EXPECT_FALSE(DecodeCommand(bytes + '\0').ok());
    bytes[random.Below(bytes.size())] ^= static_cast<char>(1u << random.Below(8));
    const Result<Command> decoded = DecodeCommand(bytes);
    if (!decoded.ok()) continue;
    std::string again;
    EncodeCommand(*decoded, &again);
    EXPECT_EQ(again, bytes);
  }
}

// The format of a command is a promise: docs/formats/command.md shows these bytes.
TEST(Command, TheFormatIsAsDocumented) {
  Command command;
  command.group = GroupId(7);
  command.session = SessionId(300);
  command.sequence = 2;
  command.first_outstanding = 1;
  command.proposed_at = {-1};
  command.operation = Set{"key", "value", ""};
  std::string bytes;
  EncodeCommand(command, &bytes);
  EXPECT_EQ(bytes, std::string("\x01\x07\xAC\x02\x02\x01\x01\x01\x03key\x05value\x00", 19));
}

TEST(Command, LaterVersionsAreToldApartFromDamage) {
  EXPECT_EQ(DecodeCommand("\x02").status().code(), StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeCommand(std::string("\x01\x00\x00\x00\x63", 5)).status().code(),
            StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeCommand("").status().code(), StatusCode::kCorruption);
  EXPECT_EQ(DecodeCommand(std::string(1, '\0')).status().code(), StatusCode::kCorruption);
}

TEST(Command, HugeCountsAllocateNothing) {
  // A commit that claims 2^40 conflict keys in a few bytes.
  std::string bytes("\x01\x00\x00\x00\x03\x00", 6);
  Encoder(&bytes).Varint(1ULL << 40);
  EXPECT_EQ(DecodeCommand(bytes).status().code(), StatusCode::kCorruption);
}

TEST(CommandBatch, SplitsIntoWhatWasAdded) {
  CommandBatchBuilder builder;
  builder.Add("one");
  builder.Add("");
  builder.Add("three");
  EXPECT_EQ(builder.count(), 3u);
  const std::string payload = builder.Finish();
  EXPECT_EQ(builder.count(), 0u);
  const auto commands = SplitCommandBatch(payload);
  ASSERT_TRUE(commands.ok());
  EXPECT_EQ(*commands, (std::vector<std::string_view>{"one", "", "three"}));
  for (std::size_t size = 0; size < payload.size(); ++size) {
    EXPECT_FALSE(SplitCommandBatch(std::string_view(payload).substr(0, size)).ok());
  }
  EXPECT_EQ(SplitCommandBatch("\x02").status().code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace cairn::kv
