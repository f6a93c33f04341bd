// The memory plane: a key-value store in the DRAM of other nodes.
//
// This header uses the standard library alone and compiles as C++17.
//
// Thread safety: values, unless a class says otherwise.
#ifndef CAIRN_REMOTE_DRAM_H_
#define CAIRN_REMOTE_DRAM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/future.h"
#include "cairn/status.h"

namespace cairn::dram {

// Bytes, and what keeps them in place: while a Buffer or a copy of it lives, its bytes neither move
// nor change. Copying a Buffer copies no bytes. What a read gives is pinned in this way: it stays
// readable while its key is overwritten or deleted.
class Buffer {
 public:
  Buffer() noexcept = default;
  // `pin` keeps [data, data + size) valid; it is dropped with the last copy of this Buffer.
  Buffer(const void* data, std::size_t size, std::shared_ptr<const void> pin) noexcept
      : data_(static_cast<const char*>(data)), size_(size), pin_(std::move(pin)) {}

  // A copy of `bytes` on the heap.
  static Buffer Copy(std::string_view bytes) { return Take(std::string(bytes)); }
  // The bytes of a string, which moves into the Buffer.
  static Buffer Take(std::string bytes) {
    auto pin = std::make_shared<const std::string>(std::move(bytes));
    const char* data = pin->data();
    const std::size_t size = pin->size();
    return Buffer(data, size, std::move(pin));
  }
  // Bytes that the caller keeps valid and unchanged until the operation that takes them has given
  // its result. Nothing is copied and nothing pinned.
  static Buffer Borrow(std::string_view bytes) noexcept {
    return Buffer(bytes.data(), bytes.size(), nullptr);
  }

  // The first byte; may be null if there is none.
  [[nodiscard]] const char* data() const noexcept { return data_; }
  // How many bytes there are.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // True if there is none.
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  // The bytes where they are, valid while this buffer or a copy of it lives.
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  // A copy of the bytes.
  [[nodiscard]] std::string ToString() const { return std::string(view()); }
  // What keeps the bytes; null for borrowed ones.
  [[nodiscard]] const std::shared_ptr<const void>& pin() const noexcept { return pin_; }

  // Part of the bytes, under the same pin. `offset` and `size` must lie within.
  [[nodiscard]] Buffer Slice(std::size_t offset, std::size_t size) const {
    return Buffer(data_ + offset, size, pin_);
  }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> pin_;
};

// Which write made a value: the random boot id of the server that took the write, and a counter
// there. No two writes to a key have the same one, not even across a delete or a restart.
struct Generation {
  std::uint64_t boot_id = 0;  // random, of the server's process
  std::uint64_t counter = 0;  // of its writes

  // As a result: nothing is known of the value (a condition did not hold). As a condition: none.
  static constexpr Generation Unknown() noexcept { return {0, 0}; }
  // The key has no value.
  static constexpr Generation NoValue() noexcept { return {0, 1}; }

  // True for Unknown().
  [[nodiscard]] constexpr bool IsUnknown() const noexcept { return *this == Unknown(); }
  // True for NoValue().
  [[nodiscard]] constexpr bool IsNoValue() const noexcept { return *this == NoValue(); }

  // The same write, or not.
  friend constexpr bool operator==(const Generation& a, const Generation& b) noexcept {
    return a.boot_id == b.boot_id && a.counter == b.counter;
  }
  friend constexpr bool operator!=(const Generation& a, const Generation& b) noexcept {
    return !(a == b);
  }
};

// Which bytes of a value to read.
//   {0, -1}    all of it (the default)
//   {3, -1}    from the fourth byte to the end
//   {3, 7}     four bytes
//   {-5, -1}   the last five bytes
// A range that does not lie within the value is kOutOfRange.
struct ByteRange {
  std::int64_t inclusive_min = 0;   // the first byte; negative: so many before the end
  std::int64_t exclusive_max = -1;  // the byte behind the last one; -1: the end

  // True if it is the whole value.
  [[nodiscard]] bool IsFull() const noexcept { return inclusive_min == 0 && exclusive_max == -1; }
  // Alike as they are written.
  friend bool operator==(const ByteRange& a, const ByteRange& b) noexcept {
    return a.inclusive_min == b.inclusive_min && a.exclusive_max == b.exclusive_max;
  }
};

// Keys from `inclusive_min` up to but without `exclusive_max`; an empty `exclusive_max` is no
// bound.
struct KeyRange {
  std::string inclusive_min;  // the first key
  std::string exclusive_max;  // the key behind the last one; empty: no bound

  // All keys that start with `prefix`.
  static KeyRange Prefix(std::string prefix) {
    KeyRange range{prefix, std::move(prefix)};
    std::string& end = range.exclusive_max;
    while (!end.empty() && end.back() == '\xFF') end.pop_back();
    if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    return range;
  }
  [[nodiscard]] bool Contains(std::string_view key) const noexcept {
    return key >= inclusive_min && (exclusive_max.empty() || key < exclusive_max);
  }
  friend bool operator==(const KeyRange& a, const KeyRange& b) noexcept {
    return a.inclusive_min == b.inclusive_min && a.exclusive_max == b.exclusive_max;
  }
};

// Bounds that every server keeps. A request beyond one of them is kInvalidArgument.
inline constexpr std::size_t kMaxKeyBytes = 4096;
inline constexpr std::uint64_t kMaxValueBytes = std::uint64_t{4} << 30;

// When an operation must have ended; unless given, the spec's `timeout_ms` from its start.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

struct ReadOptions {     // of one read
  ByteRange byte_range;  // which part of the value
  // Give the value only if its generation is this one, or is not this one; unknown: no condition.
  Generation if_equal;
  Generation if_not_equal;
  Deadline deadline;
};

struct ReadResult {                  // what a read found
  enum class State : std::uint8_t {  // whether there is a value
    kUnspecified = 0,                // a condition did not hold; only the generation is known
    kMissing = 1,                    // the key has no value
    kValue = 2,
  };
  State state = State::kMissing;  // whether `value` is one
  // The bytes asked for, pinned: in the server's own memory if the key is held by this process.
  Buffer value;
  Generation generation = Generation::NoValue();  // of the value, the whole of it
  std::uint64_t value_bytes = 0;                  // of the whole value
  // When the operation began: the key was as told here at some time that was not before.
  std::chrono::system_clock::time_point time;
};

struct WriteOptions {  // of one write or delete
  // Write only if the key's generation is this one; NoValue: only if it has no value; unknown: no
  // condition.
  Generation if_equal;
  Deadline deadline;
};

struct WriteResult {  // what a write or delete did
  // Of the value written; NoValue after a delete; unknown if the condition did not hold, and then
  // nothing was changed.
  Generation generation;
  // When the operation began.
  std::chrono::system_clock::time_point time;
};

struct ListOptions {  // which keys to list, and how
  KeyRange range;     // which keys
  // So many bytes are cut from the front of each key found.
  std::size_t strip_prefix_bytes = 0;
  Deadline deadline;
};

struct ListEntry {                // a key that was listed
  std::string key;                // without what strip_prefix_bytes cut off
  std::uint64_t value_bytes = 0;  // the size of its value
  // Alike in both.
  friend bool operator==(const ListEntry& a, const ListEntry& b) noexcept {
    return a.key == b.key && a.value_bytes == b.value_bytes;
  }
};

// The figures of one server, by name: "keys", "value_bytes", "capacity_bytes", "used_bytes",
// "largest_free_bytes", "reads", "writes", "evicted", "refused_for_room", "connections",
// "shared_memory_connections". Later servers may tell more.
struct ServerStat {
  std::string address;        // of its server, "host:port"
  Status status;              // why there are no figures
  std::uint64_t boot_id = 0;  // of the process, as in its generations
  std::vector<std::pair<std::string, std::uint64_t>> figures;  // name and value
};

// Where a key lives, and why.
struct Route {
  std::string server;  // "host:port"
  bool local = false;  // whether that is this process
  std::string reason;  // for people
};

// One server of the pool as this process sees it now.
struct PeerStatus {
  std::string address;     // "host:port"
  bool local = false;      // whether it is this process
  bool connected = false;  // always true for the local one
  Status last_error;       // why it is not connected; OK if it never failed
};

struct ReadRequestItem {  // one read of a batch
  std::string key;        // up to kMaxKeyBytes
  ReadOptions options;    // of this read alone
};

struct WriteRequestItem {  // one write of a batch
  std::string key;         // up to kMaxKeyBytes
  Buffer value;            // up to kMaxValueBytes
  WriteOptions options;    // of this write alone
};

}  // namespace cairn::dram

namespace cairn {

// A pool of memory on one or many nodes, as the spec says (docs/remote-dram.md):
//
//   {"listen_addr": "0.0.0.0:12345"}                                     serves values
//   {"remote_addr": "node1:12345"}                                       uses a server
//   {"listen_addr": ..., "remote_addrs": [...], "key_routing": "hash"}   both: one of a pool
//
// Operations never block; their futures are ready when the operation has ended, and take
// callbacks, which run on a thread of the pool, inside the call or on a thread that waits in Get
// for another result, and must not block. Errors:
//
//   kUnavailable         the server could not be reached, or went away
//   kTimeout             the deadline passed; kCancelled: Future::Cancel came first
//   kResourceExhausted   the server's capacity is reached; nothing stored is lost
//   kInvalidArgument     a key or value beyond the bounds above
//   kOutOfRange          a byte range that does not lie within the value
//   kNotFound            no routing rule names a server for the key (not: the key has no value)
//   kFailedPrecondition  the server routes keys differently; the message shows both tables
//
// A write that failed may have been applied if Status::maybe_applied() says so. An operation on a
// server that is not connected waits for a connection, for up to two seconds and its deadline; the
// connection is made anew by itself.
//
// Thread safety: all of it. Destroying it ends all operations with kUnavailable, waits for
// callbacks that run, and must not be done in one. Buffers that reads gave stay valid.
class RemoteDram {
 public:
  // Opens the pool that `spec`, a JSON object, describes. Does not wait for other nodes. kIoError
  // if it can't listen; kInvalidArgument, saying what to change, for a spec that can't be.
  static Result<std::unique_ptr<RemoteDram>> Open(std::string_view spec);
  // OK if `spec` describes a pool; else what Open would say of it, as far as that can be told
  // without opening it.
  static Status CheckSpec(std::string_view spec);

  virtual ~RemoteDram() = default;
  // The value of a key, or the bytes of it that the options ask for.
  virtual Future<dram::ReadResult> Read(std::string_view key, dram::ReadOptions options) = 0;
  // The bytes of a borrowed `value` must stay valid until the future is ready.
  virtual Future<dram::WriteResult> Write(std::string_view key, dram::Buffer value,
                                          dram::WriteOptions options) = 0;
  virtual Future<dram::WriteResult> Delete(std::string_view key, dram::WriteOptions options) = 0;
  // Gives how many keys were deleted. Not atomic over keys.
  virtual Future<std::uint64_t> DeleteRange(dram::KeyRange range, dram::Deadline deadline) = 0;
  // All keys of the range, in order, over all servers. No snapshot: a key that exists throughout
  // is listed. Fails if any server does.
  virtual Future<std::vector<dram::ListEntry>> List(dram::ListOptions options) = 0;
  // Of every server of the pool; one that does not answer has a status that says why.
  virtual Future<std::vector<dram::ServerStat>> Stat(dram::Deadline deadline) = 0;
  // The same with the default options.
  Future<dram::ReadResult> Read(std::string_view key) { return Read(key, dram::ReadOptions()); }
  Future<dram::WriteResult> Write(std::string_view key, dram::Buffer value) {
    return Write(key, std::move(value), dram::WriteOptions());
  }
  Future<dram::WriteResult> Delete(std::string_view key) {
    return Delete(key, dram::WriteOptions());
  }
  Future<std::uint64_t> DeleteRange(dram::KeyRange range) {
    return DeleteRange(std::move(range), dram::Deadline());
  }
  Future<std::vector<dram::ServerStat>> Stat() { return Stat(dram::Deadline()); }

  // Several operations at once, on their way together. Each has its own result; together they are
  // not atomic.
  std::vector<Future<dram::ReadResult>> ReadBatch(const std::vector<dram::ReadRequestItem>& items) {
    std::vector<Future<dram::ReadResult>> futures;
    futures.reserve(items.size());
    for (const auto& item : items) futures.push_back(Read(item.key, item.options));
    return futures;
  }
  std::vector<Future<dram::WriteResult>> WriteBatch(std::vector<dram::WriteRequestItem> items) {
    std::vector<Future<dram::WriteResult>> futures;
    futures.reserve(items.size());
    for (auto& item : items) {
      futures.push_back(Write(item.key, std::move(item.value), item.options));
    }
    return futures;
  }

  // With the spec's `busy_poll`: makes progress on the calling thread, which is the fastest way to
  // wait. True if anything happened.
  virtual bool Poll() { return false; }
  // Of this process's own server, without waiting for anything; nothing if it does not serve.
  [[nodiscard]] virtual std::optional<dram::ServerStat> LocalStat() const = 0;
  // Which server holds a key. kNotFound if the routing names none.
  [[nodiscard]] virtual Result<dram::Route> RouteOf(std::string_view key) const = 0;
  // All servers of the pool, sorted by address.
  [[nodiscard]] virtual std::vector<dram::PeerStatus> Peers() const = 0;
  // The routing table in words, as servers compare it; empty if there is none.
  [[nodiscard]] virtual std::string RoutingTable() const = 0;
  // The address where this process serves, with its real port; empty if it does not.
  [[nodiscard]] virtual std::string listen_address() const = 0;
};

// A server and a client of each of its peers, for programs that say themselves on which node a
// value lives; a RemoteDram with `key_routing` decides that by itself.
//
//   cairn::DistributedServerNode node1;
//   auto ok = node1.Initialize("0.0.0.0:12345", {"192.168.1.100:12345", "192.168.1.101:12345"});
//   auto a = node1.GetServerStore().Write("local", cairn::dram::Buffer::Copy("data")).Get();
//   auto b = node1.WriteToServer("192.168.1.100:12345", "key",
//   cairn::dram::Buffer::Copy("x")).Get(); auto read = node1.ReadFromServer("192.168.1.101:12345",
//   "some_key").Get();
//
// Thread safety: after Initialize, all of it. Destroying it is as with RemoteDram.
class DistributedServerNode {
 public:
  DistributedServerNode();
  ~DistributedServerNode();
  DistributedServerNode(const DistributedServerNode&) = delete;
  DistributedServerNode& operator=(const DistributedServerNode&) = delete;

  // Serves `capacity_bytes` at `listen_addr`, and begins to connect to the peers; they need not run
  // yet. Once: kFailedPrecondition afterwards. kInvalidArgument for an address that is none,
  // kIoError if it can't listen; it can be called again then.
  Status Initialize(const std::string& listen_addr, const std::vector<std::string>& peer_addrs,
                    std::uint64_t capacity_bytes = std::uint64_t{1} << 30);

  // The values of this node. Aborts before Initialize.
  RemoteDram& GetServerStore();
  // The values of one of the peers, named as in Initialize, or of this node, by its listen address,
  // with all that a store can do: conditions, deadlines, deletes, lists. Null for any other. It is
  // the node's, and lives as long.
  [[nodiscard]] RemoteDram* FindStore(const std::string& server_addr) const;

  // On one of the peers, named as in Initialize, or on this node, by its listen address. kNotFound
  // for any other.
  Future<dram::WriteResult> WriteToServer(const std::string& server_addr, std::string_view key,
                                          dram::Buffer value);
  Future<dram::ReadResult> ReadFromServer(const std::string& server_addr, std::string_view key);

  // The peers, in the order of Initialize.
  [[nodiscard]] std::vector<dram::PeerStatus> GetPeerStatus() const;
  // Where it serves, with the real port; empty before Initialize.
  [[nodiscard]] std::string listen_address() const;

 private:
  std::unique_ptr<RemoteDram> server_;
  std::vector<std::pair<std::string, std::unique_ptr<RemoteDram>>> peers_;
};

}  // namespace cairn

#endif  // CAIRN_REMOTE_DRAM_H_
