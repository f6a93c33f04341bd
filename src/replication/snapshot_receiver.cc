#include "src/replication/snapshot_receiver.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/base/planted_bug.h"
#include "src/kv/operation.h"

namespace cairn::replication {
namespace {

// What the installation of a snapshot needs beside its files: the engine's manifest, which is
// allocated 4 MiB at a time, options, log and small flushes, and what the node writes meanwhile.
constexpr std::uint64_t kInstallRoom = std::uint64_t{16} << 20;

std::uint64_t BytesOf(const SnapshotOffer& offer) {
  std::uint64_t bytes = 0;
  for (const SnapshotOffer::File& file : offer.files) {
    if (file.size > UINT64_MAX - bytes) return UINT64_MAX;
    bytes += file.size;
  }
  return bytes;
}

}  // namespace

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
  if (incoming_ && incoming_->offer.id == offer.id) return Answer(SnapshotAck::Verdict::kGoOn);
  if (incoming_) {
    if (offer.epoch < incoming_->offer.epoch) return;  // A former leader has nothing to say.
    if (incoming_->complete) {
      // The sender backs off: without an answer it would make one checkpoint after the other.
      return Refuse(from, offer.id, "another snapshot is being installed here");
    }
    Drop();
  }
  const std::uint64_t id = offer.id;
  const Status begun = Begin(from, std::move(offer));
  if (begun.ok()) return Answer(SnapshotAck::Verdict::kGoOn);
  Drop();
  Refuse(from, id, begun.message());
}

Status SnapshotReceiver::CheckRoom(std::uint64_t bytes) const {
  CAIRN_ASSIGN_OR_RETURN(const std::uint64_t room, files_->FreeBytes(directory_));
  if (room >= kInstallRoom && bytes <= room - kInstallRoom) return Status::Ok();
  return ResourceExhaustedError("the snapshot takes " + std::to_string(bytes) + " more bytes and " +
                                std::to_string(kInstallRoom) +
                                " to install it, and the disk of this node has room for " +
                                std::to_string(room));
}

Status SnapshotReceiver::Begin(NodeId from, SnapshotOffer offer) {
  CAIRN_ASSIGN_OR_RETURN(storage::StateMeta meta, storage::StateMeta::Decode(offer.meta));
  CAIRN_RETURN_IF_ERROR(kv::CheckFeatures(meta.features, known_features_, "the snapshot"));
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(directory_));
  const std::uint64_t bytes = BytesOf(offer);
  CAIRN_RETURN_IF_ERROR(CheckRoom(bytes));
  Incoming incoming;
  incoming.from = from;
  incoming.offer = std::move(offer);
  incoming.meta = std::move(meta);
  incoming.folder = directory_ + "/in." + std::to_string(next_folder_++);
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(incoming.folder));
  CAIRN_LOG(kInfo, "snapshot: taking slot {} from node {}, {} bytes in {} files",
            incoming.meta.applied_slot.value(), from.value(), bytes, incoming.offer.files.size());
  incoming_ = std::move(incoming);
  return Status::Ok();
}

void SnapshotReceiver::OnChunk(NodeId from, const SnapshotChunk& chunk) {
  if (!incoming_ || incoming_->offer.id != chunk.id || incoming_->from != from) return;
  if (incoming_->complete) return;
  if (chunk.at != incoming_->have) return Answer(SnapshotAck::Verdict::kGoOn);
  const Status written = Write(chunk);
  if (!written.ok()) {
    CAIRN_LOG(kWarn, "snapshot: {}", written.message());
    Answer(SnapshotAck::Verdict::kRefused, written.message());
    return Drop();
  }
  Answer(SnapshotAck::Verdict::kGoOn);
  if (incoming_->have.file < incoming_->offer.files.size()) return;
  Status whole = files_->SyncDirectory(incoming_->folder);
  // Once more: others use this disk too, and an installation that runs out of room ends the node.
  if (whole.ok()) whole = CheckRoom(0);
  if (!whole.ok()) {
    Answer(SnapshotAck::Verdict::kRefused, whole.message());
    return Drop();
  }
  incoming_->complete = true;
  hooks_.complete(incoming_->offer.id, incoming_->folder, incoming_->meta);
}

Status SnapshotReceiver::Write(const SnapshotChunk& chunk) {
  Incoming& incoming = *incoming_;
  if (incoming.have.file >= incoming.offer.files.size()) return Status::Ok();
  const SnapshotOffer::File& of = incoming.offer.files[incoming.have.file];
  if (chunk.data.size() > of.size - incoming.have.offset || (chunk.data.empty() && of.size != 0)) {
    return CorruptionError("a chunk does not fit into the file '" + of.name + "' that was offered");
  }
  if (incoming.file == nullptr) {
    CAIRN_ASSIGN_OR_RETURN(incoming.file,
                           files_->Open(incoming.folder + "/" + of.name, OpenMode::kCreate));
  }
  CAIRN_RETURN_IF_ERROR(incoming.file->WriteAt(incoming.have.offset, chunk.data));
  incoming.have.offset += chunk.data.size();
  if (incoming.have.offset < of.size) return Status::Ok();
  if (!Planted(PlantedBug::kSnapshotFileNotSynced)) CAIRN_RETURN_IF_ERROR(incoming.file->Sync());
  incoming.file.reset();
  incoming.have = {incoming.have.file + 1, 0};
  return Status::Ok();
}

void SnapshotReceiver::Finish(std::uint64_t id) {
  if (!incoming_ || incoming_->offer.id != id) return;
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

void SnapshotReceiver::Drop() {
  if (!incoming_) return;
  incoming_->file.reset();
  if (const Status removed = files_->RemoveTree(incoming_->folder); !removed.ok()) {
    CAIRN_LOG(kWarn, "snapshot: {} can't be removed: {}", incoming_->folder, removed.ToString());
  }
  incoming_.reset();
}

void SnapshotReceiver::Refuse(NodeId from, std::uint64_t id, const std::string& reason) {
  hooks_.send(from, Encode(SnapshotAck{id, SnapshotAck::Verdict::kRefused, {}, reason}));
}

void SnapshotReceiver::Answer(SnapshotAck::Verdict verdict, const std::string& reason) {
  hooks_.send(incoming_->from,
              Encode(SnapshotAck{incoming_->offer.id, verdict, incoming_->have, reason}));
}

}  // namespace cairn::replication
