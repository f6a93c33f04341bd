#include "sim/sim_node.h"

#include <utility>
#include <vector>

#include "src/base/check.h"

namespace cairn::sim {
namespace {

constexpr char kDataFolder[] = "/node";
constexpr char kJournalFolder[] = "/node/journal";

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
  ~Transport() override { node_->network_->SetReceiver(node_->id(), nullptr); }

  void Send(NodeId to, transport::Lane, std::string frame) override {
    node_->invariants_->Sends(node_->id(), frame);
    node_->network_->Send(node_->id(), to, std::move(frame));
  }
  void SetReceiver(Receiver receiver) override {
    if (!receiver) return node_->network_->SetReceiver(node_->id(), nullptr);
    node_->network_->SetReceiver(
        node_->id(), [net = net_, shared = std::make_shared<const Receiver>(std::move(receiver))](
                         NodeId from, std::string frame) {
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
                          const SimNodeOptions& options)
    : threads(scheduler, clock),
      core(&threads, options.cpu),
      journal_thread(&threads, options.disk),
      apply(&threads, options.cpu),
      upkeep(&threads, options.disk),
      net(&threads, options.cpu),
      server(&threads, options.cpu) {}

SimNode::SimNode(Scheduler* scheduler, Network* network, Invariants* invariants,
                 const SimNodeOptions& options)
    : scheduler_(scheduler),
      network_(network),
      invariants_(invariants),
      options_(options),
      clock_(scheduler, options.clock_start_ns, options.clock_drift_ppm),
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
  environment.install_snapshot = [process](const std::string& folder,
                                           const storage::StateMeta& meta, const auto& prepare) {
    return process->engine->Install(folder, meta, prepare);
  };
  environment.fatal = [this](const Status&) { failed_ = true; };
  return environment;
}

Status SimNode::Start() {
  auto process = std::make_unique<Process>(scheduler_, &clock_, options_);
  consensus::JournalOptions journal;
  journal.directory = kJournalFolder;
  journal.segment_bytes = options_.segment_bytes;
  journal.prewrite_bytes = 0;
  FileSystem* const files = options_.disk_lies ? lying_disk_.get() : &disk_;
  CAIRN_ASSIGN_OR_RETURN(auto opened,
                         consensus::Journal::Open(journal, files, &scheduler_->random()));
  CAIRN_ASSIGN_OR_RETURN(
      process->engine,
      storage::SwapEngine::Open({&disk_, kDataFolder, [this](const std::string& folder) {
                                   return engines_.Open(folder);
                                 }}));
  process->journal = invariants_->Watch(id(), std::move(opened), process->engine.get());
  CAIRN_ASSIGN_OR_RETURN(process->executor,
                         replication::StateMachineExecutor::Open(process->engine.get()));
  process->transport = std::make_unique<Transport>(this, &process->net);
  auto core = std::make_unique<consensus::raft::RaftCore>(options_.raft, &scheduler_->random());
  replication::ReplicaOptions replica = options_.replica;
  if (const auto installed = process->engine->installed()) {
    replica.installed_slot = installed->slot;
    replica.installed_epoch = installed->epoch;
  }
  process->replica = replication::Replica::Create(
      replica, EnvironmentOf(process.get()), invariants_->Watch(id(), std::move(core)),
      process->journal.get(), process->executor.get(), process->engine.get());
  process->routing = std::make_unique<replication::RoutingManager>(
      options_.routing, process->executor.get(), process->replica.get(), &clock_, nullptr);
  process_ = std::move(process);
  failed_ = false;
  ++life_;
  return process_->replica->Start(
      [raw = process_.get()](const Status& status) { raw->serving = status.ok(); });
}

void SimNode::Stop() {
  if (process_ == nullptr) return;
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
    // The threads die first: nothing of this process runs from here on, and nobody is answered.
    process_->threads.Kill();
    process_->serving = false;
    ++life_;
    process_->replica->Stop();
    process_.reset();
  }
  disk_.Crash(mode, &scheduler_->random());
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
