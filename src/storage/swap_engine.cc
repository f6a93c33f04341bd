#include "src/storage/swap_engine.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

#include "src/base/codec.h"
#include "src/base/log.h"
#include "xxhash.h"

namespace cairn::storage {
namespace {

constexpr char kPointerFile[] = "DATABASE";
constexpr char kFirstFolder[] = "db";
constexpr std::string_view kFirstLine = "cairn database 1\n";

// "name VALUE\n" off the front; nothing if it is not that.
std::optional<std::string> TakeLine(std::string_view name, std::string_view* text) {
  const std::size_t end = text->find('\n');
  if (end == std::string_view::npos || !text->starts_with(name) ||
      text->substr(name.size(), 1) != " ") {
    return std::nullopt;
  }
  std::string value(text->substr(name.size() + 1, end - name.size() - 1));
  text->remove_prefix(end + 1);
  return value;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::uint64_t> TakeNumber(std::string_view name, std::string_view* text) {
  const std::optional<std::string> digits = TakeLine(name, text);
  if (!digits) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), value);
  if (error != std::errc() || std::to_string(value) != *digits) return std::nullopt;
  return value;
}

}  // namespace

bool IsDatabaseFolder(std::string_view name) {
  if (name == kFirstFolder) return true;
  if (!name.starts_with("db.")) return false;
  const std::string_view numbers = name.substr(3);
  const std::size_t dot = numbers.find('.');
  return dot != std::string_view::npos && IsNumber(numbers.substr(0, dot)) &&
         IsNumber(numbers.substr(dot + 1));
}

std::string DatabasePointer::Encode() const {
  std::string text(kFirstLine);
  text += "folder " + folder + "\n";
  text += "slot " + ToString(slot) + "\n";
  text += "epoch " + ToString(epoch) + "\n";
  return text + "checksum " + std::to_string(XXH3_64bits(text.data(), text.size())) + "\n";
}

Result<DatabasePointer> DatabasePointer::Decode(std::string_view text) {
  if (!text.starts_with(kFirstLine)) {
    return CorruptionError("it does not begin with 'cairn database 1': " + Printable(text, 32));
  }
  std::string_view rest = text.substr(kFirstLine.size());
  const auto folder = TakeLine("folder", &rest);
  const auto slot = TakeNumber("slot", &rest);
  const auto epoch = TakeNumber("epoch", &rest);
  const std::size_t covered = text.size() - rest.size();
  const auto checksum = TakeNumber("checksum", &rest);
  if (!folder || !slot || !epoch || !checksum || !rest.empty()) {
    return CorruptionError("a line is not as expected: " + Printable(text, 128));
  }
  if (*checksum != XXH3_64bits(text.data(), covered)) {
    return CorruptionError("its checksum does not match");
  }
  if (!IsDatabaseFolder(*folder) || folder->find('/') != std::string::npos) {
    return CorruptionError("it names no database folder: " + Printable(*folder, 64));
  }
  return DatabasePointer{*folder, Slot(*slot), Epoch(*epoch)};
}

// An engine and its folder, which goes when the state was replaced and nobody uses it any more.
class SwapEngine::Holder {
 public:
  Holder(FileSystem* files, std::string path, std::shared_ptr<Engine> engine)
      : files_(files), path_(std::move(path)), engine_(std::move(engine)) {}
  ~Holder() {
    engine_.reset();
    if (!retired_.load(std::memory_order_acquire)) return;
    if (const Status removed = files_->RemoveTree(path_); !removed.ok()) {
      CAIRN_LOG(kWarn, "storage: the replaced state in {} can't be removed: {}", path_,
                removed.ToString());
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  [[nodiscard]] Engine* engine() const { return engine_.get(); }
  void Retire() { retired_.store(true, std::memory_order_release); }

 private:
  FileSystem* const files_;
  const std::string path_;
  std::shared_ptr<Engine> engine_;
  std::atomic<bool> retired_{false};
};

namespace {

// Iterators that keep the engine under them. `Keep` is what they keep.
template <class Keep>
class KeptReadIterator final : public ReadIterator {
 public:
  KeptReadIterator(Keep keep, std::unique_ptr<ReadIterator> it)
      : keep_(std::move(keep)), it_(std::move(it)) {}
  [[nodiscard]] bool Valid() const override { return it_->Valid(); }
  [[nodiscard]] Status status() const override { return it_->status(); }
  void SeekGreaterOrEqual(std::string_view target) override { it_->SeekGreaterOrEqual(target); }
  void SeekLess(std::string_view target) override { it_->SeekLess(target); }
  void Next() override { it_->Next(); }
  void Prev() override { it_->Prev(); }
  [[nodiscard]] std::string_view key() const override { return it_->key(); }
  [[nodiscard]] std::string_view value() const override { return it_->value(); }

 private:
  const Keep keep_;  // Outlives it_.
  const std::unique_ptr<ReadIterator> it_;
};

template <class Keep>
class KeptHistoryIterator final : public HistoryIterator {
 public:
  KeptHistoryIterator(Keep keep, std::unique_ptr<HistoryIterator> it)
      : keep_(std::move(keep)), it_(std::move(it)) {}
  [[nodiscard]] bool Valid() const override { return it_->Valid(); }
  [[nodiscard]] Status status() const override { return it_->status(); }
  void Next() override { it_->Next(); }
  [[nodiscard]] std::string_view key() const override { return it_->key(); }
  [[nodiscard]] Version version() const override { return it_->version(); }
  [[nodiscard]] bool is_delete() const override { return it_->is_delete(); }

 private:
  const Keep keep_;
  const std::unique_ptr<HistoryIterator> it_;
};

template <class Keep>
class KeptSystemIterator final : public SystemIterator {
 public:
  KeptSystemIterator(Keep keep, std::unique_ptr<SystemIterator> it)
      : keep_(std::move(keep)), it_(std::move(it)) {}
  [[nodiscard]] bool Valid() const override { return it_->Valid(); }
  [[nodiscard]] Status status() const override { return it_->status(); }
  void Next() override { it_->Next(); }
  [[nodiscard]] std::string_view key() const override { return it_->key(); }
  [[nodiscard]] std::string_view value() const override { return it_->value(); }

 private:
  const Keep keep_;
  const std::unique_ptr<SystemIterator> it_;
};

}  // namespace

Result<std::unique_ptr<SwapEngine>> SwapEngine::Open(const SwapEngineOptions& options) {
  std::unique_ptr<SwapEngine> swap(new SwapEngine(options));
  std::string folder = kFirstFolder;
  std::optional<DatabasePointer> installed;
  const std::string file = swap->PathOf(kPointerFile);
  const Result<std::string> text = options.files->ReadFile(file);
  if (!text.ok() && text.status().code() != StatusCode::kNotFound) return text.status();
  if (!text.ok()) CAIRN_RETURN_IF_ERROR(swap->CheckNeverInstalled());
  if (text.ok()) {
    const Result<DatabasePointer> pointer = DatabasePointer::Decode(*text);
    if (!pointer.ok()) {
      return CorruptionError("'" + file + "' is damaged: " + pointer.status().message());
    }
    installed = *pointer;
    folder = pointer->folder;
    if (!options.files->IsDirectory(swap->PathOf(folder))) {
      return CorruptionError("'" + file + "' names the folder '" + folder +
                             "', which is not there; restore both from one backup");
    }
  }
  CAIRN_RETURN_IF_ERROR(swap->RemoveStrangers(folder));
  const std::string path = swap->PathOf(folder);
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, options.open(path));
  MutexLock lock(&swap->mutex_);
  swap->current_ = std::make_shared<Holder>(options.files, path, std::move(engine));
  swap->installed_ = std::move(installed);
  return swap;
}

SwapEngine::~SwapEngine() = default;

Status SwapEngine::CheckNeverInstalled() const {
  if (!options_.files->IsDirectory(options_.directory)) return Status::Ok();
  CAIRN_ASSIGN_OR_RETURN(const auto names, options_.files->List(options_.directory));
  // The first folder goes only behind a pointer that is durable.
  if (std::find(names.begin(), names.end(), kFirstFolder) != names.end()) return Status::Ok();
  for (const std::string& name : names) {
    if (!IsDatabaseFolder(name)) continue;
    return CorruptionError("'" + PathOf(name) + "' holds a database, but '" + PathOf(kPointerFile) +
                           "', which says so, is missing; restore it, or "
                           "all of '" +
                           options_.directory + "'");
  }
  return Status::Ok();
}

Status SwapEngine::RemoveStrangers(const std::string& current) const {
  if (!options_.files->IsDirectory(options_.directory)) return Status::Ok();
  CAIRN_ASSIGN_OR_RETURN(const auto names, options_.files->List(options_.directory));
  for (const std::string& name : names) {
    const std::string path = PathOf(name);
    if (!IsDatabaseFolder(name) || name == current || !options_.files->IsDirectory(path)) continue;
    CAIRN_LOG(kInfo, "storage: removing '{}', which an installation left behind", path);
    // A link or a mount point stays, emptied: it is in nobody's way but as wasted room.
    if (const Status removed = options_.files->RemoveTree(path); !removed.ok()) {
      CAIRN_LOG(kWarn, "storage: '{}' can't be removed: {}", path, removed.ToString());
    }
  }
  return Status::Ok();
}

std::optional<DatabasePointer> SwapEngine::installed() const {
  MutexLock lock(&mutex_);
  return installed_;
}

Result<std::shared_ptr<Engine>> SwapEngine::OpenExpected(
    const std::string& path, const StateMeta& expected,
    const std::function<Status(Engine*)>& prepare) const {
  CAIRN_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, options_.open(path));
  if (engine->Meta() != expected) {
    return CorruptionError("the snapshot of slot " + ToString(expected.applied_slot) +
                           " holds another state than was announced, that of slot " +
                           ToString(engine->Meta().applied_slot));
  }
  if (prepare != nullptr) CAIRN_RETURN_IF_ERROR(prepare(engine.get()));
  return engine;
}

Status SwapEngine::Install(const std::string& from, const StateMeta& expected,
                           const std::function<Status(Engine*)>& prepare) {
  const DatabasePointer pointer{
      "db." + ToString(expected.applied_slot) + "." + ToString(expected.applied_epoch),
      expected.applied_slot, expected.applied_epoch};
  const std::string path = PathOf(pointer.folder);
  if (options_.files->Exists(path)) {
    return AlreadyExistsError("'" + path + "' exists: this snapshot is installed already");
  }
  CAIRN_RETURN_IF_ERROR(options_.files->Rename(from, path));
  // Both folders: else a crash may leave it under both names, and who clears away the old one would
  // empty the new one, too.
  CAIRN_RETURN_IF_ERROR(options_.files->SyncDirectory(options_.directory));
  CAIRN_RETURN_IF_ERROR(options_.files->SyncDirectory(DirectoryOf(from)));
  auto opened = OpenExpected(path, expected, prepare);
  if (!opened.ok()) {
    CAIRN_RETURN_IF_ERROR(options_.files->RemoveTree(path));
    return std::move(opened).status();
  }
  // From here on the new state is the one that a restart finds.
  CAIRN_RETURN_IF_ERROR(
      options_.files->WriteFileAtomically(PathOf(kPointerFile), pointer.Encode()));
  auto next = std::make_shared<Holder>(options_.files, path, *std::move(opened));
  std::shared_ptr<Holder> before;  // Released outside of the lock.
  MutexLock lock(&mutex_);
  if (listener_) next->engine()->SetFlushListener(listener_);
  before = std::exchange(current_, std::move(next));
  before->Retire();
  installed_ = pointer;
  return Status::Ok();
}

std::shared_ptr<SwapEngine::Holder> SwapEngine::Current() const {
  MutexLock lock(&mutex_);
  return current_;
}

// ---- Engine

StateMeta SwapEngine::Meta() const { return Current()->engine()->Meta(); }
Result<StateMeta> SwapEngine::FlushedMeta() const { return Current()->engine()->FlushedMeta(); }
Status SwapEngine::Write(const WriteBatch& batch, const StateMeta& meta) {
  return Current()->engine()->Write(batch, meta);
}
Status SwapEngine::Flush() { return Current()->engine()->Flush(); }
void SwapEngine::SetFlushListener(std::function<void()> listener) {
  MutexLock lock(&mutex_);
  listener_ = listener;
  current_->engine()->SetFlushListener(std::move(listener));
}
Status SwapEngine::Health() const { return Current()->engine()->Health(); }
Status SwapEngine::Resume() { return Current()->engine()->Resume(); }
Status SwapEngine::CreateFamily(FamilyId family) {
  return Current()->engine()->CreateFamily(family);
}
Status SwapEngine::DropFamily(FamilyId family) { return Current()->engine()->DropFamily(family); }
Status SwapEngine::ReconcileFamilies(const std::vector<FamilyId>& families) {
  return Current()->engine()->ReconcileFamilies(families);
}
Result<Lookup> SwapEngine::Get(FamilyId family, std::string_view key, Version at,
                               std::string* value) const {
  return Current()->engine()->Get(family, key, at, value);
}

Result<std::unique_ptr<ReadIterator>> SwapEngine::NewIterator(FamilyId family,
                                                              const KeyRange& range,
                                                              Version at) const {
  std::shared_ptr<Holder> holder = Current();
  CAIRN_ASSIGN_OR_RETURN(auto it, holder->engine()->NewIterator(family, range, at));
  return std::unique_ptr<ReadIterator>(std::make_unique<KeptReadIterator<std::shared_ptr<Holder>>>(
      std::move(holder), std::move(it)));
}

Result<std::unique_ptr<HistoryIterator>> SwapEngine::NewHistoryIterator(
    FamilyId family, const KeyRange& range) const {
  std::shared_ptr<Holder> holder = Current();
  CAIRN_ASSIGN_OR_RETURN(auto it, holder->engine()->NewHistoryIterator(family, range));
  return std::unique_ptr<HistoryIterator>(
      std::make_unique<KeptHistoryIterator<std::shared_ptr<Holder>>>(std::move(holder),
                                                                     std::move(it)));
}

Result<std::string> SwapEngine::GetSystem(SystemSpace space, std::string_view key) const {
  return Current()->engine()->GetSystem(space, key);
}

Result<std::unique_ptr<SystemIterator>> SwapEngine::NewSystemIterator(SystemSpace space,
                                                                      const KeyRange& range) const {
  std::shared_ptr<Holder> holder = Current();
  CAIRN_ASSIGN_OR_RETURN(auto it, holder->engine()->NewSystemIterator(space, range));
  return std::unique_ptr<SystemIterator>(
      std::make_unique<KeptSystemIterator<std::shared_ptr<Holder>>>(std::move(holder),
                                                                    std::move(it)));
}

Status SwapEngine::SetWatermark(Version watermark) {
  return Current()->engine()->SetWatermark(watermark);
}
Result<StateMeta> SwapEngine::Checkpoint(const std::string& directory) {
  return Current()->engine()->Checkpoint(directory);
}
EngineFigures SwapEngine::Figures() const { return Current()->engine()->Figures(); }

}  // namespace cairn::storage
