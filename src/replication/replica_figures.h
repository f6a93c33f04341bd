// What a replica measures of its own work, beside the positions of ReplicaStatus.
//
// Thread safety: a ReplicaFigures takes records and is read from any thread
// (src/metrics/metrics.h); ReplicaDepths is a plain value.
#ifndef CAIRN_SRC_REPLICATION_REPLICA_FIGURES_H_
#define CAIRN_SRC_REPLICATION_REPLICA_FIGURES_H_

#include <cstdint>

#include "src/metrics/metrics.h"

namespace cairn::replication {

// Times in nanoseconds, by the replica's clock.
struct ReplicaFigures {
  // Of one Journal::Sync that had something to make durable.
  metrics::Histogram sync{metrics::LatencyBounds()};
  // From the core's taking a batch of this node until it is committed and durable here.
  metrics::Histogram commit{metrics::LatencyBounds()};
  // Of applying one entry to the engine.
  metrics::Histogram apply{metrics::LatencyBounds()};
  // Commands, and bytes, of the batches that this node proposed.
  metrics::Histogram batch_commands{metrics::CountBounds()};
  metrics::Histogram batch_bytes{metrics::ByteBounds()};
  // Times that another leader than the last one became known, the first one included.
  metrics::Counter leader_changes;
};

// How long the queues between a replica's executors are now.
struct ReplicaDepths {
  std::uint64_t intake = 0;               // proposals on their way to the core
  std::uint64_t persists = 0;             // batches on their way to the journal
  std::uint64_t apply_entries = 0;        // committed entries that wait for the engine
  std::uint64_t apply_backlog_bytes = 0;  // of them
  std::uint64_t apply_memory_bytes = 0;   // of them, held in memory
  std::uint64_t inbox_bytes = 0;          // frames from peers on their way to the core
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_REPLICA_FIGURES_H_
