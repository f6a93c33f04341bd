#include "sim/sim_node.h"

#include <utility>
#include <vector>

#include "src/consensus/solo/solo_core.h"

namespace cairn::sim {
namespace {

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

SimNode::Process::Process(Scheduler* scheduler, const SimNodeOptions& options)
    : core(scheduler, options.cpu),
      journal_thread(scheduler, options.disk),
      apply(scheduler, options.cpu),
      upkeep(scheduler, options.disk) {}

SimNode::SimNode(Scheduler* scheduler, const SimNodeOptions& options)
    : scheduler_(scheduler),
      options_(options),
      clock_(scheduler),
      lying_disk_(std::make_unique<LyingFileSystem>(&disk_)) {}

SimNode::~SimNode() {
  if (process_) process_->replica->Stop();
}

Status SimNode::Start() {
  auto process = std::make_unique<Process>(scheduler_, options_);
  consensus::JournalOptions journal;
  journal.directory = kJournalFolder;
  journal.segment_bytes = options_.segment_bytes;
  FileSystem* const files = options_.disk_lies ? lying_disk_.get() : &disk_;
  CAIRN_ASSIGN_OR_RETURN(process->journal,
                         consensus::Journal::Open(journal, files, &scheduler_->random()));
  CAIRN_ASSIGN_OR_RETURN(process->executor, replication::StateMachineExecutor::Open(&engine_));
  replication::ReplicaEnvironment environment;
  environment.clock = &clock_;
  environment.core = &process->core;
  environment.journal = &process->journal_thread;
  environment.apply = &process->apply;
  environment.upkeep = &process->upkeep;
  environment.fatal = [this](const Status&) { failed_ = true; };
  process->replica = replication::Replica::Create(
      options_.replica, environment, std::make_unique<consensus::SoloCore>(options_.replica.node),
      process->journal.get(), process->executor.get(), &engine_);
  replication::RoutingOptions routing;
  routing.limits = options_.replica.limits;
  routing.default_deadline = std::chrono::seconds(5);
  process->routing = std::make_unique<replication::RoutingManager>(
      routing, process->executor.get(), process->replica.get(), &clock_, nullptr);
  process_ = std::move(process);
  failed_ = false;
  return process_->replica->Start(
      [raw = process_.get()](const Status& status) { raw->serving = status.ok(); });
}

void SimNode::Crash() {
  if (process_) {
    // The threads die first: nothing of this process runs from here on.
    process_->core.Kill();
    process_->journal_thread.Kill();
    process_->apply.Kill();
    process_->upkeep.Kill();
    process_->serving = false;
    // Who waited learns nothing of what was in the log: a crash answers nobody, but a simulated
    // client must not wait for ever.
    process_->replica->Stop();
    process_.reset();
  }
  disk_.Crash(&scheduler_->random());
  engine_.Crash();
  failed_ = false;
}

}  // namespace cairn::sim
