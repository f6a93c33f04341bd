// backup, restore, cluster recover: a state as a file, and back.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "apps/cairn/admin_channel.h"
#include "apps/cairn/context.h"
#include "src/backup/backup_format.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/config/node_config.h"
#include "src/offline/recover.h"
#include "src/offline/restore.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::cli {
namespace {

using nlohmann::ordered_json;

// How often a terminal is told how far it is.
constexpr std::uint64_t kTellEvery = 16 << 20;

std::string Hex(std::uint64_t number) { return fmt::format("{:016x}", number); }

// Says how far it is, on a terminal.
class Progress {
 public:
  explicit Progress(std::string what)
      : what_(std::move(what)), shown_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (told_ != 0) std::cerr << "\n";
  }
  Status Tell(std::uint64_t bytes) {
    if (!shown_ || bytes < told_ + kTellEvery) return Status::Ok();
    told_ = bytes;
    std::cerr << "\r" << what_ << ": " << (bytes >> 20) << " MiB" << std::flush;
    return Status::Ok();
  }

 private:
  const std::string what_;
  const bool shown_;
  std::uint64_t told_ = 0;
};

ordered_json ToJson(const backup::Header& header) {
  return {{"version", header.version.value()},
          {"slot", header.slot.value()},
          {"node_id", header.node.value()},
          {"made_us", header.made.us},
          {"software_version", header.software_version},
          {"cluster", Hex(header.cluster)}};
}

// ---- backup

// A file that appears under its name when it is whole, and otherwise not at all.
class WholeFile {
 public:
  explicit WholeFile(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  ~WholeFile() {
    file_.reset();
    if (!done_ && opened_) (void)PosixFileSystem()->Remove(part_);
  }
  Status Open() {
    CAIRN_ASSIGN_OR_RETURN(file_, PosixFileSystem()->Open(part_, OpenMode::kCreateOrReplace));
    opened_ = true;
    return Status::Ok();
  }
  Status Append(std::string_view bytes) {
    CAIRN_RETURN_IF_ERROR(file_->WriteAt(size_, bytes));
    size_ += bytes.size();
    return Status::Ok();
  }
  Status Finish() {
    CAIRN_RETURN_IF_ERROR(file_->Sync());
    CAIRN_RETURN_IF_ERROR(PosixFileSystem()->Rename(part_, path_));
    done_ = true;
    return PosixFileSystem()->SyncDirectory(DirectoryOf(path_));
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  const std::string path_;
  const std::string part_;
  std::unique_ptr<File> file_;
  std::uint64_t size_ = 0;
  bool opened_ = false;
  bool done_ = false;
};

// Whether a backup can begin. One of a single node's own state is of one named node; any other one
// begins when a majority has said what is committed, which is not waited for longer than for any
// other answer.
MaybeFailure CheckBegin(Context* context, bool local) {
  if (local) {
    if (context->options().endpoints.size() == 1) return std::nullopt;
    return UsageFailure(fmt::format(
        "--local saves what one node has, and --endpoints (or CAIRN_ENDPOINTS) names {}: "
        "name that node alone, and save each node to a file of its own",
        context->options().endpoints.size()));
  }
  Client* client = nullptr;
  MaybeFailure failure = context->Connect(&client);
  if (!failure) {
    ReadOptions options = context->Reading();
    options.read_level = ReadLevel::kReadIndex;
    const auto version = client->GetReadVersion(options);
    if (!version.ok()) failure = FailureOf(version.status());
  }
  if (failure) {
    failure->message = fmt::format(
        "a backup begins when a majority of the voters has said what is committed, which it did "
        "not within --timeout-ms {}: {}; where no majority is left, --local saves what one node "
        "has",
        context->options().timeout.count(), failure->message);
  }
  return failure;
}

ExitCode RunBackup(Context& context, const Invocation& in) {
  const std::string path = in.Required("FILE");
  const Status free = PosixFileSystem()->Exists(path) && !in.Has("replace")
                          ? AlreadyExistsError("'" + path + "' exists; --replace replaces it")
                          : Status::Ok();
  if (!free.ok()) return context.Fail(FailureOf(free));
  if (const auto failure = CheckBegin(&context, in.Has("local"))) return context.Fail(*failure);
  WholeFile file(path);
  if (const Status status = file.Open(); !status.ok()) return context.Fail(FailureOf(status));
  AdminChannel channel(&context);
  AdminChannel::Chunks chunks;
  if (const auto failure = channel.Backup(
          in.Has("local"), std::chrono::milliseconds(*in.Number("wait-ms")), &chunks)) {
    return context.Fail(*failure);
  }
  // What arrives is written, and read as a restore would read it.
  std::string pending;
  std::size_t taken = 0;
  Progress progress("backup");
  backup::Reader reader([&](char* to, std::size_t size) -> Result<std::size_t> {
    if (taken == pending.size()) {
      CAIRN_ASSIGN_OR_RETURN(pending, chunks());
      taken = 0;
      CAIRN_RETURN_IF_ERROR(file.Append(pending));
      CAIRN_RETURN_IF_ERROR(progress.Tell(file.size()));
    }
    const std::size_t got = std::min(size, pending.size() - taken);
    std::memcpy(to, pending.data() + taken, got);
    taken += got;
    return got;
  });
  Result<offline::Restored> what =
      offline::Check(&reader, [](std::uint64_t) { return Status::Ok(); });
  if (what.ok()) {
    if (const Status finished = file.Finish(); !finished.ok()) what = finished;
  }
  if (!what.ok()) return context.Fail(FailureOf(what.status()));
  if (context.options().json) {
    ordered_json document = ToJson(what->header);
    document["file"] = path;
    document["pairs"] = what->pairs;
    document["bytes"] = file.size();
    Context::Print(document);
  } else {
    std::cout << fmt::format("{}: version {} as of node {}, {} pairs, {} bytes\n", path,
                             what->header.version.value(), what->header.node.value(), what->pairs,
                             file.size())
              << std::flush;
  }
  return kSuccess;
}

// ---- Offline

struct Offline {
  offline::Place place;
  std::unique_ptr<SeededRandom> random;
  offline::Tools tools;
};

Result<Offline> PlaceOf(const Invocation& in) {
  CAIRN_ASSIGN_OR_RETURN(config::NodeConfig config, config::LoadConfig(in.Required("config")));
  config::Overrides overrides;
  overrides.data_dir = in.Text("data-dir");
  CAIRN_RETURN_IF_ERROR(ApplyOverrides(overrides, &config));
  Offline offline;
  offline::Place& place = offline.place;
  place.folder = config::DataDirectory(config);
  while (place.folder.size() > 1 && place.folder.ends_with('/')) place.folder.pop_back();
  place.node = NodeId(static_cast<NodeId::rep>(config.deployment.instance_id));
  place.member = config.deployment.mode == config::DeploymentMode::kReplicated;
  if (place.member) {
    place.peer_endpoint =
        config::PeerEndpoints(config).at(config.deployment.instance_id).ToString();
  }
  offline.random = std::make_unique<SeededRandom>(SystemEntropy());
  offline.tools.files = PosixFileSystem();
  offline.tools.random = offline.random.get();
  offline.tools.open = [](const std::string& folder) -> Result<std::shared_ptr<storage::Engine>> {
    CAIRN_ASSIGN_OR_RETURN(auto engine,
                           storage::RocksDbEngine::Open(storage::RocksDbOptions(), folder));
    return std::shared_ptr<storage::Engine>(std::move(engine));
  };
  return offline;
}

// The file from its begin to its end.
Result<backup::Reader::Source> SourceOf(const std::string& path) {
  CAIRN_ASSIGN_OR_RETURN(std::unique_ptr<File> opened,
                         PosixFileSystem()->Open(path, OpenMode::kRead));
  const std::shared_ptr<File> file = std::move(opened);
  return backup::Reader::Source(
      [file, at = std::uint64_t{0}](char* to, std::size_t size) mutable -> Result<std::size_t> {
        std::string bytes;
        CAIRN_RETURN_IF_ERROR(file->ReadAt(at, size, &bytes));
        std::memcpy(to, bytes.data(), bytes.size());
        at += bytes.size();
        return bytes.size();
      });
}

Result<offline::Restored> RestoreOrCheck(const Invocation& in, std::string* folder) {
  CAIRN_ASSIGN_OR_RETURN(backup::Reader::Source source, SourceOf(in.Required("FILE")));
  backup::Reader reader(std::move(source));
  Progress progress(in.Has("check") ? "checked" : "restored");
  const auto tell = [&](std::uint64_t bytes) { return progress.Tell(bytes); };
  if (in.Has("check")) return offline::Check(&reader, tell);
  CAIRN_ASSIGN_OR_RETURN(Offline offline, PlaceOf(in));
  *folder = offline.place.folder;
  return offline::Restore(&reader, offline.place, offline.tools, tell);
}

ExitCode RunRestore(Context& context, const Invocation& in) {
  if (!in.Has("check") && !in.Has("config")) {
    return context.Fail(
        UsageFailure("restore needs --config FILE, the configuration of the node "
                     "that is to have the data; or --check, to read the backup "
                     "alone"));
  }
  std::string folder;
  const Result<offline::Restored> restored = RestoreOrCheck(in, &folder);
  if (!restored.ok()) return context.Fail(FailureOf(restored.status()));
  if (context.options().json) {
    ordered_json document = {{"backup", ToJson(restored->header)}, {"pairs", restored->pairs}};
    if (!folder.empty()) {
      document["folder"] = folder;
      document["cluster"] = Hex(restored->cluster.value());
      document["incarnation"] = Hex(restored->incarnation.value());
    }
    Context::Print(document);
    return kSuccess;
  }
  std::cout << fmt::format("version {} of node {}, {} pairs: whole\n",
                           restored->header.version.value(), restored->header.node.value(),
                           restored->pairs);
  if (!folder.empty()) {
    std::cout << "restored to " << folder << "\n";
    if (restored->cluster.value() != 0) {
      std::cout << "the node is the only member of the new cluster "
                << Hex(restored->cluster.value())
                << "; start it, and add others with `cairn cluster add`\n";
    }
  }
  std::cout << std::flush;
  return kSuccess;
}

ordered_json ToJson(const offline::Recovered& recovered) {
  ordered_json members = ordered_json::array();
  for (const auto& member : recovered.before.members) {
    members.push_back({{"node_id", member.node.value()}, {"peer_endpoint", member.endpoint}});
  }
  return {{"old_cluster", Hex(recovered.old_cluster.value())},
          {"cluster", Hex(recovered.cluster.value())},
          {"members_before", std::move(members)},
          {"applied_slot", recovered.applied_slot.value()},
          {"last_slot", recovered.last_slot.value()},
          {"last_epoch", recovered.last_epoch.value()}};
}

ExitCode RunRecover(Context& context, const Invocation& in) {
  if (!in.Has("config")) {
    return context.Fail(
        UsageFailure("cluster recover needs --config FILE, the configuration of "
                     "the node that survived"));
  }
  Result<Offline> offline = PlaceOf(in);
  if (!offline.ok()) return context.Fail(FailureOf(offline.status()));
  const bool really = in.Has("accept-loss");
  const Result<offline::Recovered> recovered =
      really ? offline::Recover(offline->place, offline->tools)
             : offline::Survey(offline->place, offline->tools);
  if (!recovered.ok()) return context.Fail(FailureOf(recovered.status()));
  if (context.options().json) {
    ordered_json document = ToJson(*recovered);
    document["done"] = really;
    Context::Print(document);
    return really ? kSuccess : kRefused;
  }
  std::string members;
  for (const auto& member : recovered->before.members) {
    members += (members.empty() ? "" : ", ") + ToString(member.node) + " at " + member.endpoint;
  }
  std::cout << fmt::format(
      "{}: member of cluster {}, whose members are {}.\nIts log ends in epoch {} at slot {}; the "
      "state of slot {} is in its database.\n",
      offline->place.folder, Hex(recovered->old_cluster.value()), members,
      recovered->last_epoch.value(), recovered->last_slot.value(), recovered->applied_slot.value());
  if (!really) {
    std::cout
        << "Nothing was changed that a start would not change. With --accept-loss this node "
           "becomes the only member of a NEW "
           "cluster:\n"
           "  * writes that were acknowledged and that this node does not have are LOST; of the "
           "nodes "
           "that survive, recover\n"
           "    the one whose log ends in the highest EPOCH, and among equal ones at the highest "
           "slot;\n"
           "  * writes that were never acknowledged, and that it has, become part of the data;\n"
           "  * the other members are turned away for good: empty their folders and add them "
           "anew.\n"
           "Do it only if a majority will not come back. Never do it on two nodes.\n"
        << std::flush;
    return kRefused;
  }
  std::cout << fmt::format(
                   "It is now the only member of the new cluster {}. Start it, then add "
                   "others on empty folders.\n",
                   Hex(recovered->cluster.value()))
            << std::flush;
  return kSuccess;
}

// ---- The table

OptionDef ConfigDef(const std::string& help) {
  return {.name = "config", .kind = ValueKind::kFile, .value_name = "FILE", .help = help};
}
OptionDef DataDirDef() {
  return {.name = "data-dir",
          .kind = ValueKind::kFolder,
          .value_name = "FOLDER",
          .help = "Takes the place of [database] base_path, as for cairnd"};
}

CommandDef BackupDef() {
  return {.name = "backup",
          .summary = "Writes the whole state of a node to a file, while it serves",
          .description =
              {"All of it is of one version, and holds every write that was acknowledged before "
               "the command began. The file appears when it is whole (FILE.part before), and was "
               "read and checked by then. Without --local it begins once a majority has said what "
               "is committed, and fails if that takes longer than --timeout-ms."},
          .arguments = {{.name = "FILE", .kind = ValueKind::kFile, .help = "The backup"}},
          .options = {{.name = "local",
                       .help = "What the node has applied, without asking the leader: also where "
                               "no majority is left. Of one node, which --endpoints names alone"},
                      {.name = "replace", .help = "Replaces FILE if it exists"},
                      {.name = "wait-ms",
                       .kind = ValueKind::kNumber,
                       .value_name = "N",
                       .help = "How long it may take in all",
                       .default_value = "86400000",
                       .min = 1,
                       .max = 8'640'000'000}},
          .common = kNodeOptions,
          .examples = {{"cairn --endpoints b:9090 backup monday.cairn", "From node b"},
                       {"cairn --endpoints b:9090 backup --local b.cairn",
                        "What node b has, where no majority is left"}}};
}

CommandDef RestoreDef() {
  return {.name = "restore",
          .summary = "Makes the data folder of a node from a backup",
          .description =
              {"Works on files; no node may run on the folder, which must be empty or not exist. "
               "With [deployment] mode = \"replicated\" in the configuration the node becomes the "
               "only member of a new cluster, with an id of its own; others join it with cluster "
               "add. A damaged or cut backup is refused, and leaves nothing behind."},
          .arguments = {{.name = "FILE", .kind = ValueKind::kFile, .help = "The backup"}},
          .options = {ConfigDef("The configuration of the node"),
                      DataDirDef(),
                      {.name = "check",
                       .help = "Reads and checks the backup, and restores nothing",
                       .excludes = {"config", "data-dir"}}},
          .common = {"json"},
          .examples = {{"cairn restore monday.cairn --config node0.toml", "Then start cairnd"},
                       {"cairn restore --check monday.cairn", "Is it whole?"}}};
}

CommandDef RecoverDef() {
  return {.name = "cluster recover",
          .summary = "Makes one surviving node a new cluster, when a majority is lost for good",
          .description =
              {"Works on the data folder of a node that is stopped. Without --accept-loss it says "
               "what the node has and changes nothing: acknowledged writes that only lost nodes "
               "had are lost. docs/operations.md says how to choose the node."},
          .options = {ConfigDef("The configuration of the node that survived"),
                      DataDirDef(),
                      {.name = "accept-loss", .help = "Does it; there is no way back"}},
          .common = {"json"},
          .examples = {{"cairn cluster recover --config node2.toml", "What does it have?"},
                       {"cairn cluster recover --config node2.toml --accept-loss", "Do it"}}};
}

}  // namespace

std::vector<Command> BackupCommands() {
  return {{BackupDef(), RunBackup}, {RestoreDef(), RunRestore}, {RecoverDef(), RunRecover}};
}

}  // namespace cairn::cli
