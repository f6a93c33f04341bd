// Requests and answers that go well: sizes, order, payload places, pins.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "src/base/sanitizers.h"
#include "src/dram/testing/transport_conformance.h"
#include "src/dram/testing/transport_test_kit.h"

namespace cairn::dram {
namespace {

// A server and one client of it, in two transports.
struct Pair {
  explicit Pair(TransportHarness& harness)
      : server_transport(harness.Make()),
        client_transport(harness.Make()),
        server(server_transport.get(), harness.ListenAddress()),
        client(client_transport.get(), server.address()) {}
  std::unique_ptr<Transport> server_transport;
  std::unique_ptr<Transport> client_transport;
  TestServer server;
  TestClient client;
};

void PayloadsOfAllSizesArriveUnchanged(TransportHarness& harness) {
  Pair pair(harness);
  std::vector<std::size_t> sizes = {0,    1,    63,     64,      1000,          4096,
                                    8191, 8192, 65'537, 1 << 20, (8 << 20) + 13};
  if (!kSanitized) sizes.push_back(64 << 20);
  for (const std::size_t size : sizes) {
    const std::string sent = PatternBytes(size, size + 1);
    const auto answer = pair.client.Run("echo " + std::to_string(size), Buffer::Copy(sent));
    ASSERT_TRUE(answer.ok()) << size << ": " << answer.status().ToString();
    EXPECT_EQ(answer->header, "echo " + std::to_string(size));
    EXPECT_TRUE(answer->payload.view() == sent) << size;
  }
}

void HeadersOfAllSizesArriveUnchanged(TransportHarness& harness) {
  Pair pair(harness);
  for (const std::size_t size : {std::size_t{1}, std::size_t{100}, kMaxHeaderBytes}) {
    for (const std::size_t payload : {0, 10, 1 << 20}) {
      const std::string header = PatternBytes(size, size);
      const auto answer = pair.client.Run(header, Buffer::Copy(PatternBytes(payload, 1)));
      ASSERT_TRUE(answer.ok()) << answer.status().ToString();
      EXPECT_TRUE(answer->header == header) << size;
      EXPECT_EQ(answer->payload.size(), payload);
    }
  }
}

void BeyondTheBoundsIsInvalidArgument(TransportHarness& harness) {
  Pair pair(harness);
  const auto header = pair.client.Run(std::string(kMaxHeaderBytes + 1, 'h'));
  EXPECT_EQ(header.status().code(), StatusCode::kInvalidArgument);
  // Nothing reads the bytes: the size alone is refused.
  const auto payload = pair.client.Run("echo", Buffer(&pair, kMaxPayloadBytes + 1, nullptr));
  EXPECT_EQ(payload.status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(pair.client.Run("echo").ok());
}

void RequestsArriveInOrder(TransportHarness& harness) {
  Pair pair(harness);
  std::vector<TestClient::Ongoing> calls;
  std::vector<std::string> headers;
  for (int i = 0; i < 500; ++i) {
    headers.push_back("echo " + std::to_string(i));
    // Small and large payloads travel in different ways.
    const std::size_t size = i % 50 == 7 ? 300'000 : static_cast<std::size_t>(i % 3) * 100;
    calls.push_back(pair.client.Start(headers.back(), Buffer::Copy(PatternBytes(size, 1))));
  }
  for (auto& call : calls) EXPECT_TRUE(TestClient::Wait(std::move(call)).ok());
  EXPECT_EQ(pair.server.Headers(), headers);
}

void AnswersComeInAnyOrder(TransportHarness& harness) {
  Pair pair(harness);
  auto held = pair.client.Start("hold 1", Buffer::Copy(PatternBytes(100'000, 1)));
  auto kept = pair.client.Start("keep 2");
  EXPECT_TRUE(pair.client.Run("echo 3").ok());
  ASSERT_TRUE(pair.server.WaitForRequests(3));
  pair.server.ReleaseHeld();
  EXPECT_EQ(TestClient::Wait(std::move(held))->header, "released");
  EXPECT_EQ(TestClient::Wait(std::move(kept))->header, "released");
}

void ThePayloadOfARefusedRequestIsDropped(TransportHarness& harness) {
  Pair pair(harness);
  for (const std::size_t size : {100, 2 << 20}) {
    WatchedBuffer payload = Watch(PatternBytes(size, 5));
    EXPECT_EQ(pair.client.Run("refuse", std::move(payload.buffer))->header, "refused");
    EXPECT_TRUE(Arrives(payload.released)) << size;
  }
  EXPECT_TRUE(pair.client.Run("echo", Buffer::Copy("x")).ok());
}

void TheClientChoosesThePlaceOfAnAnswer(TransportHarness& harness) {
  Pair pair(harness);
  for (const std::size_t size : {10, 1 << 20}) {
    auto memory = std::make_shared<std::string>(size, '\0');
    std::promise<Result<Answer>> done;
    auto answered = done.get_future();
    Call call;
    call.header = "echo";
    call.payload = Buffer::Copy(PatternBytes(size, 3));
    call.allocate = [memory](std::string_view header,
                             std::uint64_t payload_size) -> Result<MutableBuffer> {
      EXPECT_EQ(header, "echo");
      EXPECT_EQ(payload_size, memory->size());
      return MutableBuffer{memory->data(), memory->size(), memory};
    };
    call.done = [&done](Result<Answer> result) { done.set_value(std::move(result)); };
    pair.client.connection().Start(std::move(call));
    ASSERT_EQ(answered.wait_for(kPatience), std::future_status::ready);
    const auto answer = answered.get();
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->payload.data(), memory->data());
    EXPECT_TRUE(*memory == PatternBytes(size, 3));
  }
}

void NoPlaceForAnAnswerEndsThatCallOnly(TransportHarness& harness) {
  Pair pair(harness);
  for (const std::size_t size : {10, 1 << 20}) {
    std::promise<Result<Answer>> done;
    auto answered = done.get_future();
    Call call;
    call.header = "echo";
    call.payload = Buffer::Copy(PatternBytes(size, 3));
    call.allocate = [](std::string_view, std::uint64_t) -> Result<MutableBuffer> {
      return Status(StatusCode::kResourceExhausted, "no room here");
    };
    call.done = [&done](Result<Answer> result) { done.set_value(std::move(result)); };
    pair.client.connection().Start(std::move(call));
    ASSERT_EQ(answered.wait_for(kPatience), std::future_status::ready);
    EXPECT_EQ(answered.get().status().code(), StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(pair.client.Run("echo", Buffer::Copy("x")).ok());
}

void PinsAreDroppedWhenTheBytesHaveGone(TransportHarness& harness) {
  Pair pair(harness);
  for (const std::size_t size : {1, 5000, 3 << 20}) {
    WatchedBuffer payload = Watch(PatternBytes(size, 9));
    EXPECT_TRUE(pair.client.Run("echo", std::move(payload.buffer)).ok());
    EXPECT_TRUE(Arrives(payload.released)) << size;
  }
}

void RegisteredMemoryServesAsPayload(TransportHarness& harness) {
  Pair pair(harness);
  auto memory = std::make_shared<std::string>(PatternBytes(4 << 20, 2));
  const auto registration = pair.client_transport->RegisterMemory(memory->data(), memory->size());
  ASSERT_TRUE(registration.ok()) << registration.status().ToString();
  const auto answer = pair.client.Run("echo", Buffer(memory->data() + 4096, 2 << 20, memory));
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->payload.view() == std::string_view(*memory).substr(4096, 2 << 20));
}

void CallsMayStartInsideCallbacks(TransportHarness& harness) {
  Pair pair(harness);
  std::promise<void> finished;
  int left = 100;
  // Each answer starts the next call; the last ends the test.
  std::function<void()> next = [&] {
    Call call;
    call.header = "echo " + std::to_string(left);
    call.done = [&](Result<Answer> result) {
      EXPECT_TRUE(result.ok());
      if (--left == 0) {
        finished.set_value();
      } else {
        next();
      }
    };
    pair.client.connection().Start(std::move(call));
  };
  next();
  EXPECT_TRUE(Arrives(finished.get_future()));
}

void ManyThreadsShareAConnection(TransportHarness& harness) {
  Pair pair(harness);
  const int rounds = kSanitized ? 50 : 300;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        const std::size_t size = i % 20 == 0 ? 100'000 : static_cast<std::size_t>(i);
        const std::string sent = PatternBytes(size, static_cast<std::uint64_t>(t * 1000 + i));
        const auto answer = pair.client.Run("echo", Buffer::Copy(sent));
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        ASSERT_TRUE(answer->payload.view() == sent);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

void ManyConnectionsShareAListener(TransportHarness& harness) {
  Pair pair(harness);
  EXPECT_TRUE(pair.client.Run("echo").ok());  // connected
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(
        std::make_unique<TestClient>(pair.client_transport.get(), pair.server.address()));
  }
  std::vector<TestClient::Ongoing> calls;
  for (auto& client : clients) {
    calls.push_back(client->Start("echo", Buffer::Copy(PatternBytes(20'000, 1))));
  }
  for (auto& call : calls) EXPECT_TRUE(TestClient::Wait(std::move(call)).ok());
  EXPECT_EQ(pair.server.connections(), 21u);
}

}  // namespace

std::vector<TransportTest> TransferTests() {
  return {{"PayloadsOfAllSizesArriveUnchanged", PayloadsOfAllSizesArriveUnchanged},
          {"HeadersOfAllSizesArriveUnchanged", HeadersOfAllSizesArriveUnchanged},
          {"BeyondTheBoundsIsInvalidArgument", BeyondTheBoundsIsInvalidArgument},
          {"RequestsArriveInOrder", RequestsArriveInOrder},
          {"AnswersComeInAnyOrder", AnswersComeInAnyOrder},
          {"ThePayloadOfARefusedRequestIsDropped", ThePayloadOfARefusedRequestIsDropped},
          {"TheClientChoosesThePlaceOfAnAnswer", TheClientChoosesThePlaceOfAnAnswer},
          {"NoPlaceForAnAnswerEndsThatCallOnly", NoPlaceForAnAnswerEndsThatCallOnly},
          {"PinsAreDroppedWhenTheBytesHaveGone", PinsAreDroppedWhenTheBytesHaveGone},
          {"RegisteredMemoryServesAsPayload", RegisteredMemoryServesAsPayload},
          {"CallsMayStartInsideCallbacks", CallsMayStartInsideCallbacks},
          {"ManyThreadsShareAConnection", ManyThreadsShareAConnection},
          {"ManyConnectionsShareAListener", ManyConnectionsShareAListener}};
}

}  // namespace cairn::dram
