// The calls of service Admin about whole states: digests and backups (src/server/state_admin.h).
//
// Thread safety: pure functions; the calls run on.
#ifndef CAIRN_SRC_SERVER_GRPC_STATE_CALLS_H_
#define CAIRN_SRC_SERVER_GRPC_STATE_CALLS_H_

namespace grpc {
class CallbackServerContext;
class ServerUnaryReactor;
template <class Response>
class ServerWriteReactor;
}  // namespace grpc
namespace cairn::v1 {
class AdvanceLogRequest;
class BackupChunk;
class BackupRequest;
class GetDigestRequest;
class GetDigestResponse;
class PrepareDigestRequest;
}  // namespace cairn::v1

namespace cairn::server {

class Backend;

grpc::ServerUnaryReactor* StartPrepareDigest(Backend* backend,
                                             const v1::PrepareDigestRequest& request);
grpc::ServerUnaryReactor* StartGetDigest(Backend* backend, const v1::GetDigestRequest& request,
                                         v1::GetDigestResponse* response);
grpc::ServerUnaryReactor* StartAdvanceLog(Backend* backend, const grpc::CallbackServerContext& call,
                                          const v1::AdvanceLogRequest& request);
grpc::ServerWriteReactor<v1::BackupChunk>* StartBackup(Backend* backend,
                                                       grpc::CallbackServerContext* call,
                                                       const v1::BackupRequest& request);

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_GRPC_STATE_CALLS_H_
