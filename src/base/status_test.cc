// The header for users, include/cairn/status.h.
#include "cairn/status.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace cairn {
namespace {

// Short texts lie in a string itself, long ones elsewhere: both must stay.
TEST(StatusTest, WhatIsAddedKeepsTheRestAlsoInPlace) {
  for (const std::string& text : {std::string("short"), std::string(100, 'l')}) {
    Status status(StatusCode::kNotLeader, text);
    status = std::move(status).WithLeaderHint("127.0.0.1:9091");
    EXPECT_EQ(status.leader_hint(), "127.0.0.1:9091");
    status = std::move(status).WithMaybeApplied();
    EXPECT_EQ(
        status,
        Status(StatusCode::kNotLeader, text).WithLeaderHint("127.0.0.1:9091").WithMaybeApplied());
    EXPECT_EQ(status.message(), text);
    EXPECT_EQ(status.leader_hint(), "127.0.0.1:9091");
    EXPECT_TRUE(status.maybe_applied());
    Status fault(StatusCode::kInjectedFault, text);
    fault = std::move(fault).WithFaultName("THE_FAULT");
    EXPECT_EQ(fault.message(), text);
    EXPECT_EQ(fault.fault_name(), "THE_FAULT");
  }
}

}  // namespace
}  // namespace cairn
