#include "src/dram/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/dram/transport.h"

namespace cairn::dram {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kLongKey(kMaxKeyBytes, 'k');

std::vector<Request> AllRequests() {
  return {HelloRequest{5, "a:1"},
          ReadRequest{"key", {-3, -1}, {1, 2}, {3, 4}},
          ReadRequest{kLongKey, {0, 1 << 30}, {}, {}},
          WriteRequest{"key", Generation::NoValue()},
          DeleteRequest{"key", {9, 8}},
          DeleteRangeRequest{100},
          ListRequest{1000, 4},
          StatRequest{}};
}

TEST(MessagesTest, RequestsRoundTripAndFitIntoAHeader) {
  for (const Request& request : AllRequests()) {
    const std::string header = Encode(request);
    EXPECT_LE(header.size(), kMaxHeaderBytes);
    const auto decoded = DecodeRequest(header);
    ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
    EXPECT_EQ(decoded->index(), request.index());
    EXPECT_EQ(Encode(*decoded), header);
  }
}

TEST(MessagesTest, CutAndOverlongRequestsAreRefused) {
  for (const Request& request : AllRequests()) {
    const std::string header = Encode(request);
    for (std::size_t n = 0; n<header.size(); n += header.size()> 100 ? 97 : 1) {
      EXPECT_EQ(DecodeRequest(header.substr(0, n)).status().code(), StatusCode::kCorruption) << n;
    }
    EXPECT_EQ(DecodeRequest(header + "x").status().code(), StatusCode::kCorruption);
  }
  EXPECT_THAT(DecodeRequest("\x63").status().message(), HasSubstr("99"));
}

TEST(MessagesTest, KeysHaveBounds) {
  EXPECT_FALSE(DecodeRequest(Encode(WriteRequest{"", {}})).ok());
  EXPECT_FALSE(DecodeRequest(Encode(WriteRequest{kLongKey + "k", {}})).ok());
}

TEST(MessagesTest, RangesRoundTrip) {
  const KeyRange range{kLongKey + '\0', ""};
  const auto decoded = DecodeRange(EncodeRange(range));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, range);
  EXPECT_FALSE(DecodeRange(EncodeRange({kLongKey + "xx", ""})).ok());
  EXPECT_FALSE(DecodeRange("").ok());
}

TEST(MessagesTest, AnswersRoundTrip) {
  const ReadAnswer read{ReadState::kValue, {7, 8}, 1234567};
  const auto decoded = DecodeAnswer<ReadAnswer>(EncodeAnswer(read));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->state, ReadState::kValue);
  EXPECT_EQ(decoded->generation, read.generation);
  EXPECT_EQ(decoded->value_bytes, 1234567u);
  const std::string listed = EncodeAnswer(ListAnswer{3, kLongKey});
  EXPECT_LE(listed.size(), kMaxHeaderBytes);
  EXPECT_EQ(DecodeAnswer<ListAnswer>(listed)->next, kLongKey);
  EXPECT_FALSE(DecodeAnswer<ReadAnswer>(listed).ok());
  EXPECT_FALSE(DecodeAnswer<ReadAnswer>("").ok());
}

TEST(MessagesTest, FailuresKeepTheirReasonAndAreCut) {
  const Status failure = Status(StatusCode::kResourceExhausted, "full").WithMaybeApplied();
  const auto decoded = DecodeAnswer<WriteAnswer>(EncodeFailure(failure));
  EXPECT_EQ(decoded.status(), failure);
  const std::string header = EncodeFailure(Status(StatusCode::kIoError, std::string(100'000, 'm')));
  EXPECT_LE(header.size(), kMaxHeaderBytes);
  EXPECT_THAT(DecodeAnswer<WriteAnswer>(header).status().message(), SizeIs(4096));
  // A reason that this version does not know is a failure all the same.
  EXPECT_EQ(DecodeAnswer<WriteAnswer>(std::string("\xF0\x00\x01x", 4)).status().message(),
            "reason 240: x");
}

TEST(MessagesTest, ListedKeysAndFigures) {
  std::string payload;
  AppendListedKey("a", 1, &payload);
  AppendListedKey("", 1 << 20, &payload);
  EXPECT_THAT(*DecodeListedKeys(2, payload),
              ::testing::ElementsAre(ListedKey{"a", 1}, ListedKey{"", 1 << 20}));
  EXPECT_FALSE(DecodeListedKeys(1, payload).ok());
  EXPECT_FALSE(DecodeListedKeys(3, payload).ok());
  EXPECT_FALSE(DecodeListedKeys(UINT64_MAX, payload).ok());
  const Figures figures = {{"keys", 3}, {"bytes", UINT64_MAX}};
  EXPECT_EQ(*DecodeFigures(EncodeFigures(figures)), figures);
  EXPECT_FALSE(DecodeFigures("\x05xx").ok());
}

}  // namespace
}  // namespace cairn::dram
