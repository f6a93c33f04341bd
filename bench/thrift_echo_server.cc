// The bare Thrift echo server that Cairn's Gets are compared with: a handler that answers every get
// with the same value, behind Thrift's own server (--stock: a thread a connection, buffered
// transport, strict binary protocol) or behind the server of src/server/thrift.
//
//   thrift_echo_server --port 9190 --value-bytes 256 --stock
//
// Prints "listening on <port>" when it serves; ends on SIGTERM and SIGINT.
#include <signal.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TServerSocket.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

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

void WaitForStop(const sigset_t& stop_signals, unsigned port) {
  std::printf("listening on %u\n", port);
  std::fflush(stdout);
  int received = 0;
  sigwait(&stop_signals, &received);
}

int ServeOurs(const cairn::server::ThriftServerOptions& options,
              const std::shared_ptr<cairn::thrift_api::TransactionalKVProcessor>& processor,
              const sigset_t& stop_signals) {
  const cairn::SystemClock clock;
  auto server = cairn::server::ThriftServer::Start(options, processor, &clock);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message().c_str());
    return 1;
  }
  WaitForStop(stop_signals, (*server)->port());
  return 0;
}

int ServeStock(const cairn::server::ThriftServerOptions& options,
               const std::shared_ptr<cairn::thrift_api::TransactionalKVProcessor>& processor,
               const sigset_t& stop_signals) {
  namespace thrift = apache::thrift;
  auto socket =
      std::make_shared<thrift::transport::TServerSocket>(options.bind_address, options.port);
  thrift::server::TThreadedServer server(
      processor, socket, std::make_shared<thrift::transport::TBufferedTransportFactory>(),
      std::make_shared<thrift::protocol::TBinaryProtocolFactory>());
  std::thread serving([&] { server.serve(); });
  WaitForStop(stop_signals, options.port);
  server.stop();
  serving.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A bare Thrift server: get answers a value of a fixed size.");
  cairn::server::ThriftServerOptions options;
  options.port = 9190;
  std::size_t value_bytes = 256;
  bool stock = false;
  app.add_option("--port", options.port, "port; 0 chooses a free one (not with --stock)");
  app.add_option("--bind", options.bind_address, "address to listen on");
  app.add_option("--value-bytes", value_bytes, "size of the value that get answers");
  app.add_flag("--stock", stock, "Thrift's own server");
  CLI11_PARSE(app, argc, argv);

  // Before any thread starts: all of them inherit the mask, and sigwait gets the signal.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  const auto processor = std::make_shared<cairn::thrift_api::TransactionalKVProcessor>(
      std::make_shared<FixedValueHandler>(value_bytes));
  return stock ? ServeStock(options, processor, stop_signals)
               : ServeOurs(options, processor, stop_signals);
}
