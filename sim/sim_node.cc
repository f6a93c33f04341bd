#include "sim/sim_node.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/replication/forward_messages.h"
#include "src/replication/peer_frame.h"
#include "src/replication/snapshot_messages.h"

namespace cairn::sim {

using replication::FrameKind;

namespace {

constexpr char kDataFolder[] = "/node";
constexpr char kJournalFolder[] = "/node/journal";

bool IsWatched(const std::string& frame) {
  const std::optional<FrameKind> kind = replication::KindOf(frame);
  return kind == FrameKind::kSnapshotAck || kind == FrameKind::kForwardRequest;
}

// A file whose Sync does nothing and says that all is well.
class LyingFile final : public File {
 public:
  explicit LyingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Status WriteAt(std::uint64_t offset, std::string_view data) override {
    return file_->WriteAt(offset, data);
  }
  Status ReadAt(std::uint64_t offset, std::size_t size, std::string* out) const override {
    return file_->ReadAt(offset, size, out);
  }
  Status Sync() override { return Status::Ok(); }
  Status Allocate(std::uint64_t size) override { return file_->Allocate(size); }
  Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
  [[nodiscard]] Result<std::uint64_t> Size() const override { return file_->Size(); }

 private:
  const std::unique_ptr<File> file_;
};

}  // namespace

// Lies about the sync of files; folders are synced, so that the files are at least there.
class SimNode::LyingFileSystem final : public FileSystem {
 public:
  explicit LyingFileSystem(FileSystem* files) : files_(files) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    CAIRN_ASSIGN_OR_RETURN(auto file, files_->Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<LyingFile>(std::move(file)));
  }
  [[nodiscard]] bool Exists(const std::string& path) const override { return files_->Exists(path); }
  [[nodiscard]] bool IsDirectory(const std::string& path) const override {
    return files_->IsDirectory(path);
  }
  Result<std::vector<std::string>> List(const std::string& directory) const override {
    return files_->List(directory);
  }
  Status CreateDirectories(const std::string& path) override {
    return files_->CreateDirectories(path);
  }
  Status Remove(const std::string& path) override { return files_->Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return files_->RemoveDirectory(path); }
  Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return files_->Link(from, to);
  }
  Status SyncDirectory(const std::string& path) override { return files_->SyncDirectory(path); }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return files_->Lock(path);
  }
  Result<std::uint64_t> FreeBytes(const std::string& path) const override {
    return files_->FreeBytes(path);
  }

 private:
  FileSystem* const files_;
};

// The node's end of the network.
class SimNode::Transport final : public transport::PeerTransport {
 public:
  Transport(SimNode* node, SimExecutor* net) : node_(node), net_(net) {}
  ~Transport() override { node_->world_.network->SetReceiver(node_->id(), nullptr); }

  void Send(NodeId to, transport::Lane, std::string frame) override {
    node_->world_.invariants->Sends(node_->id(), frame);
    const std::string copy = IsWatched(frame) ? frame : std::string();
    node_->world_.network->Send(node_->id(), to, std::move(frame));
    if (!copy.empty()) node_->Watch(to, copy);
  }
  void SetReceiver(Receiver receiver) override {
    if (!receiver) return node_->world_.network->SetReceiver(node_->id(), nullptr);
    node_->world_.network->SetReceiver(
        node_->id(),
        [node = node_, net = net_, shared = std::make_shared<const Receiver>(std::move(receiver))](
            NodeId from, std::string frame) {
          if (replication::KindOf(frame) == FrameKind::kForwardResponse) node->Watch(from, frame);
          net->Post([shared, from, frame = std::move(frame)]() mutable {
            (*shared)(from, std::move(frame));
          });
        });
  }

 private:
  SimNode* const node_;
  SimExecutor* const net_;
};

SimNode::Process::Process(Scheduler* scheduler, const SimClock* clock,
                          const SimNodeOptions& options, const Pace& disk)
    : threads(scheduler, clock),
      core(&threads, options.cpu),
      journal_thread(&threads, disk),
      apply(&threads, options.cpu),
      upkeep(&threads, disk),
      net(&threads, options.cpu),
      server(&threads, options.cpu) {}

SimNode::SimNode(const SimWorld& world, const SimNodeOptions& options)
    : world_(world),
      options_(options),
      clock_(world.scheduler, options.clock_start_ns, options.clock_drift_ppm),
      lying_disk_(std::make_unique<LyingFileSystem>(&disk_)),
      engines_(&disk_) {}

SimNode::~SimNode() {
  if (process_ == nullptr) return;
  process_->threads.Kill();
  process_->replica->Stop();
}

replication::ReplicaEnvironment SimNode::EnvironmentOf(Process* process) {
  replication::ReplicaEnvironment environment;
  environment.clock = &clock_;
  environment.core = &process->core;
  environment.journal = &process->journal_thread;
  environment.apply = &process->apply;
  environment.upkeep = &process->upkeep;
  environment.transport = process->transport.get();
  environment.files = &disk_;
  environment.snapshot_directory = std::string(kDataFolder) + "/snapshots";
  environment.install_snapshot = [this, process](const std::string& folder,
                                                 const storage::StateMeta& meta,
                                                 const auto& prepare) {
    ++process->installs;
    if (on_install_) on_install_();
    return process->engine->Install(folder, meta, prepare);
  };
  environment.fatal = [this](const Status&) { failed_ = true; };
  return environment;
}

Status SimNode::Start() {
  CAIRN_ASSIGN_OR_RETURN(process_, MakeProcess());
  failed_ = false;
  ++life_;
  if (slow_disk_) world_.effects->Count(Effect::kStartOnSlowDisk);
  const auto installed = process_->engine->installed();
  const bool interrupted =
      installed && installed->slot > process_->journal->Contents().compacted_slot;
  const Status started = process_->replica->Start(
      [raw = process_.get()](const Status& status) { raw->serving = status.ok(); });
  if (started.ok() && interrupted) world_.effects->Count(Effect::kInstallFinished);
  return started;
}

Result<std::unique_ptr<SimNode::Process>> SimNode::MakeProcess() {
  auto process = std::make_unique<Process>(world_.scheduler, &clock_, options_,
                                           slow_disk_.value_or(options_.disk));
  process->journal_thread.WatchSteps(
      kElectionTimeout, [effects = world_.effects] { effects->Count(Effect::kSlowStep); });
  consensus::JournalOptions journal;
  journal.directory = kJournalFolder;
  journal.segment_bytes = options_.segment_bytes;
  journal.prewrite_bytes = 0;
  FileSystem* const files = options_.disk_lies ? lying_disk_.get() : &disk_;
  Random* const random = &world_.scheduler->random();
  CAIRN_ASSIGN_OR_RETURN(auto opened, consensus::Journal::Open(journal, files, random));
  CAIRN_ASSIGN_OR_RETURN(
      process->engine,
      storage::SwapEngine::Open({&disk_, kDataFolder, [this](const std::string& folder) {
                                   return engines_.Open(folder);
                                 }}));
  process->journal = world_.invariants->Watch(id(), std::move(opened), process->engine.get());
  CAIRN_ASSIGN_OR_RETURN(process->executor,
                         replication::StateMachineExecutor::Open(process->engine.get()));
  process->transport = std::make_unique<Transport>(this, &process->net);
  auto core = std::make_unique<consensus::raft::RaftCore>(options_.raft, random);
  replication::ReplicaOptions replica = options_.replica;
  replica.boot = random->Next();
  if (const auto installed = process->engine->installed()) {
    replica.installed_slot = installed->slot;
    replica.installed_epoch = installed->epoch;
  }
  process->replica = replication::Replica::Create(
      replica, EnvironmentOf(process.get()), world_.invariants->Watch(id(), std::move(core)),
      process->journal.get(), process->executor.get(), process->engine.get());
  process->routing = std::make_unique<replication::RoutingManager>(
      options_.routing, process->executor.get(), process->replica.get(), &clock_, nullptr);
  return process;
}

void SimNode::Pause() {
  world_.group->Stopped(id());
  process_->threads.Pause();
}

void SimNode::SlowDisk(const Pace& pace) {
  slow_disk_ = pace;
  if (process_ == nullptr) return;
  process_->journal_thread.SetPace(pace);
  process_->upkeep.SetPace(pace);
}

void SimNode::UsualDisk() {
  slow_disk_.reset();
  if (process_ == nullptr) return;
  process_->journal_thread.SetPace(options_.disk);
  process_->upkeep.SetPace(options_.disk);
}

// ---- What is counted

void SimNode::LookAtEngine() {
  if (process_ == nullptr) return;
  const bool full = process_->engine->Health().code() == StatusCode::kResourceExhausted;
  if (full && !process_->engine_full) world_.effects->Count(Effect::kEngineNoRoom);
  process_->engine_full = full;
}

void SimNode::CountEnd() {
  world_.group->Ended(id());
  if (process_->receiving) world_.effects->Count(Effect::kCutInTransfer);
  const MonotonicTime now = world_.scheduler->now();
  const bool forwards = std::any_of(process_->forwards.begin(), process_->forwards.end(),
                                    [now](const auto& f) { return f.second.deadline > now; });
  if (forwards) world_.effects->Count(Effect::kForwarderLost);
  if (process_->installs > process_->replica->status().snapshots_installed) {
    world_.effects->Count(Effect::kCutInInstall);
  }
}

void SimNode::Watch(NodeId peer, const std::string& frame) {
  const auto decoded = replication::DecodeFrame(frame);
  CAIRN_CHECK(decoded.ok(), "a node sends frames that can't be read");
  switch (decoded->header.kind) {
    case FrameKind::kSnapshotAck:
      return OnSnapshotAck(decoded->body);
    case FrameKind::kForwardRequest:
      return OnForwardRequest(peer, decoded->body);
    case FrameKind::kForwardResponse:
      return OnForwardResponse(decoded->body);
    default:
      return;
  }
}

void SimNode::OnSnapshotAck(std::string_view body) {
  const auto ack = replication::DecodeSnapshotAck(body);
  CAIRN_CHECK(ack.ok(), "a node sends frames that can't be read");
  const bool receiving = ack->verdict == replication::SnapshotAck::Verdict::kGoOn;
  const bool begins = receiving && !process_->receiving;
  process_->receiving = receiving;
  if (begins && on_transfer_) on_transfer_();
}

void SimNode::OnForwardRequest(NodeId to, std::string_view body) {
  const auto request = replication::DecodeForwardRequest(body);
  CAIRN_CHECK(request.ok(), "a node sends frames that can't be read");
  auto& forwards = process_->forwards;
  const std::uint64_t digest = XXH3_64bits(request->command.data(), request->command.size());
  const bool again = std::any_of(forwards.begin(), forwards.end(), [&](const auto& forward) {
    return forward.second.digest == digest && forward.second.epoch != request->epoch;
  });
  if (again) world_.effects->Count(Effect::kForwardRepeated);
  std::erase_if(forwards, [&](const auto& forward) {
    return forward.first < request->floor || forward.second.digest == digest;
  });
  forwards[request->id] = {request->epoch, digest, world_.scheduler->now() + request->time_left};
  if (on_forward_) on_forward_(to);
}

void SimNode::OnForwardResponse(std::string_view body) {
  const auto response = replication::DecodeForwardResponse(body);
  if (response.ok() && process_ != nullptr) process_->forwards.erase(response->id);
}

// ---- Ends

void SimNode::Stop() {
  if (process_ == nullptr) return;
  CountEnd();
  process_->serving = false;
  process_->replica->Stop();
  process_->threads.Kill();
  // An orderly stop loses nothing of the engine's either: it flushes.
  (void)process_->engine->Flush();
  process_.reset();
  disk_.Crash(CrashMode::kKeepUnsynced, nullptr);
}

void SimNode::Crash(CrashMode mode) {
  if (process_ != nullptr) {
    CountEnd();
    // The threads die first: nothing of this process runs from here on, and nobody is answered.
    process_->threads.Kill();
    process_->serving = false;
    ++life_;
    process_->replica->Stop();
    process_.reset();
  }
  const FaultEffects before = disk_.Effects();
  disk_.Crash(mode, &world_.scheduler->random());
  const FaultEffects after = disk_.Effects();
  if (after.files_lost_bytes > before.files_lost_bytes || after.names_lost > before.names_lost) {
    world_.effects->Count(Effect::kUnsyncedLost);
  }
  engines_.Crash();
  failed_ = false;
}

void SimNode::Wipe() {
  CAIRN_CHECK(process_ == nullptr, "a running node's disk is not taken away");
  CAIRN_CHECK(disk_.RemoveTree(kDataFolder).ok() && disk_.SyncDirectory("/").ok(),
              "the disk can't be emptied");
  engines_.Crash();
  options_.replica.incarnation = IncarnationId(options_.replica.incarnation.value() + 1000);
  options_.raft.incarnation = options_.replica.incarnation;
}

}  // namespace cairn::sim
