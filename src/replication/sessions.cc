#include "src/replication/sessions.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "src/base/check.h"
#include "src/base/codec.h"
#include "src/base/planted_bug.h"
#include "src/replication/state_keys.h"

namespace cairn::replication {
namespace {

using storage::SystemSpace;

constexpr std::uint8_t kRecordFormat = 1;

std::string EncodeAnswer(const Answer& answer) {
  std::string out;
  Encoder e(&out);
  e.U8(kRecordFormat);
  e.U8(static_cast<std::uint8_t>(answer.code));
  e.Varint(answer.version.value());
  return out;
}

Status Damaged(std::string_view key, std::string_view value) {
  return CorruptionError("a session record does not decode: key " + Printable(key) + ", value " +
                         Printable(value));
}

}  // namespace

std::uint64_t SessionMaskOf(WallTime first_command) {
  std::string time;
  Encoder(&time).SignedVarint(first_command.us);
  constexpr std::uint64_t kTop = std::uint64_t{1} << 62;
  return (XXH3_64bits(time.data(), time.size()) & (kTop - 1)) | kTop;
}

std::string EncodeSessionMask(std::uint64_t mask) {
  std::string out;
  Encoder e(&out);
  e.U8(kRecordFormat);
  e.Fixed64(mask);
  return out;
}

Result<std::uint64_t> DecodeSessionMask(std::string_view record) {
  Decoder d(record);
  const std::uint8_t format = d.U8();
  const std::uint64_t mask = d.Fixed64();
  if (!d.AtEnd() || format != kRecordFormat) {
    return CorruptionError("the mask of session ids does not decode: " + Printable(record));
  }
  return mask;
}

std::string SessionTable::Session::Encode() const {
  std::string out;
  Encoder e(&out);
  e.U8(kRecordFormat);
  e.SignedVarint(last_used.us);
  e.Varint(first_outstanding);
  return out;
}

Status SessionTable::Load(const storage::Engine& engine) {
  MutexLock lock(&mutex_);
  sessions_.clear();
  const auto range_of = [](char letter) {
    return storage::KeyRange{std::string(1, letter), std::string(1, static_cast<char>(letter + 1))};
  };
  CAIRN_ASSIGN_OR_RETURN(
      auto sessions, engine.NewSystemIterator(SystemSpace::kState, range_of(state_keys::kSession)));
  for (; sessions->Valid(); sessions->Next()) {
    Decoder key(sessions->key().substr(1));
    Decoder d(sessions->value());
    const SessionId id(key.BigEndian64());
    const std::uint8_t format = d.U8();
    Session session;
    session.last_used = {d.SignedVarint()};
    session.first_outstanding = d.Varint();
    if (!key.AtEnd() || !d.AtEnd() || format != kRecordFormat) {
      return Damaged(sessions->key(), sessions->value());
    }
    sessions_.emplace(id, std::move(session));
  }
  CAIRN_RETURN_IF_ERROR(sessions->status());
  CAIRN_ASSIGN_OR_RETURN(
      auto answers, engine.NewSystemIterator(SystemSpace::kState, range_of(state_keys::kAnswer)));
  for (; answers->Valid(); answers->Next()) {
    Decoder key(answers->key().substr(1));
    Decoder d(answers->value());
    const SessionId id(key.BigEndian64());
    const std::uint64_t sequence = key.BigEndian64();
    const std::uint8_t format = d.U8();
    Answer answer;
    answer.code = static_cast<StatusCode>(d.U8());
    answer.version = Version(d.Varint());
    const auto session = sessions_.find(id);
    if (!key.AtEnd() || !d.AtEnd() || format != kRecordFormat || session == sessions_.end()) {
      return Damaged(answers->key(), answers->value());
    }
    session->second.answers.emplace(sequence, answer);
  }
  return answers->status();
}

void SessionTable::Assign(SessionTable&& other) {
  Table sessions;
  {
    MutexLock lock(&other.mutex_);
    sessions = std::move(other.sessions_);
  }
  MutexLock lock(&mutex_);
  sessions_ = std::move(sessions);
}

void SessionTable::Open(SessionId id, WallTime now, storage::WriteBatch* batch) {
  Session session;
  session.last_used = now;
  batch->SystemPut(SystemSpace::kState, state_keys::Session(id), session.Encode());
  MutexLock lock(&mutex_);
  sessions_[id] = std::move(session);
}

SessionTable::Table::iterator SessionTable::Drop(Table::iterator it, storage::WriteBatch* batch) {
  batch->SystemDelete(SystemSpace::kState, state_keys::Session(it->first));
  for (const auto& [sequence, answer] : it->second.answers) {
    batch->SystemDelete(SystemSpace::kState, state_keys::Answer(it->first, sequence));
  }
  return sessions_.erase(it);
}

bool SessionTable::Close(SessionId id, storage::WriteBatch* batch) {
  MutexLock lock(&mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return false;
  Drop(it, batch);
  return true;
}

std::size_t SessionTable::Expire(WallTime before, storage::WriteBatch* batch) {
  MutexLock lock(&mutex_);
  std::size_t expired = 0;
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (it->second.last_used < before) {
      it = Drop(it, batch);
      ++expired;
    } else {
      ++it;
    }
  }
  return expired;
}

SessionTable::Check SessionTable::Admit(SessionId id, std::uint64_t sequence,
                                        std::uint64_t first_outstanding, WallTime now,
                                        storage::WriteBatch* batch) {
  MutexLock lock(&mutex_);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return {Verdict::kUnknown, {}};
  Session& session = it->second;
  // The clock of a new proposer may be behind: a session never looks less used than it was.
  session.last_used = std::max(session.last_used, now);
  if (first_outstanding > session.first_outstanding) {
    session.first_outstanding = first_outstanding;
    const auto end = Planted(PlantedBug::kAnswersForgottenEarly)
                         ? session.answers.upper_bound(first_outstanding)
                         : session.answers.lower_bound(first_outstanding);
    for (auto answer = session.answers.begin(); answer != end; ++answer) {
      batch->SystemDelete(SystemSpace::kState, state_keys::Answer(id, answer->first));
    }
    session.answers.erase(session.answers.begin(), end);
  }
  batch->SystemPut(SystemSpace::kState, state_keys::Session(id), session.Encode());
  if (sequence < session.first_outstanding) return {Verdict::kForgotten, {}};
  const auto answer = session.answers.find(sequence);
  if (answer != session.answers.end() && !Planted(PlantedBug::kDedupeOff))
    return {Verdict::kDuplicate, answer->second};
  return {Verdict::kApply, {}};
}

void SessionTable::Remember(SessionId id, std::uint64_t sequence, const Answer& answer,
                            storage::WriteBatch* batch) {
  MutexLock lock(&mutex_);
  const auto it = sessions_.find(id);
  // A CloseSession under its own session leaves nothing to remember it in.
  if (it == sessions_.end()) return;
  it->second.answers[sequence] = answer;
  if (Planted(PlantedBug::kAnswersNotPersisted)) return;
  batch->SystemPut(SystemSpace::kState, state_keys::Answer(id, sequence), EncodeAnswer(answer));
}

std::size_t SessionTable::size() const {
  MutexLock lock(&mutex_);
  return sessions_.size();
}

bool SessionTable::AnyUsedBefore(WallTime time) const {
  MutexLock lock(&mutex_);
  for (const auto& [id, session] : sessions_) {
    if (session.last_used < time) return true;
  }
  return false;
}

}  // namespace cairn::replication
