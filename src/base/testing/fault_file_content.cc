#include "src/base/testing/fault_file_content.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace cairn::fault_internal {
namespace {

std::uint64_t PagesFor(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage; }

}  // namespace

// ---- SparseBytes ---------------------------------------------------------------------------

std::uint64_t SparseBytes::PagesFrom(std::uint64_t first_page) const {
  return static_cast<std::uint64_t>(std::distance(pages_.lower_bound(first_page), pages_.end()));
}

void SparseBytes::Read(std::uint64_t offset, std::size_t size, std::string* out) const {
  out->clear();
  if (offset >= size_) return;
  size = std::min<std::uint64_t>(size, size_ - offset);
  out->resize(size, '\0');
  const std::uint64_t end = offset + size;
  for (auto it = pages_.lower_bound(offset / kPage); it != pages_.end(); ++it) {
    const std::uint64_t page_start = it->first * kPage;
    if (page_start >= end) break;
    const std::uint64_t from = std::max(offset, page_start);
    const std::uint64_t to = std::min(end, page_start + kPage);
    std::copy_n(it->second->data() + (from - page_start), to - from, out->data() + (from - offset));
  }
}

void SparseBytes::Write(std::uint64_t offset, std::string_view data) {
  size_ = std::max<std::uint64_t>(size_, offset + data.size());
  while (!data.empty()) {
    const std::uint64_t within = offset % kPage;
    const std::size_t n = std::min<std::uint64_t>(data.size(), kPage - within);
    std::copy_n(data.data(), n, Writable(offset / kPage).data() + within);
    offset += n;
    data.remove_prefix(n);
  }
}

void SparseBytes::Resize(std::uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound(PagesFor(size)), pages_.end());
    const std::uint64_t within = size % kPage;
    if (within != 0 && HasPage(size / kPage)) {
      Page& last = Writable(size / kPage);
      std::fill(last.begin() + static_cast<std::ptrdiff_t>(within), last.end(), '\0');
    }
  }
  size_ = size;
}

void SparseBytes::SharePages(const SparseBytes& from, std::uint64_t offset, std::uint64_t size) {
  for (std::uint64_t page = offset / kPage; page < PagesFor(offset + size); ++page) {
    const auto it = from.pages_.find(page);
    if (it == from.pages_.end()) {
      pages_.erase(page);
    } else {
      pages_[page] = it->second;
    }
  }
}

SparseBytes::Page& SparseBytes::Writable(std::uint64_t page) {
  std::shared_ptr<Page>& held = pages_[page];
  if (held == nullptr) {
    held = std::make_shared<Page>();
    held->fill('\0');
  } else if (held.use_count() > 1) {
    held = std::make_shared<Page>(*held);
  }
  return *held;
}

// ---- FaultFileContent ----------------------------------------------------------------------

std::uint64_t FaultFileContent::ChargeOfWrite(std::uint64_t offset, std::size_t size) const {
  std::uint64_t fresh = 0;
  const std::uint64_t first = std::max(offset / kPage, reserved_pages_);
  for (std::uint64_t page = first; page < PagesFor(offset + size); ++page) {
    if (!current_.HasPage(page)) ++fresh;
  }
  return fresh * kPage;
}

std::uint64_t FaultFileContent::ChargeOfAllocate(std::uint64_t size) const {
  const std::uint64_t pages = PagesFor(size);
  if (pages <= reserved_pages_) return 0;
  return (pages + current_.PagesFrom(pages)) * kPage - Charge();
}

void FaultFileContent::Write(std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  pages_beyond_ += ChargeOfWrite(offset, data.size()) / kPage;
  current_.Write(offset, data);
  changes_.push_back({offset, std::string(data)});
}

void FaultFileContent::Truncate(std::uint64_t size) {
  current_.Resize(size);
  changes_.push_back({size, {}});
  reserved_pages_ = std::min(reserved_pages_, PagesFor(size));
  pages_beyond_ = current_.PagesFrom(reserved_pages_);
}

void FaultFileContent::Allocate(std::uint64_t size) {
  if (PagesFor(size) > reserved_pages_) {
    reserved_pages_ = PagesFor(size);
    pages_beyond_ = current_.PagesFrom(reserved_pages_);
  }
  if (size > current_.size()) {
    current_.Resize(size);
    changes_.push_back({size, {}});
  }
}

void FaultFileContent::Sync() {
  for (const Change& change : changes_) {
    if (change.IsResize()) durable_.Resize(change.offset);
  }
  for (const Change& change : changes_) {
    if (!change.IsResize()) durable_.SharePages(current_, change.offset, change.data.size());
  }
  durable_.Resize(current_.size());
  changes_.clear();
}

void FaultFileContent::Damage(std::uint64_t offset, std::uint8_t mask) {
  CAIRN_CHECK(offset < current_.size(), "damage beyond the end of the file");
  for (SparseBytes* bytes : {&current_, &durable_}) {
    if (offset >= bytes->size()) continue;
    std::string byte;
    bytes->Read(offset, 1, &byte);
    byte[0] = static_cast<char>(static_cast<std::uint8_t>(byte[0]) ^ mask);
    bytes->Write(offset, byte);
  }
}

void FaultFileContent::TakeDurable() {
  current_ = durable_;
  changes_.clear();
  reserved_pages_ = std::min(reserved_pages_, PagesFor(current_.size()));
  pages_beyond_ = current_.PagesFrom(reserved_pages_);
}

bool FaultFileContent::Differs() const {
  if (current_.size() != durable_.size()) return true;
  std::string seen;
  std::string left;
  for (const Change& change : changes_) {
    current_.Read(change.offset, change.data.size(), &seen);
    durable_.Read(change.offset, change.data.size(), &left);
    if (seen != left) return true;
  }
  return false;
}

bool FaultFileContent::CrashDroppingUnsynced() {
  const bool lost = Differs();
  TakeDurable();
  return lost;
}

bool FaultFileContent::CrashRandomly(Random* random) {
  bool lost = false;
  switch (changes_.empty() ? 0 : random->Below(8)) {
    case 0:
      break;
    case 1:
      Sync();
      break;
    case 2:
    case 3:
    case 4:
      CrashInOrder(random);
      lost = Differs();
      break;
    default:
      CrashBySector(random);
      lost = Differs();
      break;
  }
  TakeDurable();
  return lost;
}

void FaultFileContent::Apply(const Change& change, SparseBytes* bytes) {
  if (change.IsResize()) {
    bytes->Resize(change.offset);
  } else {
    bytes->Write(change.offset, change.data);
  }
}

void FaultFileContent::CrashInOrder(Random* random) {
  const std::size_t kept = random->Below(changes_.size());
  for (std::size_t i = 0; i < kept; ++i) Apply(changes_[i], &durable_);
  const Change& torn = changes_[kept];
  if (torn.IsResize()) return;
  const std::uint64_t end = torn.offset + torn.data.size();
  const std::uint64_t size = random->OneIn(1, 2) ? durable_.size() : std::max(durable_.size(), end);
  for (std::uint64_t at = torn.offset; at < end;) {
    const std::uint64_t next = std::min(end, (at / kSector + 1) * kSector);
    if (random->OneIn(1, 2)) {
      durable_.Write(at, std::string_view(torn.data).substr(at - torn.offset, next - at));
    }
    at = next;
  }
  durable_.Resize(size);
}

void FaultFileContent::CrashBySector(Random* random) {
  absl::btree_map<std::uint64_t, std::vector<std::size_t>> writers;  // by sector, in order
  std::vector<std::size_t> resizes;
  std::vector<std::uint64_t> sizes = {durable_.size()};
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    if (change.IsResize()) {
      resizes.push_back(i);
      sizes.push_back(change.offset);
      continue;
    }
    const std::uint64_t end = change.offset + change.data.size();
    for (std::uint64_t s = change.offset / kSector; s * kSector < end; ++s) writers[s].push_back(i);
    if (end > sizes.back()) sizes.push_back(end);
  }
  for (const auto& [sector, indices] : writers) {
    const std::size_t kept = random->Below(indices.size() + 1);
    const std::uint64_t start = sector * kSector;
    std::size_t next_resize = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      // What a cut before this write removed is gone from the sector's later contents.
      for (; next_resize < resizes.size() && resizes[next_resize] < indices[i]; ++next_resize) {
        const std::uint64_t cut = std::max(changes_[resizes[next_resize]].offset, start);
        if (cut < start + kSector) durable_.Write(cut, std::string(start + kSector - cut, '\0'));
      }
      const Change& change = changes_[indices[i]];
      const std::uint64_t from = std::max(start, change.offset);
      const std::uint64_t to = std::min(start + kSector, change.offset + change.data.size());
      durable_.Write(from, std::string_view(change.data).substr(from - change.offset, to - from));
    }
  }
  durable_.Resize(sizes[random->Below(sizes.size())]);
}

}  // namespace cairn::fault_internal
