// Reading a journal back: which segments count, what they hold, where the torn tail begins, and
// whether what is missing was ever acknowledged. The rules are in docs/formats/journal.md.
//
// Thread safety: runs before the journal is handed out.
#ifndef CAIRN_SRC_CONSENSUS_JOURNAL_RECOVERY_H_
#define CAIRN_SRC_CONSENSUS_JOURNAL_RECOVERY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/file.h"
#include "src/consensus/journal/journal.h"
#include "src/consensus/journal/journal_state.h"
#include "src/consensus/journal/segment.h"

namespace cairn::consensus::journal {

struct RecoveredJournal {
  // By sequence number, without gaps; empty if there is no journal yet. The last one takes appends
  // at its `end`, behind which no valid record is left, and everything in it is durable.
  std::map<std::uint64_t, std::shared_ptr<Segment>> segments;
  JournalState state;
  std::uint64_t torn_bytes = 0;
};

// `names` lists the journal's folder. Cuts the torn tail and removes segments that no longer count.
Result<RecoveredJournal> Recover(const JournalOptions& options,
                                 const std::vector<std::string>& names, FileSystem* files);

}  // namespace cairn::consensus::journal

#endif  // CAIRN_SRC_CONSENSUS_JOURNAL_RECOVERY_H_
