// The bare Thrift echo server that Cairn's Gets are compared with: the server of src/server/thrift
// and, behind it, a handler that answers every get with the same value.
//
//   thrift_echo_server --port 9190 --value-bytes 256
//
// Prints "listening on <port>" when it serves; ends on SIGTERM and SIGINT.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "api/TransactionalKV.h"
#include "src/base/clock.h"
#include "src/server/thrift/thrift_server.h"

namespace {

class FixedValueHandler final : public cairn::thrift_api::TransactionalKVNull {
 public:
  explicit FixedValueHandler(std::size_t value_bytes) : value_(value_bytes, 'v') {}

  void get(cairn::thrift_api::GetResponse& response,
           const cairn::thrift_api::GetRequest& /*request*/) override {
    response.value = value_;
    response.found = true;
  }
  // So that a loader may prepare it as it does a node.
  void setKey(cairn::thrift_api::SetResponse& response,
              const cairn::thrift_api::SetRequest& /*request*/) override {
    response.success = true;
  }
  void atomicCommit(cairn::thrift_api::AtomicCommitResponse& response,
                    const cairn::thrift_api::AtomicCommitRequest& /*request*/) override {
    response.success = true;
    response.__set_committed_version(1);
  }
  void ping(cairn::thrift_api::PingResponse& response,
            const cairn::thrift_api::PingRequest& /*request*/) override {
    response.message = "pong";
  }

 private:
  const std::string value_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A bare Thrift server: get answers a value of a fixed size.");
  cairn::server::ThriftServerOptions options;
  options.port = 9190;
  std::size_t value_bytes = 256;
  app.add_option("--port", options.port, "port; 0 chooses a free one");
  app.add_option("--bind", options.bind_address, "address to listen on");
  app.add_option("--value-bytes", value_bytes, "size of the value that get answers");
  CLI11_PARSE(app, argc, argv);

  // Before any thread starts: all of them inherit the mask, and sigwait gets the signal.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  const cairn::SystemClock clock;
  auto server = cairn::server::ThriftServer::Start(
      options,
      std::make_shared<cairn::thrift_api::TransactionalKVProcessor>(
          std::make_shared<FixedValueHandler>(value_bytes)),
      &clock);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message().c_str());
    return 1;
  }
  std::printf("listening on %u\n", static_cast<unsigned>((*server)->port()));
  std::fflush(stdout);
  int received = 0;
  sigwait(&stop_signals, &received);
  return 0;
}
