// The methods of service TransactionalKV: each turns its request into an operation, has the node
// execute it, and turns the outcome into its response. Nothing else is decided here.
//
// Every method reports failure in its response (wire_errors.h says how); no exception leaves one
// but ping, whose response has no place for it. Of the memory that an answer takes until its client
// has it, a method asks for room first (answer_scope.h).
// Strings are moved out of the requests (wire_requests.h) and into the responses.
//
// Thread safety: all methods from any number of threads. Internal to src/server/thrift.
#ifndef CAIRN_SRC_SERVER_THRIFT_KV_HANDLER_H_
#define CAIRN_SRC_SERVER_THRIFT_KV_HANDLER_H_

#include <exception>
#include <new>
#include <utility>

#include "api/TransactionalKV.h"
#include "cairn/status.h"
#include "src/kv/operation.h"
#include "src/kv/result.h"
#include "src/server/node_service.h"
#include "src/server/thrift/answer_scope.h"
#include "src/server/thrift/wire_errors.h"
#include "src/server/thrift/wire_requests.h"

namespace cairn::server {

class KvHandler final : public thrift_api::TransactionalKVIf {
 public:
  // `node` must outlive the handler.
  explicit KvHandler(NodeService* node) : node_(node) {}

  // Point and range reads and writes: kv_handler.cc.
  void get(thrift_api::GetResponse& response, const thrift_api::GetRequest& request) override;
  void setKey(thrift_api::SetResponse& response, const thrift_api::SetRequest& request) override;
  void deleteKey(thrift_api::DeleteResponse& response,
                 const thrift_api::DeleteRequest& request) override;
  void getRange(thrift_api::GetRangeResponse& response,
                const thrift_api::GetRangeRequest& request) override;
  void snapshotRead(thrift_api::SnapshotReadResponse& response,
                    const thrift_api::SnapshotReadRequest& request) override;
  void snapshotGet(thrift_api::SnapshotGetResponse& response,
                   const thrift_api::SnapshotGetRequest& request) override;
  void snapshotGetRange(thrift_api::SnapshotGetRangeResponse& response,
                        const thrift_api::SnapshotGetRangeRequest& request) override;
  void getReadVersion(thrift_api::GetReadVersionResponse& response,
                      const thrift_api::GetReadVersionRequest& request) override;
  void getCommittedVersion(thrift_api::GetCommittedVersionResponse& response,
                           const thrift_api::GetCommittedVersionRequest& request) override;
  void atomicCommit(thrift_api::AtomicCommitResponse& response,
                    const thrift_api::AtomicCommitRequest& request) override;
  void setVersionstampedKey(thrift_api::SetVersionstampedKeyResponse& response,
                            const thrift_api::SetVersionstampedKeyRequest& request) override;
  void setVersionstampedValue(thrift_api::SetVersionstampedValueResponse& response,
                              const thrift_api::SetVersionstampedValueRequest& request) override;

  // Always answered with a failure: kv_handler_admin.cc, like all that follows.
  void addReadConflict(thrift_api::AddReadConflictResponse& response,
                       const thrift_api::AddReadConflictRequest& request) override;
  void addReadConflictRange(thrift_api::AddReadConflictRangeResponse& response,
                            const thrift_api::AddReadConflictRangeRequest& request) override;
  void setReadVersion(thrift_api::SetReadVersionResponse& response,
                      const thrift_api::SetReadVersionRequest& request) override;

  void setFaultInjection(thrift_api::FaultInjectionResponse& response,
                         const thrift_api::FaultInjectionRequest& request) override;
  void ping(thrift_api::PingResponse& response, const thrift_api::PingRequest& request) override;
  void getClusterHealth(thrift_api::GetClusterHealthResponse& response,
                        const thrift_api::GetClusterHealthRequest& request) override;
  void getDatabaseStats(thrift_api::GetDatabaseStatsResponse& response,
                        const thrift_api::GetDatabaseStatsRequest& request) override;
  void getNodeInfo(thrift_api::GetNodeInfoResponse& response,
                   const thrift_api::GetNodeInfoRequest& request) override;

  void createColumnFamily(thrift_api::AdminResponse& response,
                          const thrift_api::CreateColumnFamilyRequest& request) override;
  void dropColumnFamily(thrift_api::AdminResponse& response,
                        const thrift_api::DropColumnFamilyRequest& request) override;
  void listColumnFamilies(thrift_api::ListColumnFamiliesResponse& response,
                          const thrift_api::ListColumnFamiliesRequest& request) override;
  void openSession(thrift_api::OpenSessionResponse& response,
                   const thrift_api::OpenSessionRequest& request) override;
  void closeSession(thrift_api::AdminResponse& response,
                    const thrift_api::CloseSessionRequest& request) override;

 private:
  // Executes `operation` in the context that the request asks for.
  template <class Answer, class Request>
  Result<Answer> Run(const Request& request, kv::KvOperation operation) {
    CAIRN_ASSIGN_OR_RETURN(const replication::RequestContext context,
                           MakeContext(request, node_->clock().Now()));
    CAIRN_ASSIGN_OR_RETURN(kv::OperationResult result,
                           node_->Execute(Wire::kThrift, context, std::move(operation)));
    return std::get<Answer>(std::move(result));
  }

  // Runs `body`, which fills in the response and returns OK, or returns what went wrong.
  template <class Response, class Body>
  static StatusCode InBand(FailedCall call, Response* response, Body body) {
    Status status;
    try {
      status = body();
    } catch (const std::bad_alloc&) {
      status = ResourceExhaustedError("the node is out of memory");
    } catch (const std::exception& e) {
      status = IoError(e.what());
    }
    if (!status.ok()) FillError(status, call, response);
    return status.code();
  }

  // The same for what is no operation on data, counted.
  template <class Response, class Body>
  void InBand(NodeCall call, Response* response, Body body) {
    const MonotonicTime begun = node_->clock().Now();
    const StatusCode outcome = InBand(FailedCall::kOther, response, std::move(body));
    node_->RecordCall(Wire::kThrift, call, outcome, node_->clock().Now() - begun);
  }

  NodeService* const node_;
};

}  // namespace cairn::server

#endif  // CAIRN_SRC_SERVER_THRIFT_KV_HANDLER_H_
