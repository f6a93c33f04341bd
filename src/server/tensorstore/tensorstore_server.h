// TensorStore's key-value protocol over a pool of the memory plane: TensorStore as it is, with its
// driver `tsgrpc_kvstore`, keeps its arrays there (api/tensorstore_kvstore.proto).
//
// A call takes a thread of gRPC's while it waits for the pool; there are at most `max_threads`, and
// calls beyond are refused with RESOURCE_EXHAUSTED. Errors are gRPC statuses. A generation on this
// wire is that of the pool (16 bytes) and the mark that TensorStore puts behind one of a value; a
// generation that is none of ours fits no value.
//
// Thread safety: all methods from any thread.
#ifndef CAIRN_SRC_SERVER_TENSORSTORE_TENSORSTORE_SERVER_H_
#define CAIRN_SRC_SERVER_TENSORSTORE_TENSORSTORE_SERVER_H_

#include <memory>
#include <string>

#include "cairn/remote_dram.h"
#include "cairn/status.h"
#include "src/base/endpoint.h"

namespace cairn::server {

struct TensorstoreServerOptions {
  Endpoint address;  // port 0: any free one
  // Of one client's connection at once; its gRPC library queues what is beyond, and does so without
  // an error. TensorStore starts a call for each chunk, bounds nothing and repeats nothing.
  int calls_per_connection = 100;
  // One a call, over all connections. What is beyond is refused with RESOURCE_EXHAUSTED, so it is
  // enough for 40 connections that use all they may.
  int max_threads = 4096;
  // Of one message; a value may have many.
  int message_bytes = 64 << 20;
  // Of all messages that are being received together.
  std::size_t receive_memory_bytes = 512 << 20;
};

class TensorstoreServer {
 public:
  // Serves `store`, which outlives it. kIoError if the address can't be listened on.
  static Result<std::unique_ptr<TensorstoreServer>> Start(const TensorstoreServerOptions& options,
                                                          RemoteDram* store);
  // Running calls may finish for a second; then they are cancelled.
  ~TensorstoreServer();

  [[nodiscard]] std::string address() const;

 private:
  class Impl;
  explicit TensorstoreServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_TENSORSTORE_TENSORSTORE_SERVER_H_
