#include "src/replication/snapshot_receiver.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/log.h"
#include "src/kv/operation.h"

namespace cairn::replication {
namespace {

// What the installation of a snapshot needs beside its files: the engine's manifest, which is
// allocated 4 MiB at a time, options, log and small flushes, and what the node writes meanwhile.
constexpr std::uint64_t kInstallRoom = std::uint64_t{16} << 20;

constexpr std::string_view kFolderPrefix = "in.";

// The number of the folder whose record has this name.
std::optional<std::uint64_t> NumberOfRecord(std::string_view name) {
  constexpr std::size_t kAround = kFolderPrefix.size() + IncomingSnapshot::kRecordSuffix.size();
  if (name.size() <= kAround || !name.starts_with(kFolderPrefix) ||
      !name.ends_with(IncomingSnapshot::kRecordSuffix)) {
    return std::nullopt;
  }
  name.remove_prefix(kFolderPrefix.size());
  name.remove_suffix(IncomingSnapshot::kRecordSuffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

Status SnapshotReceiver::TakeUp(Slot applied) {
  if (!files_->Exists(directory_)) return Status::Ok();
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(directory_));
  std::optional<std::uint64_t> latest;
  for (const std::string& name : names) latest = std::max(latest, NumberOfRecord(name));
  if (latest) {
    next_folder_ = *latest + 1;
    const std::string folder =
        directory_ + "/" + std::string(kFolderPrefix) + std::to_string(*latest);
    Result<Incoming> taken = TakeUpFolder(folder, applied);
    if (taken.ok()) {
      CAIRN_LOG(kInfo, "snapshot: slot {} from node {}: {} of {} bytes are here already",
                taken->meta.applied_slot.value(), taken->files.from().value(),
                BytesBefore(taken->files.offer(), taken->files.have()),
                BytesOf(taken->files.offer()));
      incoming_.emplace(*std::move(taken));
      UpdateProgress();
    } else {
      CAIRN_LOG(kWarn, "snapshot: what was received before the restart is removed: {}",
                taken.status().message());
    }
  }
  for (const std::string& name : names) {
    const std::string path = directory_ + "/" + name;
    const bool kept =
        incoming_ && (path == incoming_->files.folder() || path == incoming_->files.record_path());
    if (!kept) CAIRN_RETURN_IF_ERROR(files_->RemoveTree(path));
  }
  return Status::Ok();
}

Result<SnapshotReceiver::Incoming> SnapshotReceiver::TakeUpFolder(const std::string& folder,
                                                                  Slot applied) {
  CAIRN_ASSIGN_OR_RETURN(IncomingSnapshot files,
                         IncomingSnapshot::Open(files_, folder, mark_every_bytes_));
  if (files.offer().to != self_) {
    return FailedPreconditionError("it was sent to another life of this node");
  }
  CAIRN_ASSIGN_OR_RETURN(storage::StateMeta meta, CheckOffer(files.offer()));
  if (meta.applied_slot <= applied) {
    return FailedPreconditionError("the state has reached slot " + ToString(applied) +
                                   " without it");
  }
  return Incoming{std::move(files), std::move(meta)};
}

Status SnapshotReceiver::OnMessage(NodeId from, std::string_view body) {
  CAIRN_ASSIGN_OR_RETURN(auto message, DecodeSnapshotMessage(body));
  if (auto* const offer = std::get_if<SnapshotOffer>(&message)) {
    OnOffer(from, std::move(*offer));
  } else {
    OnChunk(from, std::get<SnapshotChunk>(message));
  }
  return Status::Ok();
}

void SnapshotReceiver::OnOffer(NodeId from, SnapshotOffer offer) {
  if (offer.to != self_) return;  // For another life of this node.
  if (offer.id == finished_) {
    hooks_.send(from, Encode(SnapshotAck{offer.id, SnapshotAck::Verdict::kDone, {}, {}}));
    return;
  }
  if (incoming_ && incoming_->files.offer().id == offer.id) {
    incoming_->heard = true;
    Answer(SnapshotAck::Verdict::kGoOn);
    return CompleteIfWhole();
  }
  if (incoming_) {
    if (offer.epoch < incoming_->files.offer().epoch) return;  // A former leader's counts no more.
    if (incoming_->complete) {
      // The sender backs off: without an answer it would make one checkpoint after the other.
      return Refuse(from, offer.id, "another snapshot is being installed here");
    }
    Drop();
  }
  const std::uint64_t id = offer.id;
  const Status begun = Begin(from, std::move(offer));
  if (!begun.ok()) return Refuse(from, id, begun.message());
  Answer(SnapshotAck::Verdict::kGoOn);
  CompleteIfWhole();
}

Status SnapshotReceiver::CheckRoom(std::uint64_t bytes) const {
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t room, files_->FreeBytes(directory_));
  if (room >= kInstallRoom && bytes <= room - kInstallRoom) return Status::Ok();
  return ResourceExhaustedError("the snapshot takes " + std::to_string(bytes) + " more bytes and " +
                                std::to_string(kInstallRoom) +
                                " to install it, and the disk of this node has room for " +
                                std::to_string(room));
}

Result<storage::StateMeta> SnapshotReceiver::CheckOffer(const SnapshotOffer& offer) const {
  CAIRN_ASSIGN_OR_RETURN(storage::StateMeta meta, storage::StateMeta::Decode(offer.meta));
  CAIRN_RETURN_IF_ERROR(kv::CheckFeatures(meta.features, known_features_, "the snapshot"));
  return meta;
}

Status SnapshotReceiver::Begin(NodeId from, SnapshotOffer offer) {
  CAIRN_ASSIGN_OR_RETURN(storage::StateMeta meta, CheckOffer(offer));
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(directory_));
  CAIRN_RETURN_IF_ERROR(CheckRoom(BytesOf(offer)));
  const std::string folder =
      directory_ + "/" + std::string(kFolderPrefix) + std::to_string(next_folder_++);
  CAIRN_ASSIGN_OR_RETURN(
      IncomingSnapshot files,
      IncomingSnapshot::Create(files_, folder, from, std::move(offer), mark_every_bytes_));
  CAIRN_LOG(kInfo, "snapshot: taking slot {} from node {}, {} bytes in {} files",
            meta.applied_slot.value(), from.value(), BytesOf(files.offer()),
            files.offer().files.size());
  incoming_.emplace(Incoming{std::move(files), std::move(meta)});
  UpdateProgress();
  return Status::Ok();
}

void SnapshotReceiver::OnChunk(NodeId from, const SnapshotChunk& chunk) {
  if (!incoming_ || incoming_->files.offer().id != chunk.id || incoming_->files.from() != from) {
    return;
  }
  incoming_->heard = true;
  if (incoming_->complete) return;
  if (chunk.at != incoming_->files.have()) return Answer(SnapshotAck::Verdict::kGoOn);
  const Status written = incoming_->files.Write(chunk);
  if (!written.ok()) {
    CAIRN_LOG(kWarn, "snapshot: what comes in can't be kept: {}", written.message());
    Answer(SnapshotAck::Verdict::kRefused, written.message());
    return Drop();
  }
  UpdateProgress();
  Answer(SnapshotAck::Verdict::kGoOn);
  CompleteIfWhole();
}

void SnapshotReceiver::CompleteIfWhole() {
  if (incoming_->complete || !incoming_->files.whole()) return;
  // Once more: others use this disk too, and an installation that runs out of room ends the node.
  Status whole = CheckRoom(0);
  if (whole.ok()) whole = incoming_->files.Seal();
  if (!whole.ok()) {
    Answer(SnapshotAck::Verdict::kRefused, whole.message());
    return Drop();
  }
  incoming_->complete = true;
  hooks_.complete(incoming_->files.offer().id, incoming_->files.folder(), incoming_->meta);
}

void SnapshotReceiver::Finish(std::uint64_t id) {
  if (!incoming_ || incoming_->files.offer().id != id) return;
  finished_ = id;
  Answer(SnapshotAck::Verdict::kDone);
  Drop();
}

void SnapshotReceiver::DropUpTo(Slot applied) {
  if (!incoming_ || incoming_->complete || incoming_->meta.applied_slot > applied) return;
  CAIRN_LOG(kInfo, "snapshot: slot {} is not needed any more",
            incoming_->meta.applied_slot.value());
  Drop();
}

void SnapshotReceiver::Tick(MonotonicTime now) {
  if (!incoming_ || incoming_->complete) return;
  if (std::exchange(incoming_->heard, false)) {
    incoming_->since = now;
  } else if (now - incoming_->since >= kForgotten) {
    CAIRN_LOG(kInfo, "snapshot: slot {} of node {} is dropped, nothing more came of it",
              incoming_->meta.applied_slot.value(), incoming_->files.from().value());
    Drop();
  }
}

void SnapshotReceiver::Drop() {
  if (!incoming_) return;
  incoming_->files.Remove();
  incoming_.reset();
  UpdateProgress();
}

void SnapshotReceiver::UpdateProgress() {
  std::optional<Progress> now;
  if (incoming_) {
    const IncomingSnapshot& files = incoming_->files;
    now = Progress{files.from(), incoming_->meta.applied_slot,
                   BytesBefore(files.offer(), files.have()), BytesOf(files.offer())};
  }
  MutexLock lock(&progress_mutex_);
  progress_ = now;
}

void SnapshotReceiver::Refuse(NodeId from, std::uint64_t id, const std::string& reason) {
  hooks_.send(from, Encode(SnapshotAck{id, SnapshotAck::Verdict::kRefused, {}, reason}));
}

void SnapshotReceiver::Answer(SnapshotAck::Verdict verdict, const std::string& reason) {
  const IncomingSnapshot& files = incoming_->files;
  hooks_.send(files.from(), Encode(SnapshotAck{files.offer().id, verdict, files.have(), reason}));
}

}  // namespace cairn::replication
