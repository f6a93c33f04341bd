#include "api/kvstore.grpc.pb.h"
#include "src/base/codec.h"
#include "src/server/grpc/services.h"
#include "src/server/grpc/unary_call.h"
#include "src/text/utf8.h"

namespace cairn::server {
namespace {

using Call = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// The keys that start with `prefix`.
kv::RangeQuery PrefixQuery(const std::string& prefix) {
  kv::RangeQuery query;
  query.begin = kv::KeySelector::FirstGreaterOrEqual(prefix);
  // The first key beyond: the prefix without its trailing 0xFF bytes, its last byte one higher.
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  if (!end.empty()) {
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    query.end = kv::KeySelector::FirstGreaterOrEqual(std::move(end));
  }
  query.keys_only = true;
  return query;
}

// ListKeys: pages until enough keys that are text are found.
class ListCall {
 public:
  ListCall(Backend* backend, UnaryCall* call, replication::RequestContext context,
           const kvstore::ListKeysRequest& request, kvstore::ListKeysResponse* response)
      : backend_(backend),
        call_(call),
        context_(std::move(context)),
        query_(PrefixQuery(request.prefix())),
        limit_(request.limit() > 0 ? static_cast<std::size_t>(request.limit()) : 0),
        response_(response) {}

  // Owns itself from here on.
  void NextPage() {
    query_.limit = limit_ == 0 ? 0 : limit_ - keys_.size();
    backend_->Execute(context_, MakeGetRange(query_, "", version_),
                      [this](Result<kv::OperationResult> result) { OnPage(std::move(result)); });
  }

 private:
  void OnPage(Result<kv::OperationResult> result) {
    if (!result.ok()) {
      Answer(backend_->Translate(std::move(result).status()));
      return;
    }
    auto& page = std::get<kv::RangeResult>(*result);
    version_ = page.read_version;
    for (kv::KeyValue& pair : page.key_values) {
      query_.begin = kv::KeySelector::FirstGreaterThan(pair.key);
      if (!text::IsUtf8(pair.key)) continue;  // A key that this wire can't name.
      bytes_ += pair.key.size();
      keys_.push_back(std::move(pair.key));
    }
    if (!page.has_more || (limit_ != 0 && keys_.size() >= limit_)) {
      Answer(call_->Hold(bytes_, backend_->node().clock().Now()));
    } else if (bytes_ >= backend_->node().limits().range_answer_bytes) {
      Answer(ResourceExhaustedError("the keys are over the limit range_answer_bytes = " +
                                    std::to_string(backend_->node().limits().range_answer_bytes) +
                                    "; ask for a longer prefix or set a limit"));
    } else {
      NextPage();
    }
  }

  void Answer(const Status& status) {
    if (call_->Claim()) {
      if (status.ok()) {
        for (std::string& key : keys_) response_->add_keys(std::move(key));
      }
      call_->Finish(ToGrpc(status));
    }
    call_->Release();
    delete this;
  }

  Backend* const backend_;
  UnaryCall* const call_;
  const replication::RequestContext context_;
  kv::RangeQuery query_;
  const std::size_t limit_;  // 0: none
  kvstore::ListKeysResponse* const response_;
  Version version_;  // all pages are read at that of the first
  std::vector<std::string> keys_;
  std::uint64_t bytes_ = 0;
};

class LegacyService final : public kvstore::KVStore::CallbackService {
 public:
  explicit LegacyService(Backend* backend) : backend_(backend) {}

  Reactor* Get(Call* call, const kvstore::GetRequest* request,
               kvstore::GetResponse* response) override {
    return RunUnary<kv::GetResult>(
        backend_, call, Begin(*call), kv::Get{Take(request->key()), ""}, response,
        [](kv::GetResult answer, kvstore::GetResponse* to) -> Status {
          if (!text::IsUtf8(answer.value)) {
            return FailedPreconditionError(
                "the value is not UTF-8, which is all that kvstore.KVStore can carry; read it with "
                "cairn.v1.KV or over Thrift");
          }
          to->set_found(answer.found);
          to->set_value(std::move(answer.value));
          return Status::Ok();
        });
  }

  Reactor* Put(Call* call, const kvstore::PutRequest* request,
               kvstore::PutResponse* response) override {
    return Write(call, response, kv::Set{Take(request->key()), Take(request->value()), ""});
  }

  Reactor* Delete(Call* call, const kvstore::DeleteRequest* request,
                  kvstore::DeleteResponse* response) override {
    return Write(call, response, kv::Delete{Take(request->key()), ""});
  }

  Reactor* ListKeys(Call* call, const kvstore::ListKeysRequest* request,
                    kvstore::ListKeysResponse* response) override {
    auto* unary = new UnaryCall(&backend_->answers(), call, 2);
    (new ListCall(backend_, unary, Begin(*call), *request, response))->NextPage();
    return unary;
  }

  Reactor* Ping(Call* call, const kvstore::PingRequest* request,
                kvstore::PingResponse* response) override {
    const NodeCallRun run(backend_, NodeCall::kPing);
    response->set_message(request->message().empty() ? std::string("pong")
                                                     : Take(request->message()));
    response->set_timestamp(request->timestamp());
    response->set_server_timestamp(backend_->node().clock().Wall().us);
    return Answered(run, backend_, call, response->message().size());
  }

 private:
  replication::RequestContext Begin(const Call& call) {
    backend_->CountCall();
    replication::RequestContext context;
    context.deadline = DeadlineOf(call, backend_->node().clock().Now());
    return context;
  }

  // Failures are told in the response.
  template <class Response>
  Reactor* Write(Call* call, Response* response, kv::KvOperation operation) {
    auto* unary = new UnaryCall(2);
    backend_->Execute(
        Begin(*call), std::move(operation),
        [this, unary, response](Result<kv::OperationResult> result) {
          if (unary->Claim()) {
            response->set_success(result.ok());
            if (!result.ok()) {
              response->set_error(LegacyErrorText(backend_->Translate(std::move(result).status())));
            }
            unary->Finish(grpc::Status::OK);
          }
          unary->Release();
        });
    return unary;
  }

  Backend* const backend_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeLegacyService(Backend* backend) {
  return std::make_unique<LegacyService>(backend);
}

}  // namespace cairn::server
