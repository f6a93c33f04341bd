#include "src/dram/ucx/name_resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

namespace cairn::dram::ucx {
namespace {

// Whether an answer came, which the tests wait for.
struct Asked {
  std::promise<bool> promise;
  std::future<bool> answer = promise.get_future();
  NameResolver::Then Then() {
    return [this](const NameResolver::Addresses& found) { promise.set_value(found.ok()); };
  }
};

TEST(NameResolverTest, ANameWithoutAnAnswerHoldsUpNoOther) {
  std::promise<void> let_go;
  std::shared_future<void> gone(let_go.get_future());
  Asked slow;
  Asked fast;
  NameResolver resolver([&](const Endpoint& endpoint) -> NameResolver::Addresses {
    if (endpoint.host == "slow") {
      gone.wait();
      return UnavailableError("no name server answers");
    }
    return std::vector<SocketAddress>(1);
  });
  resolver.Lookup({"slow", 1}, slow.Then());
  resolver.Lookup({"fast", 1}, fast.Then());
  EXPECT_TRUE(fast.answer.get());
  let_go.set_value();
  EXPECT_FALSE(slow.answer.get());
}

// Who tries to connect again and again does not pile up lookups of the same name.
TEST(NameResolverTest, WhoAsksMeanwhileSharesTheAnswer) {
  std::promise<void> let_go;
  std::shared_future<void> gone(let_go.get_future());
  std::atomic<int> lookups{0};
  Asked first;
  Asked second;
  Asked third;
  NameResolver resolver([&](const Endpoint&) -> NameResolver::Addresses {
    ++lookups;
    gone.wait();
    return std::vector<SocketAddress>(1);
  });
  resolver.Lookup({"node", 1}, first.Then());
  resolver.Lookup({"node", 1}, second.Then());
  let_go.set_value();
  EXPECT_TRUE(first.answer.get());
  EXPECT_TRUE(second.answer.get());
  EXPECT_EQ(lookups.load(), 1);
  // The answer is not kept: the name may mean another address by now.
  while (lookups.load() == 1) {
    Asked again;
    resolver.Lookup({"node", 1}, again.Then());
    EXPECT_TRUE(again.answer.get());
  }
  resolver.Lookup({"other", 1}, third.Then());
  EXPECT_TRUE(third.answer.get());
}

TEST(NameResolverTest, ItsEndWaitsForWhatIsUnderWay) {
  Asked asked;
  {
    NameResolver resolver(
        [](const Endpoint&) -> NameResolver::Addresses { return std::vector<SocketAddress>(1); });
    resolver.Lookup({"node", 1}, asked.Then());
  }
  EXPECT_EQ(asked.answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

}  // namespace
}  // namespace cairn::dram::ucx
