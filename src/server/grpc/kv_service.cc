#include "api/cairn.grpc.pb.h"
#include "src/server/grpc/pipeline.h"
#include "src/server/grpc/requests.h"
#include "src/server/grpc/scan.h"
#include "src/server/grpc/services.h"
#include "src/server/grpc/unary_call.h"

namespace cairn::server {
namespace {

using Call = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class KvService final : public v1::KV::CallbackService {
 public:
  KvService(Backend* backend, ScanTable* scans, PipelineTable* pipelines)
      : backend_(backend), scans_(scans), pipelines_(pipelines) {}

  // ---- Reads

  Reactor* Get(Call* call, const v1::GetRequest* request, v1::GetResponse* response) override {
    return Point<kv::GetResult>(call, *request, response);
  }

  Reactor* GetRange(Call* call, const v1::GetRangeRequest* request,
                    v1::GetRangeResponse* response) override {
    kv::RangeQuery query = TakeRange(request->range());
    query.limit = request->limit();
    query.max_bytes = request->max_bytes();
    return Read<kv::RangeResult>(
        call, request->read(), response,
        MakeGetRange(std::move(query), Take(request->range().column_family()),
                     Version(request->read().at_version())),
        [](kv::RangeResult answer, v1::GetRangeResponse* to) {
          FillPairs(std::move(answer.key_values), to->mutable_pairs());
          to->set_has_more(answer.has_more);
          to->set_read_version(answer.read_version.value());
        });
  }

  Reactor* GetKey(Call* call, const v1::GetKeyRequest* request,
                  v1::GetKeyResponse* response) override {
    SingleKeyQuery query = MakeSingleKeyQuery(TakeSelector(request->selector()));
    return Read<kv::RangeResult>(
        call, request->read(), response,
        MakeGetRange(std::move(query.range), Take(request->column_family()),
                     Version(request->read().at_version())),
        [forward = query.forward](kv::RangeResult answer, v1::GetKeyResponse* to) {
          to->set_read_version(answer.read_version.value());
          if (answer.key_values.empty()) {
            to->set_position(forward ? v1::GetKeyResponse::POSITION_AFTER_LAST
                                     : v1::GetKeyResponse::POSITION_BEFORE_FIRST);
            return;
          }
          to->set_position(v1::GetKeyResponse::POSITION_KEY);
          to->set_key(std::move(answer.key_values.front().key));
        },
        CountAs::kGetKey);
  }

  grpc::ServerWriteReactor<v1::ScanResponse>* Scan(Call* call,
                                                   const v1::ScanRequest* request) override {
    backend_->CountCall();
    return StartScan(backend_, scans_, call, *request);
  }

  Reactor* GetReadVersion(Call* call, const v1::GetReadVersionRequest* request,
                          v1::GetReadVersionResponse* response) override {
    return Point<kv::VersionResult>(call, *request, response);
  }

  Reactor* GetCommittedVersion(Call* call, const v1::GetCommittedVersionRequest* request,
                               v1::GetCommittedVersionResponse* response) override {
    return Read<kv::VersionResult>(
        call, request->read(), response, kv::GetCommittedVersion{},
        [](kv::VersionResult answer, v1::GetCommittedVersionResponse* to) {
          to->set_version(answer.version.value());
        });
  }

  // ---- Writes

  Reactor* Set(Call* call, const v1::SetRequest* request, v1::WriteResponse* response) override {
    return Point<kv::WriteResult>(call, *request, response);
  }

  Reactor* Delete(Call* call, const v1::DeleteRequest* request,
                  v1::WriteResponse* response) override {
    return Point<kv::WriteResult>(call, *request, response);
  }

  Reactor* SetVersionstampedKey(Call* call, const v1::SetVersionstampedKeyRequest* request,
                                v1::VersionstampedResponse* response) override {
    return Point<kv::WriteResult>(call, *request, response);
  }

  Reactor* SetVersionstampedValue(Call* call, const v1::SetVersionstampedValueRequest* request,
                                  v1::VersionstampedResponse* response) override {
    return Point<kv::WriteResult>(call, *request, response);
  }

  Reactor* Commit(Call* call, const v1::CommitRequest* request,
                  v1::CommitResponse* response) override {
    return Point<kv::WriteResult>(call, *request, response);
  }

  // ---- Many at once

  grpc::ServerBidiReactor<v1::PipelineRequest, v1::PipelineResponse>* Pipeline(
      Call* call) override {
    return StartPipeline(backend_, pipelines_, call);
  }

  // ---- Sessions

  Reactor* OpenSession(Call* call, const v1::OpenSessionRequest* request,
                       v1::OpenSessionResponse* response) override {
    if (request->write().has_session()) return Refuse(call, SessionInSession());
    return Write(call, request->write(), response, kv::OpenSession{},
                 [](const kv::WriteResult& answer, v1::OpenSessionResponse* to) {
                   to->set_session_id(answer.version.value());
                 });
  }

  Reactor* CloseSession(Call* call, const v1::CloseSessionRequest* request,
                        v1::WriteResponse* response) override {
    if (request->write().has_session()) return Refuse(call, SessionInSession());
    return Write(
        call, request->write(), response, kv::CloseSession{SessionId(request->session_id())},
        [](const kv::WriteResult& answer, v1::WriteResponse* to) { FillAnswer(answer, to); });
  }

  Reactor* Ping(Call* call, const v1::PingRequest* request, v1::PingResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kPing);
    response->set_message(Take(request->message()));
    response->set_server_time_us(backend_->node().clock().Wall().us);
    return Answered(run, backend_, call, response->message().size());
  }

 private:
  static Status SessionInSession() {
    return InvalidArgumentError(
        "a session is opened and closed outside of one: leave session unset");
  }
  Reactor* Refuse(Call* call, const Status& status) {
    backend_->CountCall();
    return Answered(call, status);
  }

  // A point operation, answered by an Answer.
  template <class Answer, class Request, class Response>
  Reactor* Point(Call* call, const Request& request, Response* response) {
    backend_->CountCall();
    replication::RequestContext context;
    context.deadline = DeadlineOf(*call, backend_->node().clock().Now());
    if (Status status = ReadOptionsOf(request, &context); !status.ok()) {
      return Answered(call, status);
    }
    auto operation = TakeOperation(request);
    if (!operation.ok()) return Answered(call, operation.status());
    return RunUnary<Answer>(backend_, call, std::move(context), *std::move(operation), response,
                            [](Answer answer, Response* to) { FillAnswer(std::move(answer), to); });
  }

  template <class Answer, class Response, class Fill>
  Reactor* Read(Call* call, const v1::ReadOptions& options, Response* response,
                kv::KvOperation operation, Fill fill, CountAs as = CountAs::kItself) {
    backend_->CountCall();
    replication::RequestContext context;
    context.deadline = DeadlineOf(*call, backend_->node().clock().Now());
    if (Status status = ReadReadOptions(options, &context); !status.ok()) {
      return Answered(call, status);
    }
    return RunUnary<Answer>(backend_, call, std::move(context), std::move(operation), response,
                            std::move(fill), as);
  }

  template <class Response, class Fill>
  Reactor* Write(Call* call, const v1::WriteOptions& options, Response* response,
                 kv::KvOperation operation, Fill fill) {
    backend_->CountCall();
    replication::RequestContext context;
    context.deadline = DeadlineOf(*call, backend_->node().clock().Now());
    if (Status status = ReadWriteOptions(options, &context); !status.ok()) {
      return Answered(call, status);
    }
    return RunUnary<kv::WriteResult>(backend_, call, std::move(context), std::move(operation),
                                     response, std::move(fill));
  }

  Backend* const backend_;
  ScanTable* const scans_;
  PipelineTable* const pipelines_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeKvService(Backend* backend, ScanTable* scans,
                                             PipelineTable* pipelines) {
  return std::make_unique<KvService>(backend, scans, pipelines);
}

}  // namespace cairn::server
