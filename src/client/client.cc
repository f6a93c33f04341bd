// What NodeClient and MultiNodeClient share: a cover of ClientCore.
#include "cairn/client.h"

#include <utility>

#include "src/client/cancellation.h"
#include "src/client/core.h"
#include "src/client/scan.h"
#include "src/client/transaction_state.h"
#include "src/kv/stamp_template.h"

namespace cairn {
namespace {

using client::Answer;
using client::ClientCore;
using client::Request;
using client::RunOptions;

kv::KeySelector ToKv(const KeySelector& selector) {
  return {selector.key, selector.or_equal, selector.offset};
}

kv::RangeQuery ToKv(const RangeRequest& range) {
  kv::RangeQuery query;
  query.begin = ToKv(range.begin);
  if (range.end) query.end = ToKv(*range.end);
  query.limit = range.limit;
  query.max_bytes = range.max_bytes;
  query.reverse = range.reverse;
  query.keys_only = range.keys_only;
  return query;
}

GetResult ToPublic(kv::GetResult result) {
  return {result.found, std::move(result.value), result.version.value()};
}

RangeResult ToPublic(kv::RangeResult result) {
  RangeResult range;
  range.key_values.reserve(result.key_values.size());
  for (kv::KeyValue& pair : result.key_values) {
    range.key_values.push_back({std::move(pair.key), std::move(pair.value)});
  }
  range.has_more = result.has_more;
  range.read_version = result.read_version.value();
  return range;
}

RunOptions ForRead(const ClientCore& core, const ReadOptions& options) {
  RunOptions run;
  run.read_level = options.read_level;
  run.min_version = Version(options.min_version);
  if (core.options().read_your_writes && options.at_version == 0) {
    run.min_version = std::max(run.min_version, core.last_version());
  }
  run.deadline = core.DeadlineIn(options.timeout);
  return run;
}

RunOptions ForWrite(const ClientCore& core, const WriteOptions& options) {
  RunOptions run;
  run.deadline = core.DeadlineIn(options.timeout);
  return run;
}

Request MakeGet(std::string_view key, const ReadOptions& options) {
  if (options.at_version != 0) {
    return kv::KvOperation(
        kv::SnapshotRead{std::string(key), Version(options.at_version), options.column_family});
  }
  return kv::KvOperation(kv::Get{std::string(key), options.column_family});
}

Request MakeGetRange(const RangeRequest& range, const ReadOptions& options) {
  if (options.at_version != 0) {
    return kv::KvOperation(
        kv::SnapshotGetRange{ToKv(range), Version(options.at_version), options.column_family});
  }
  return kv::KvOperation(kv::GetRange{ToKv(range), options.column_family});
}

// The answer, as the public type; `Saw`s its version.
GetResult TakeGet(ClientCore& core, Answer answer) {
  GetResult result = ToPublic(std::get<kv::GetResult>(std::move(answer)));
  core.Saw(Version(result.version));
  return result;
}
RangeResult TakeRange(ClientCore& core, Answer answer) {
  RangeResult result = ToPublic(std::get<kv::RangeResult>(std::move(answer)));
  core.Saw(Version(result.read_version));
  return result;
}
// The same without values, which Thrift's wire has all the same.
RangeResult TakeKeys(ClientCore& core, Answer answer) {
  RangeResult result = TakeRange(core, std::move(answer));
  for (KeyValue& pair : result.key_values) pair.value.clear();
  return result;
}
std::uint64_t TakeVersion(ClientCore& core, Answer answer) {
  const Version version = std::holds_alternative<kv::WriteResult>(answer)
                              ? std::get<kv::WriteResult>(answer).version
                              : std::get<kv::VersionResult>(answer).version;
  core.Saw(version);
  return version.value();
}

// Runs a request in the background; `take` turns its answer into the future's value.
template <class T>
Future<T> Async(const std::shared_ptr<ClientCore>& core, Request request, const RunOptions& options,
                std::function<T(ClientCore&, Answer)> take) {
  Promise<T> promise;
  Future<T> future = promise.GetFuture();
  promise.SetCancel(core->ExecuteAsync(
      std::move(request), options, [core, promise, take = std::move(take)](Result<Answer> answer) {
        if (!answer.ok()) {
          promise.Fulfil(answer.status());
        } else {
          promise.Fulfil(take(*core, std::move(*answer)));
        }
      }));
  return future;
}

template <class T>
Future<T> Failed(Status status) {
  Promise<T> promise;
  promise.Fulfil(std::move(status));
  return promise.GetFuture();
}

// What the template became. The node's answer says it too, but not to a request that was sent
// again.
std::string Stamped(std::string_view text, std::uint64_t version) {
  return std::string(text.substr(0, text.size() - kv::kStampBytes)) + MakeVersionstamp(version, 0);
}

std::function<VersionstampResult(ClientCore&, Answer)> TakeStamped(std::string_view text) {
  return [text = std::string(text)](ClientCore& core, Answer answer) {
    const std::uint64_t version = TakeVersion(core, std::move(answer));
    return VersionstampResult{version, Stamped(text, version)};
  };
}

}  // namespace

Client::Client(std::shared_ptr<ClientCore> core) : core_(std::move(core)) {}
Client::~Client() { Close(); }
void Client::Close() { core_->Close(); }

std::uint64_t Client::last_version() const { return core_->last_version().value(); }

// ---- Reads

Result<GetResult> Client::Get(std::string_view key, const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(MakeGet(key, options), ForRead(*core_, options)));
  return TakeGet(*core_, std::move(answer));
}

Future<GetResult> Client::GetAsync(std::string_view key, const ReadOptions& options) {
  return Async<GetResult>(core_, MakeGet(key, options), ForRead(*core_, options), TakeGet);
}

Result<RangeResult> Client::GetRange(const RangeRequest& range, const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(MakeGetRange(range, options), ForRead(*core_, options)));
  return range.keys_only ? TakeKeys(*core_, std::move(answer))
                         : TakeRange(*core_, std::move(answer));
}

Future<RangeResult> Client::GetRangeAsync(const RangeRequest& range, const ReadOptions& options) {
  return Async<RangeResult>(core_, MakeGetRange(range, options), ForRead(*core_, options),
                            range.keys_only ? TakeKeys : TakeRange);
}

Status Client::Scan(const RangeRequest& range,
                    const std::function<bool(const std::string&, const std::string&)>& each,
                    const ReadOptions& options) {
  return Scan(range, each, options, ScanCanceller());
}

Status Client::Scan(const RangeRequest& range,
                    const std::function<bool(const std::string&, const std::string&)>& each,
                    const ReadOptions& options, const ScanCanceller& canceller) {
  client::ScanJob job;
  job.range = ToKv(range);
  job.column_family = options.column_family;
  job.at_version = Version(options.at_version);
  job.timeout = options.timeout;
  RunOptions run = ForRead(*core_, options);
  run.cancellation = canceller.all_;
  return client::RunScan(*core_, std::move(job), run, each);
}

ScanCanceller::ScanCanceller() : all_(std::make_shared<client::Cancellation>()) {}
void ScanCanceller::Cancel() const { all_->Cancel(); }

Result<std::uint64_t> Client::GetReadVersion(const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer, core_->Execute(kv::KvOperation(kv::GetReadVersion{}),
                                                       ForRead(*core_, options)));
  return TakeVersion(*core_, std::move(answer));
}

Future<std::uint64_t> Client::GetReadVersionAsync(const ReadOptions& options) {
  return Async<std::uint64_t>(core_, kv::KvOperation(kv::GetReadVersion{}),
                              ForRead(*core_, options), TakeVersion);
}

Result<std::uint64_t> Client::GetCommittedVersion(const ReadOptions& options) {
  RunOptions run = ForRead(*core_, options);
  run.min_version = Version(options.min_version);
  CAIRN_ASSIGN_OR_RETURN(const Answer answer,
                         core_->Execute(kv::KvOperation(kv::GetCommittedVersion{}), run));
  return std::get<kv::VersionResult>(answer).version.value();
}

Future<std::uint64_t> Client::GetCommittedVersionAsync(const ReadOptions& options) {
  RunOptions run = ForRead(*core_, options);
  run.min_version = Version(options.min_version);
  // As the synchronous form: what one node has is no version that this client has seen committed.
  return Async<std::uint64_t>(core_, kv::KvOperation(kv::GetCommittedVersion{}), run,
                              [](ClientCore&, Answer answer) {
                                return std::get<kv::VersionResult>(answer).version.value();
                              });
}

// ---- Writes

Result<std::uint64_t> Client::Set(std::string_view key, std::string_view value,
                                  const WriteOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(
      Answer answer, core_->Execute(kv::KvOperation(kv::Set{std::string(key), std::string(value),
                                                            options.column_family}),
                                    ForWrite(*core_, options)));
  return TakeVersion(*core_, std::move(answer));
}

Future<std::uint64_t> Client::SetAsync(std::string_view key, std::string_view value,
                                       const WriteOptions& options) {
  return Async<std::uint64_t>(
      core_, kv::KvOperation(kv::Set{std::string(key), std::string(value), options.column_family}),
      ForWrite(*core_, options), TakeVersion);
}

Result<std::uint64_t> Client::Delete(std::string_view key, const WriteOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(
      Answer answer,
      core_->Execute(kv::KvOperation(kv::Delete{std::string(key), options.column_family}),
                     ForWrite(*core_, options)));
  return TakeVersion(*core_, std::move(answer));
}

Future<std::uint64_t> Client::DeleteAsync(std::string_view key, const WriteOptions& options) {
  return Async<std::uint64_t>(core_,
                              kv::KvOperation(kv::Delete{std::string(key), options.column_family}),
                              ForWrite(*core_, options), TakeVersion);
}

Result<VersionstampResult> Client::SetVersionstampedKey(std::string_view key_template,
                                                        std::string_view value,
                                                        const WriteOptions& options) {
  CAIRN_RETURN_IF_ERROR(kv::CheckStampTemplate("key_template", key_template));
  CAIRN_ASSIGN_OR_RETURN(
      Answer answer,
      core_->Execute(kv::KvOperation(kv::SetVersionstampedKey{
                         std::string(key_template), std::string(value), options.column_family}),
                     ForWrite(*core_, options)));
  const std::uint64_t version = TakeVersion(*core_, std::move(answer));
  return VersionstampResult{version, Stamped(key_template, version)};
}

Result<VersionstampResult> Client::SetVersionstampedValue(std::string_view key,
                                                          std::string_view value_template,
                                                          const WriteOptions& options) {
  CAIRN_RETURN_IF_ERROR(kv::CheckStampTemplate("value_template", value_template));
  CAIRN_ASSIGN_OR_RETURN(
      Answer answer,
      core_->Execute(kv::KvOperation(kv::SetVersionstampedValue{
                         std::string(key), std::string(value_template), options.column_family}),
                     ForWrite(*core_, options)));
  const std::uint64_t version = TakeVersion(*core_, std::move(answer));
  return VersionstampResult{version, Stamped(value_template, version)};
}

Future<VersionstampResult> Client::SetVersionstampedKeyAsync(std::string_view key_template,
                                                             std::string_view value,
                                                             const WriteOptions& options) {
  if (Status wrong = kv::CheckStampTemplate("key_template", key_template); !wrong.ok()) {
    return Failed<VersionstampResult>(std::move(wrong));
  }
  return Async<VersionstampResult>(
      core_,
      kv::KvOperation(kv::SetVersionstampedKey{std::string(key_template), std::string(value),
                                               options.column_family}),
      ForWrite(*core_, options), TakeStamped(key_template));
}

Future<VersionstampResult> Client::SetVersionstampedValueAsync(std::string_view key,
                                                               std::string_view value_template,
                                                               const WriteOptions& options) {
  if (Status wrong = kv::CheckStampTemplate("value_template", value_template); !wrong.ok()) {
    return Failed<VersionstampResult>(std::move(wrong));
  }
  return Async<VersionstampResult>(
      core_,
      kv::KvOperation(kv::SetVersionstampedValue{std::string(key), std::string(value_template),
                                                 options.column_family}),
      ForWrite(*core_, options), TakeStamped(value_template));
}

// ---- Transactions

Transaction Client::Begin(const TransactionOptions& options) {
  return Transaction(std::make_shared<client::TransactionState>(core_, options));
}

Result<std::uint64_t> Client::Run(const std::function<Status(Transaction&)>& body,
                                  const TransactionOptions& options) {
  Transaction transaction = Begin(options);
  for (;;) {
    Status status = body(transaction);
    if (status.ok()) {
      Result<std::uint64_t> committed = transaction.Commit();
      if (committed.ok()) {
        core_->Saw(Version(*committed));
        return committed;
      }
      status = std::move(committed).status();
    }
    CAIRN_RETURN_IF_ERROR(transaction.OnError(status));
  }
}

// ---- Administration

Result<std::uint64_t> Client::CreateColumnFamily(std::string_view name,
                                                 const WriteOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(kv::KvOperation(kv::CreateColumnFamily{std::string(name)}),
                                        ForWrite(*core_, options)));
  return TakeVersion(*core_, std::move(answer));
}

Result<std::uint64_t> Client::DropColumnFamily(std::string_view name, const WriteOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(kv::KvOperation(kv::DropColumnFamily{std::string(name)}),
                                        ForWrite(*core_, options)));
  return TakeVersion(*core_, std::move(answer));
}

Result<std::vector<std::string>> Client::ListColumnFamilies(const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(client::ListFamilies{}, ForRead(*core_, options)));
  return std::get<client::FamilyNames>(std::move(answer));
}

Result<std::chrono::nanoseconds> Client::Ping(const ReadOptions& options) {
  const MonotonicTime sent = core_->scheduler().Now();
  CAIRN_RETURN_IF_ERROR(core_->Execute(client::Ping{}, ForRead(*core_, options)).status());
  return std::chrono::nanoseconds(core_->scheduler().Now() - sent);
}

Result<ClusterInfo> Client::GetClusterInfo(const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(Answer answer,
                         core_->Execute(client::GetClusterInfo{}, ForRead(*core_, options)));
  return std::get<ClusterInfo>(std::move(answer));
}

// ---- The two clients, but for how they connect (src/client/library)

NodeClient::NodeClient(std::string endpoint, std::shared_ptr<ClientCore> core)
    : Client(std::move(core)), endpoint_(std::move(endpoint)) {}
NodeClient::~NodeClient() = default;

Result<bool> NodeClient::IsLeader(const ReadOptions& options) {
  CAIRN_ASSIGN_OR_RETURN(const Answer answer,
                         core().Execute(client::GetNodeInfo{}, ForRead(core(), options)));
  return std::get<NodeInfo>(answer).is_leader;
}

MultiNodeClient::MultiNodeClient(std::shared_ptr<ClientCore> core) : Client(std::move(core)) {}
MultiNodeClient::~MultiNodeClient() = default;

Result<std::string> MultiNodeClient::DiscoverLeader() { return core().DiscoverLeader(); }
std::vector<EndpointState> MultiNodeClient::Endpoints() const { return core().nodes().States(); }

}  // namespace cairn
