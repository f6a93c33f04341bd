// The gRPC server of a node: services cairn.v1.KV and cairn.v1.Admin (api/cairn.proto) and the
// earlier kvstore.KVStore (api/kvstore.proto), server reflection and the standard health service,
// on one port. Health follows NodeService::Ready within a second or so.
//
// gRPC's callback API: no thread waits for the log or for a slow client. Point operations are
// served on gRPC's own threads, ranges and scans on `workers` threads.
//
// Memory. A message is bounded by message_bytes, all of them that are being received together by
// receive_memory_bytes. A scan holds one batch while its client takes it; scans are bounded by
// max_scans, and one whose client takes nothing for scan_stall is ended. Pipelines likewise
// (pipeline.h). The answers of other calls that clients have not taken yet are bounded together by
// answer_bytes, and beyond half of that each by scan_stall (src/server/answers.h).
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_GRPC_GRPC_SERVER_H_
#define CAIRN_SRC_SERVER_GRPC_GRPC_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"

namespace cairn::server {

class NodeService;

struct GrpcServerOptions {
  std::string bind_address = "127.0.0.1";
  std::uint16_t port = 50051;  // 0: any free one
  // Limits::message_bytes.
  std::size_t message_bytes = 64 << 20;
  std::size_t receive_memory_bytes = 512 << 20;
  // Limits::answer_bytes: keys and values of answers that were not taken yet. gRPC holds each
  // twice, as a message and as what goes out.
  std::size_t answer_bytes = 256 << 20;
  std::uint32_t workers = 2;
  // Calls at once on one connection; more wait at the client.
  std::uint32_t streams_per_connection = 1000;
  // Bounds on scans. A batch is of about `scan_batch_bytes` unless the client asks for less.
  std::uint32_t max_scans = 64;
  std::size_t scan_batch_bytes = 512 << 10;
  // Of pipelines and of answers too.
  Duration scan_stall = std::chrono::seconds(60);
  // A backup whose client takes nothing for so long is ended: the state that it reads is held.
  Duration backup_stall = std::chrono::seconds(60);
  // Calls of KV.Pipeline at once; each has bounds of its own (pipeline.h).
  std::uint32_t max_pipelines = 1000;
  // Told by Admin.GetNodeStatus.
  std::string software_version;
};

// Counters since start, but for what is open.
struct GrpcServerFigures {
  std::uint64_t calls = 0;  // of our services
  std::uint64_t scans_open = 0;
  std::uint64_t scan_bytes = 0;  // keys and values handed to clients
  std::uint64_t pipelines_open = 0;
  std::uint64_t answer_bytes = 0;  // held for clients
};

class GrpcServer {
 public:
  // Listens and serves. `node` must outlive the server. kIoError if the address can't be listened
  // on.
  static Result<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                   NodeService* node);
  // Stop, for as long as it takes.
  ~GrpcServer();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] GrpcServerFigures figures() const;
  // Connections of clients that are open. Not for each request: see ConnectionsAt in listener.h.
  [[nodiscard]] std::uint64_t connections_open() const;

  // Health turns to NOT_SERVING, clients are told to go elsewhere, running calls may finish for
  // `grace`; then they are cancelled. True if no operation is running any more. False: operations
  // wait for the log, say. Make them end, by stopping what they wait for, and destroy the server.
  bool Stop(Duration grace);

 private:
  class Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_GRPC_SERVER_H_
