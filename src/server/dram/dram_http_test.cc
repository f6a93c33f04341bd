#include "src/server/dram/dram_http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace cairn::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A server in this process, reached by nobody, whose pool has another node that is not there.
class DramHttpTest : public ::testing::Test {
 protected:
  DramHttpTest() {
    auto store = RemoteDram::Open(R"({"listen_addr": "here:1", "remote_addrs": ["there:1"],
                                      "transport": "loopback", "capacity_bytes": 1048576})");
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    DramHttpOptions options;
    options.address = {"127.0.0.1", 0};
    options.software_version = "1.2.3";
    options.tensorstore_address = "127.0.0.1:7";
    auto port = DramHttp::Start(options, store_.get(), &clock_);
    EXPECT_TRUE(port.ok()) << port.status().ToString();
    port_ = *std::move(port);
  }

  HttpResponse Get(const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    return port_->Handle(request);
  }

  const SystemClock clock_;
  std::unique_ptr<RemoteDram> store_;
  std::unique_ptr<DramHttp> port_;
};

TEST_F(DramHttpTest, TellsTheFiguresOfTheStoreThePortAndTheProcess) {
  const std::string page = Get("/metrics").body;
  EXPECT_THAT(page, HasSubstr("\ncairn_dram_keys 0\n"));
  EXPECT_THAT(page, HasSubstr("\ncairn_dram_capacity_bytes 1048576\n"));
  EXPECT_THAT(page, HasSubstr("\ncairn_dram_peer_connected{peer=\"there:1\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("\ncairn_connections_open{wire=\"http\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("\ncairn_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\nprocess_threads "));
}

TEST_F(DramHttpTest, ServesItsOwnKeysWithoutItsPool) {
  EXPECT_EQ(200, Get("/healthz").status);
  const HttpResponse ready = Get("/readyz");
  EXPECT_EQ(200, ready.status);
  EXPECT_THAT(ready.body, HasSubstr("server: ok\nthere:1: not connected"));
  EXPECT_THAT(ready.body, Not(HasSubstr("here:1: connected")));
}

TEST_F(DramHttpTest, StatusIsJson) {
  const HttpResponse page = Get("/debug/status");
  EXPECT_EQ("application/json", page.content_type);
  const auto json = nlohmann::json::parse(page.body);
  EXPECT_EQ("here:1", json["listen_address"]);
  EXPECT_EQ("127.0.0.1:7", json["tensorstore_address"]);
  EXPECT_EQ(1 << 20, json["figures"]["capacity_bytes"]);
  ASSERT_EQ(2u, json["pool"].size());
  EXPECT_TRUE(json["pool"][0]["local"]);
  EXPECT_FALSE(json["pool"][1]["connected"]);
  EXPECT_GE(nlohmann::json::parse(Get("/debug/threads").body).size(), 1u);
  EXPECT_THAT(Get("/").body, HasSubstr("cairn dram serve 1.2.3, here:1"));
  EXPECT_EQ(404, Get("/config").status);
}

TEST_F(DramHttpTest, ATakenPortIsAnError) {
  DramHttpOptions options;
  const std::string address = port_->address();
  options.address = {"127.0.0.1",
                     static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))};
  const auto second = DramHttp::Start(options, store_.get(), &clock_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(StatusCode::kIoError, second.status().code());
}

}  // namespace
}  // namespace cairn::server
