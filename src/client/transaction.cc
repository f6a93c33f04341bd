// The public Transaction: a cover of TransactionState.
#include "cairn/transaction.h"

#include "src/base/codec.h"
#include "src/client/transaction_state.h"

namespace cairn {
namespace {

kv::Mutation MakeMutation(kv::MutationType type, std::string_view key, std::string_view value,
                          std::string_view family) {
  return {type, std::string(key), std::string(value), std::string(family)};
}

}  // namespace

std::string MakeVersionstamp(std::uint64_t version, std::uint16_t order) {
  std::string stamp;
  Encoder encoder(&stamp);
  encoder.BigEndian64(version);
  encoder.BigEndian16(order);
  return stamp;
}

Transaction::Transaction(std::shared_ptr<client::TransactionState> state)
    : state_(std::move(state)) {}
Transaction::Transaction(Transaction&&) noexcept = default;
Transaction& Transaction::operator=(Transaction&&) noexcept = default;
Transaction::~Transaction() = default;

Result<GetResult> Transaction::Get(std::string_view key, std::string_view column_family) {
  return state_->Get(key, column_family, /*snapshot=*/false);
}
Future<GetResult> Transaction::GetAsync(std::string_view key, std::string_view column_family) {
  return state_->GetAsync(key, column_family, /*snapshot=*/false);
}
Result<GetResult> Transaction::SnapshotGet(std::string_view key, std::string_view column_family) {
  return state_->Get(key, column_family, /*snapshot=*/true);
}
Future<GetResult> Transaction::SnapshotGetAsync(std::string_view key,
                                                std::string_view column_family) {
  return state_->GetAsync(key, column_family, /*snapshot=*/true);
}

Result<RangeResult> Transaction::GetRange(const RangeRequest& range,
                                          std::string_view column_family) {
  return state_->GetRange(range, column_family, /*snapshot=*/false);
}
Future<RangeResult> Transaction::GetRangeAsync(const RangeRequest& range,
                                               std::string_view column_family) {
  return state_->GetRangeAsync(range, column_family, /*snapshot=*/false);
}
Result<RangeResult> Transaction::SnapshotGetRange(const RangeRequest& range,
                                                  std::string_view column_family) {
  return state_->GetRange(range, column_family, /*snapshot=*/true);
}
Future<RangeResult> Transaction::SnapshotGetRangeAsync(const RangeRequest& range,
                                                       std::string_view column_family) {
  return state_->GetRangeAsync(range, column_family, /*snapshot=*/true);
}

Result<std::optional<std::string>> Transaction::GetKey(const KeySelector& selector,
                                                       std::string_view column_family) {
  return state_->GetKey(selector, column_family, /*snapshot=*/false);
}
Future<std::optional<std::string>> Transaction::GetKeyAsync(const KeySelector& selector,
                                                            std::string_view column_family) {
  return state_->GetKeyAsync(selector, column_family, /*snapshot=*/false);
}
Result<std::optional<std::string>> Transaction::SnapshotGetKey(const KeySelector& selector,
                                                               std::string_view column_family) {
  return state_->GetKey(selector, column_family, /*snapshot=*/true);
}
Future<std::optional<std::string>> Transaction::SnapshotGetKeyAsync(
    const KeySelector& selector, std::string_view column_family) {
  return state_->GetKeyAsync(selector, column_family, /*snapshot=*/true);
}

void Transaction::Set(std::string_view key, std::string_view value,
                      std::string_view column_family) {
  state_->Write(MakeMutation(kv::MutationType::kSet, key, value, column_family));
}

void Transaction::Delete(std::string_view key, std::string_view column_family) {
  state_->Write(MakeMutation(kv::MutationType::kDelete, key, {}, column_family));
}

Status Transaction::DeleteRange(std::string_view begin, std::string_view end,
                                std::string_view column_family) {
  RangeRequest range = RangeRequest::Between(std::string(begin), std::string(end));
  range.keys_only = true;
  std::vector<std::string> keys;
  for (bool more = true; more;) {
    CAIRN_ASSIGN_OR_RETURN(RangeResult page, GetRange(range, column_family));
    for (KeyValue& pair : page.key_values) keys.push_back(std::move(pair.key));
    more = page.has_more;
    if (more) range.begin = KeySelector::FirstGreaterThan(keys.back());
  }
  for (const std::string& key : keys) Delete(key, column_family);
  return Status::Ok();
}

void Transaction::SetVersionstampedKey(std::string_view key_template, std::string_view value,
                                       std::string_view column_family) {
  state_->Write(
      MakeMutation(kv::MutationType::kSetVersionstampedKey, key_template, value, column_family));
}

void Transaction::SetVersionstampedValue(std::string_view key, std::string_view value_template,
                                         std::string_view column_family) {
  state_->Write(
      MakeMutation(kv::MutationType::kSetVersionstampedValue, key, value_template, column_family));
}

void Transaction::AddReadConflictKey(std::string_view key, std::string_view column_family) {
  state_->AddConflictKey(key, column_family);
}

void Transaction::AddReadConflictRange(std::string_view begin, std::string_view end,
                                       std::string_view column_family) {
  state_->AddConflictRange(std::string(begin), std::string(end), column_family);
}

Result<std::uint64_t> Transaction::GetReadVersion() {
  CAIRN_ASSIGN_OR_RETURN(const Version version, state_->ReadVersion());
  return version.value();
}

Future<std::uint64_t> Transaction::GetReadVersionAsync() { return state_->ReadVersionAsync(); }

Result<std::uint64_t> Transaction::Commit() { return state_->Commit(); }
Future<std::uint64_t> Transaction::CommitAsync() { return state_->CommitAsync(); }
std::uint64_t Transaction::committed_version() const { return state_->committed_version(); }
Status Transaction::OnError(const Status& status) {
  return state_->OnErrorAsync(status).Get().status();
}
Future<std::uint64_t> Transaction::OnErrorAsync(const Status& status) {
  return state_->OnErrorAsync(status);
}
void Transaction::Reset() { state_->Reset(); }
void Transaction::Cancel() { state_->Cancel(); }
std::function<void()> Transaction::Canceller() const {
  return [weak = std::weak_ptr<client::TransactionState>(state_)] {
    if (const auto state = weak.lock()) state->Cancel();
  };
}
std::size_t Transaction::pending_writes() const { return state_->pending_writes(); }

}  // namespace cairn
