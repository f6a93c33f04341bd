// Client sessions: what makes a retried command be applied once. Each session remembers the answers
// to the sequences that its client may still ask about; the client's lowest outstanding sequence
// bounds them. (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3.)
//
// The table is a copy of the session and answer records in the engine; every change here is put
// into the batch that is passed along, so that both change together.
//
// Thread safety: changed by the apply thread; the figures may be read from any thread.
#ifndef CAIRN_SRC_REPLICATION_SESSIONS_H_
#define CAIRN_SRC_REPLICATION_SESSIONS_H_

#include <absl/container/btree_map.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/ids.h"
#include "src/base/mutex.h"
#include "src/storage/engine.h"

namespace cairn::replication {

// What was answered to a command: the code and the version, not the value nor the text.
struct Answer {
  StatusCode code = StatusCode::kOk;
  Version version;
};

// Ids of sessions are the versions that opened them under a mask (exclusive or). Versions alone
// begin anew with every database: a client that outlives one, whose folder was emptied, would go on
// in somebody else's session, and be given the answers to somebody else's commands. The mask is
// made of the time of a database's first command, with bit 62 set, which no version reaches.
std::uint64_t SessionMaskOf(WallTime first_command);
// kCorruption.
std::string EncodeSessionMask(std::uint64_t mask);
Result<std::uint64_t> DecodeSessionMask(std::string_view record);

class SessionTable {
 public:
  // What is known of a command before it is applied.
  enum class Verdict : std::uint8_t {
    kApply,      // never seen: apply it and Remember the answer
    kDuplicate,  // applied before: `answer` is what was said then
    kForgotten,  // the client said that it has the answer
    kUnknown,    // no such session
  };
  struct Check {
    Verdict verdict = Verdict::kUnknown;
    Answer answer;
  };

  // Reads all records. kCorruption.
  Status Load(const storage::Engine& engine);
  // Takes over what `other` holds, at once.
  void Assign(SessionTable&& other);

  void Open(SessionId id, WallTime now, storage::WriteBatch* batch);
  // False if there was no such session.
  bool Close(SessionId id, storage::WriteBatch* batch);
  // Closes every session last used before `before`; returns how many.
  std::size_t Expire(WallTime before, storage::WriteBatch* batch);

  // Looks a command up, marks its session used, and forgets the answers below `first_outstanding`.
  Check Admit(SessionId id, std::uint64_t sequence, std::uint64_t first_outstanding, WallTime now,
              storage::WriteBatch* batch);
  void Remember(SessionId id, std::uint64_t sequence, const Answer& answer,
                storage::WriteBatch* batch);

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool AnyUsedBefore(WallTime time) const;

 private:
  struct Session {
    WallTime last_used;
    std::uint64_t first_outstanding = 1;
    absl::btree_map<std::uint64_t, Answer> answers;  // by sequence

    [[nodiscard]] std::string Encode() const;
  };
  using Table = absl::btree_map<SessionId, Session>;

  Table::iterator Drop(Table::iterator it, storage::WriteBatch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  Table sessions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_SESSIONS_H_
