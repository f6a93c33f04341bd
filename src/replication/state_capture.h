// A hold on the whole state of a replica at one moment: every pair of every column family at the
// applied version, the state machine's records, and the meta record. What is written afterwards is
// not in it, however long it is read.
//
// It is cheap to take: iterators are opened, and none is moved. While it lives, the engine keeps
// the versions that it reads (StateMachineExecutor::Capture), and memory that was being flushed.
//
// Thread safety: taken on the apply thread, read and destroyed on any one other thread.
#ifndef CAIRN_SRC_REPLICATION_STATE_CAPTURE_H_
#define CAIRN_SRC_REPLICATION_STATE_CAPTURE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cairn/status.h"
#include "src/base/ids.h"
#include "src/digest/state_digest.h"
#include "src/storage/engine.h"

namespace cairn::replication {

struct StateCapture {
  struct FamilyPart {
    std::string name;
    FamilyId id;
    Version created;
    std::unique_ptr<storage::ReadIterator> pairs;  // at meta.version; not positioned
  };
  storage::StateMeta meta;
  std::vector<FamilyPart> families;  // "default" first, then in byte order of names
  std::unique_ptr<storage::SystemIterator> records;
  std::shared_ptr<const void> history;  // keeps old versions while it lives
};

// Names of the sections of a digest.
std::string FamilySection(std::string_view name);
inline constexpr std::string_view kRecordsSection = "records";
inline constexpr std::string_view kMetaSection = "meta";

// Reads all of it (docs/formats/state_digest.md). `proceed` is asked now and then, and ends it with
// its error.
Result<digest::StateDigest> DigestOf(StateCapture capture, const std::function<Status()>& proceed);

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_STATE_CAPTURE_H_
