#include "src/replication/snapshot_sender.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "src/base/log.h"

namespace cairn::replication {

SnapshotSender::SnapshotSender(const SnapshotSenderOptions& options, storage::Engine* engine,
                               FileSystem* files, Hooks hooks)
    : options_(options),
      engine_(engine),
      files_(files),
      hooks_(std::move(hooks)),
      random_(options.seed) {}

void SnapshotSender::Start(const consensus::PeerId& peer, Epoch epoch, MonotonicTime now) {
  const auto before = transfers_.find(peer.node);
  if (before != transfers_.end()) {
    if (before->second.peer == peer && before->second.offer.epoch == epoch) return;
    End(peer.node, false);
  }
  if (const auto waits = waiting_.extract(peer.node); !waits.empty()) {
    if (waits.mapped().peer != peer) hooks_.done(waits.mapped().peer, false, Slot());
  }
  const auto retry = retries_.find(peer.node);
  if (retry != retries_.end() && now < retry->second.not_before) {
    waiting_[peer.node] = {peer, epoch};
    return;
  }
  Begin(peer, epoch, now);
  Tick(now);
}

void SnapshotSender::BackOff(NodeId node, MonotonicTime now) {
  Retry& retry = retries_[node];
  retry.wait = std::clamp(2 * retry.wait, options_.retry_after, options_.retry_at_most);
  retry.not_before = now + retry.wait;
}

void SnapshotSender::Begin(const consensus::PeerId& peer, Epoch epoch, MonotonicTime now) {
  const std::string directory = options_.directory + "/out." + std::to_string(next_folder_++);
  Result<Transfer> transfer = Prepare(peer, epoch, directory);
  if (!transfer.ok()) {
    (void)files_->RemoveTree(directory);
    CAIRN_LOG(kWarn, "snapshot: none can be made for node {}: {}", peer.node.value(),
              transfer.status().message());
    BackOff(peer.node, now);
    hooks_.done(peer, false, Slot());
    return;
  }
  transfer->heard = now;
  CAIRN_LOG(kInfo, "snapshot: sending slot {} to node {}, {} files", transfer->slot.value(),
            peer.node.value(), transfer->offer.files.size());
  transfers_[peer.node] = *std::move(transfer);
  UpdateLowestSlot();
}

Result<SnapshotSender::Transfer> SnapshotSender::Prepare(const consensus::PeerId& peer, Epoch epoch,
                                                         const std::string& directory) {
  Transfer transfer;
  transfer.peer = peer;
  transfer.directory = directory;
  CAIRN_RETURN_IF_ERROR(files_->CreateDirectories(options_.directory));
  CAIRN_ASSIGN_OR_RETURN(const storage::StateMeta meta, engine_->Checkpoint(transfer.directory));
  transfer.slot = meta.applied_slot;
  transfer.offer.id = random_.Next();
  transfer.offer.to = peer.incarnation;
  transfer.offer.epoch = epoch;
  transfer.offer.meta = meta.Encode();
  CAIRN_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(transfer.directory));
  for (const std::string& name : names) {
    CAIRN_ASSIGN_OR_RETURN(const auto file,
                           files_->Open(transfer.directory + "/" + name, OpenMode::kRead));
    CAIRN_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
    transfer.offer.files.push_back({name, size});
  }
  return transfer;
}

void SnapshotSender::OnAck(NodeId from, const SnapshotAck& ack, MonotonicTime now) {
  const auto it = transfers_.find(from);
  if (it == transfers_.end() || it->second.offer.id != ack.id) return;
  Transfer& transfer = it->second;
  switch (ack.verdict) {
    case SnapshotAck::Verdict::kDone:
      CAIRN_LOG(kInfo, "snapshot: node {} has slot {}; {} bytes were sent for its {}", from.value(),
                transfer.slot.value(), transfer.bytes, BytesOf(transfer.offer));
      retries_.erase(from);
      return End(from, true);
    case SnapshotAck::Verdict::kRefused:
      CAIRN_LOG(kWarn, "snapshot: node {} does not take it: {}", from.value(), ack.reason);
      BackOff(from, now);
      return End(from, false);
    case SnapshotAck::Verdict::kGoOn:
      break;
  }
  const std::vector<SnapshotOffer::File>& files = transfer.offer.files;
  if (ack.have.file > files.size() ||
      ack.have.offset > (ack.have.file < files.size() ? files[ack.have.file].size : 0)) {
    return;
  }
  GoOn(&transfer, ack.have, now);
  SendWindow(&transfer, now);
}

void SnapshotSender::GoOn(Transfer* transfer, const SnapshotPosition& have, MonotonicTime now) {
  // A receiver that was restarted has what it had synced, or nothing. If this is an old answer that
  // was late, what follows is sent twice, and the next answer mends it.
  const bool back = transfer->offered_again && transfer->acked > have;
  const bool news = !transfer->accepted || back || have > transfer->acked;
  if (!news) return;
  const std::uint64_t before = BytesBefore(transfer->offer, have);
  if (back) {
    CAIRN_LOG(kInfo, "snapshot: node {} goes on at byte {} of {}, where it was at {}",
              transfer->peer.node.value(), before, BytesOf(transfer->offer),
              BytesBefore(transfer->offer, transfer->acked));
  }
  // The first answer may say that the receiver has much already.
  if (!transfer->accepted || back || have > transfer->next) transfer->next = have;
  transfer->accepted = true;
  transfer->offered_again = false;
  transfer->acked = have;
  transfer->heard = now;
  transfer->sent = now;
  transfer->in_flight = BytesBefore(transfer->offer, transfer->next) - before;
}

void SnapshotSender::Tick(MonotonicTime now) {
  std::vector<NodeId> due;
  for (const auto& [node, waits] : waiting_) {
    if (now >= retries_.at(node).not_before) due.push_back(node);
  }
  for (const NodeId node : due) {
    const Waiting waits = waiting_.extract(node).mapped();
    Begin(waits.peer, waits.epoch, now);
  }
  std::vector<NodeId> lost;
  for (auto& [node, transfer] : transfers_) {
    const Duration bound = transfer.accepted ? options_.give_up_after : options_.answer_within;
    if (transfer.broken || now >= transfer.heard + bound) {
      lost.push_back(node);
      continue;
    }
    if (now >= transfer.sent + options_.resend_after) {
      transfer.next = transfer.acked;
      transfer.in_flight = 0;
      transfer.sent = now;
    }
    const MonotonicTime said =
        transfer.accepted ? std::max(transfer.heard, transfer.offered) : transfer.offered;
    if (now >= said + options_.resend_after) {
      // The answer says how far the receiver is, whether all arrived, and whether it still knows.
      transfer.offered_again = true;
      transfer.offered = now;
      hooks_.send(node, Encode(transfer.offer));
    }
    SendWindow(&transfer, now);
  }
  for (const NodeId node : lost) {
    CAIRN_LOG(kWarn, "snapshot: the transfer to node {} is given up", node.value());
    if (transfers_.at(node).broken) BackOff(node, now);
    End(node, false);
  }
}

void SnapshotSender::SendWindow(Transfer* transfer, MonotonicTime now) {
  while (transfer->accepted && transfer->next.file < transfer->offer.files.size() &&
         transfer->in_flight < options_.window_bytes && Allowance(now) > 0) {
    const Result<SnapshotChunk> chunk = ReadChunk(transfer);
    if (!chunk.ok()) {
      CAIRN_LOG(kError, "snapshot: what is sent can't be read: {}", chunk.status().ToString());
      transfer->broken = true;
      return;
    }
    hooks_.send(transfer->peer.node, Encode(*chunk));
    transfer->sent = now;
    transfer->in_flight += chunk->data.size();
    transfer->bytes += chunk->data.size();
    if (options_.bytes_per_second != 0) tokens_ -= static_cast<double>(chunk->data.size());
    transfer->next.offset += chunk->data.size();
    if (transfer->next.offset >= transfer->offer.files[transfer->next.file].size) {
      transfer->next = {transfer->next.file + 1, 0};
    }
  }
}

Result<SnapshotChunk> SnapshotSender::ReadChunk(Transfer* transfer) {
  const SnapshotOffer::File& of = transfer->offer.files[transfer->next.file];
  if (transfer->file == nullptr || transfer->open_file != transfer->next.file) {
    CAIRN_ASSIGN_OR_RETURN(transfer->file,
                           files_->Open(transfer->directory + "/" + of.name, OpenMode::kRead));
    transfer->open_file = transfer->next.file;
  }
  SnapshotChunk chunk{transfer->offer.id, transfer->next, {}};
  const std::size_t size =
      std::min<std::uint64_t>(options_.chunk_bytes, of.size - transfer->next.offset);
  CAIRN_RETURN_IF_ERROR(transfer->file->ReadAt(transfer->next.offset, size, &chunk.data));
  if (chunk.data.size() != size) {
    return CorruptionError(transfer->directory + "/" + of.name + " is shorter than it was");
  }
  return chunk;
}

std::uint64_t SnapshotSender::Allowance(MonotonicTime now) {
  if (options_.bytes_per_second == 0) return UINT64_MAX;
  const auto rate = static_cast<double>(options_.bytes_per_second);
  const double passed = std::chrono::duration<double>(now - refilled_).count();
  // Never more than a quarter of a second's worth at once.
  tokens_ = std::min(tokens_ + passed * rate, rate / 4);
  refilled_ = now;
  return tokens_ > 0 ? static_cast<std::uint64_t>(tokens_) + 1 : 0;
}

void SnapshotSender::End(NodeId to, bool ok) {
  auto transfer = transfers_.extract(to);
  UpdateLowestSlot();
  transfer.mapped().file.reset();
  if (const Status removed = files_->RemoveTree(transfer.mapped().directory); !removed.ok()) {
    CAIRN_LOG(kWarn, "snapshot: {} can't be removed: {}", transfer.mapped().directory,
              removed.ToString());
  }
  hooks_.done(transfer.mapped().peer, ok, transfer.mapped().slot);
}

void SnapshotSender::UpdateLowestSlot() {
  Slot lowest = Slot::Max();
  for (const auto& [node, transfer] : transfers_) lowest = std::min(lowest, transfer.slot);
  lowest_slot_.store(lowest.value(), std::memory_order_release);
}

}  // namespace cairn::replication
