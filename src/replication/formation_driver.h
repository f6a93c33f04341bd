// Drives the formation of a cluster (src/consensus/formation) as the replica drives a core: over a
// transport, a file and a serial executor. It stands between the transport and the replica: frames
// of formation stay here, all others go on to whoever listens at replica_transport().
//
// The way of a node's start: Create reads the record; Start asks around; when the cluster exists,
// Hooks::formed names it and its first membership, and the replica is made with them. Afterwards
// the driver goes on answering nodes that come late, and asks for this node to be taken in if the
// membership does not hold it.
//
// The record is the file FORMATION in the data folder (docs/formats/formation.md), replaced
// atomically and durably before anything that rests on it is said.
//
// Threads: the machine belongs to the executor `core`; hooks run there. Create, Start,
// MembershipChanged and Stop from any thread.
#ifndef CAIRN_SRC_REPLICATION_FORMATION_DRIVER_H_
#define CAIRN_SRC_REPLICATION_FORMATION_DRIVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cairn/status.h"
#include "src/base/clock.h"
#include "src/base/executor.h"
#include "src/base/file.h"
#include "src/base/mutex.h"
#include "src/consensus/formation/formation.h"
#include "src/transport/peer_transport.h"

namespace cairn::replication {

struct FormationDriverOptions {
  consensus::formation::FormationOptions formation;
  std::string record_path;  // "<data folder>/FORMATION"
  std::uint64_t seed = 0;   // of the cluster's id, if this node makes it
};

// Pointers must outlive the driver's Stop and every task that it posted.
struct FormationEnvironment {
  const Clock* clock = nullptr;
  SerialExecutor* core = nullptr;
  FileSystem* files = nullptr;
  transport::PeerTransport* transport = nullptr;
};

struct FormationHooks {
  // The cluster exists, as of now or since an earlier start. Once.
  std::function<void(const consensus::formation::Formed&)> formed;
  // A node asks to be taken in; it asks again until it is, or this node stops.
  std::function<void(const consensus::formation::JoinRequest&)> join;
  // The record can't be written: the node must end. Once.
  std::function<void(const Status&)> fatal;
};

class FormationDriver : public std::enable_shared_from_this<FormationDriver> {
 public:
  // kCorruption if the record is damaged; kIoError if it can't be read.
  static Result<std::shared_ptr<FormationDriver>> Create(const FormationDriverOptions& options,
                                                         const FormationEnvironment& environment,
                                                         FormationHooks hooks);
  ~FormationDriver();

  // Takes the transport's frames from now on.
  void Start();
  // For the replica: sends as the transport does, and receives all but formation's frames.
  [[nodiscard]] transport::PeerTransport* replica_transport();
  // The membership in force, at the replica's start and whenever it changes.
  void MembershipChanged(const consensus::Membership& membership);
  // One line for logs: "waiting to hear from nodes 1, 2".
  [[nodiscard]] std::string Describe() const;
  // The machine does nothing more; frames go nowhere. Idempotent.
  void Stop();

 private:
  class ReplicaTransport;

  FormationDriver(const FormationDriverOptions& options, const FormationEnvironment& environment,
                  FormationHooks hooks, std::string record);

  // A task for the core executor that does nothing once Stop was called.
  template <class F>
  auto UnlessStopped(F task);
  void OnFrame(NodeId from, std::string frame);
  void Step(decltype(consensus::formation::FormationEvent::what) what);
  void CarryOut(consensus::formation::FormationEffects effects);
  void Send(const consensus::Message& message);
  void ArmTimer(MonotonicTime when);
  void TellWhatIsAwaited();

  const FormationDriverOptions options_;
  const FormationEnvironment env_;
  const FormationHooks hooks_;
  const std::unique_ptr<ReplicaTransport> replica_transport_;
  std::atomic<bool> stopped_{false};

  // Owned by the core executor.
  SeededRandom random_;
  std::string record_;
  consensus::formation::Formation machine_;
  std::optional<MonotonicTime> timer_;
  MonotonicTime tell_at_;  // whom this node waits for

  mutable Mutex mutex_;
  std::string description_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::replication

#endif  // CAIRN_SRC_REPLICATION_FORMATION_DRIVER_H_
