// The module cairn._remote_dram: RemoteDram for Python, without its comforts, which are in
// remote_dram.py. Keys are bytes here.
//
// The interpreter's lock is released while an operation is waited for, and no callback of the pool
// takes it: nothing of this can deadlock with Python. Values go in as any contiguous buffer, which
// is held, not copied, until the write has ended, and come out as Value, which lends its bytes to
// numpy and memoryview.
//
// A forked child has a copy of all this, but none of the threads, and locks as they were at the
// fork. So it uses no pool and destroys nothing of one: either could be waited for without end.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cairn/remote_dram.h"
#include "src/base/log.h"

namespace py = pybind11;

namespace cairn {
namespace {

// How long a wait lasts before Python may look for signals (Ctrl-C).
constexpr std::chrono::milliseconds kSlice{100};

struct StatusException {
  Status status;
};

void Check(const Status& status) {
  if (!status.ok()) throw StatusException{status};
}

// Deletes in the process that made it, and does nothing in a forked child.
struct DeleteAtHome {
  template <class T>
  void operator()(T* what) const {
    if (::getpid() == home) delete what;
  }
  pid_t home = ::getpid();
};

// How many pools this process has open; a forked child counts those that it can't use. UCX takes no
// new ones in a child while there is any.
std::atomic<int> open_pools{0};
std::atomic<pid_t> opener{0};

// For as long as a pool is open, and while it opens.
class Opened {
 public:
  Opened() {
    const pid_t self = ::getpid();
    if (open_pools == 0) opener = self;
    if (opener != self) {
      throw std::runtime_error(
          "process " + std::to_string(opener) +
          " had a RemoteDram open when it forked this one, where none can be opened now: start "
          "processes with multiprocessing's method \"spawn\", or close it before the fork");
    }
    ++open_pools;
  }
  ~Opened() { --open_pools; }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

// A pool that is counted.
struct Pool {
  Opened opened;
  std::unique_ptr<RemoteDram> dram;
};

template <class T>
Result<T> Wait(Future<T> future) {
  while (!future.ready()) {
    bool ready = false;
    {
      const py::gil_scoped_release release;
      ready = future.WaitFor(kSlice);
    }
    if (!ready && PyErr_CheckSignals() != 0) {
      future.Cancel();
      const py::gil_scoped_release release;
      (void)future.Get();
      break;
    }
  }
  if (!future.valid()) throw py::error_already_set();
  return future.Get();
}

// A value that was read, pinned while this lives.
class Value {
 public:
  explicit Value(dram::Buffer buffer) : buffer_(new dram::Buffer(std::move(buffer))) {}
  [[nodiscard]] py::buffer_info Lend() const {
    // An empty buffer must have an address all the same.
    static const char nothing = 0;
    void* const data = const_cast<char*>(buffer_->data() == nullptr ? &nothing : buffer_->data());
    return py::buffer_info(data, 1, "B", 1, {static_cast<py::ssize_t>(size())}, {1},
                           /*readonly=*/true);
  }
  [[nodiscard]] std::size_t size() const { return buffer_->size(); }

 private:
  std::unique_ptr<const dram::Buffer, DeleteAtHome> buffer_;
};

// A contiguous buffer of Python, held while this lives.
class Held {
 public:
  explicit Held(const py::handle& object) {
    // numpy tells no format for dates and times, but lends their bytes all the same.
    if (Take(object, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) || Take(object, PyBUF_C_CONTIGUOUS)) {
      if (!HasObjects(object)) return;
      PyBuffer_Release(&view_);
      throw py::type_error(
          "the value is an array of Python objects: its buffer holds their addresses, not what "
          "they "
          "are. Give an array of numbers or of text of fixed length (array.astype(...)), or bytes, "
          "as of pickle.dumps(array)");
    }
    const py::error_already_set refused;  // takes the interpreter's error
    if (!Take(object, PyBUF_STRIDES)) {
      PyErr_Clear();
      throw refused;
    }
    PyBuffer_Release(&view_);
    throw py::value_error(
        "the value is not C-contiguous: it is a Fortran-ordered array, or one with gaps. Give "
        "numpy.ascontiguousarray(value), or for Fortran order value.T and read it back that way");
  }
  ~Held() { PyBuffer_Release(&view_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  [[nodiscard]] dram::Buffer Borrow() const {
    return dram::Buffer::Borrow(
        {static_cast<const char*>(view_.buf), static_cast<std::size_t>(view_.len)});
  }

 private:
  // False leaves the interpreter's error of the last try.
  bool Take(const py::handle& object, int flags) {
    PyErr_Clear();
    return PyObject_GetBuffer(object.ptr(), &view_, flags) == 0;
  }
  // Whether addresses of objects lie in what was taken.
  [[nodiscard]] bool HasObjects(const py::handle& object) const {
    if (view_.format == nullptr) {
      const py::object dtype = py::getattr(object, "dtype", py::none());
      return py::bool_(py::getattr(dtype, "hasobject", py::bool_(false)));
    }
    // Names of fields stand between colons.
    bool in_name = false;
    for (const char c : std::string_view(view_.format)) {
      if (c == ':') in_name = !in_name;
      if (c == 'O' && !in_name) return true;
    }
    return false;
  }

  Py_buffer view_{};
};

// `timeout` seconds from now; none: as the spec says.
dram::Deadline After(const std::optional<double>& timeout) {
  if (!timeout.has_value()) return std::nullopt;
  constexpr double kYear = 31'536'000;
  // Written so that what is no number fails.
  if (!(*timeout >= 0)) throw py::value_error("timeout: seconds, 0 or more");
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::duration<double>(std::min(*timeout, kYear)));
}

using Timeout = std::optional<double>;
using GenerationPair = std::pair<std::uint64_t, std::uint64_t>;

dram::Generation ToGeneration(const std::optional<GenerationPair>& pair) {
  if (!pair.has_value()) return dram::Generation::Unknown();
  return {pair->first, pair->second};
}
GenerationPair FromGeneration(const dram::Generation& g) { return {g.boot_id, g.counter}; }

// (state, Value or None, generation)
py::tuple FromRead(const Result<dram::ReadResult>& read) {
  Check(read.status());
  py::object value = py::none();
  if (read->state == dram::ReadResult::State::kValue) value = py::cast(Value(read->value));
  return py::make_tuple(static_cast<int>(read->state), value, FromGeneration(read->generation));
}

class Store {
 public:
  explicit Store(const std::string& spec) {
    const std::shared_ptr<Pool> pool(new Pool, DeleteAtHome{});
    Result<std::unique_ptr<RemoteDram>> dram = [&] {
      const py::gil_scoped_release release;
      return RemoteDram::Open(spec);
    }();
    Check(dram.status());
    pool->dram = std::move(*dram);
    store_ = {pool, pool->dram.get()};
  }
  ~Store() { Close(); }

  void Close() {
    // Taken under the interpreter's lock, as other threads copy it under that.
    std::shared_ptr<RemoteDram> last = std::move(store_);
    const py::gil_scoped_release release;
    last.reset();
  }

  py::tuple Read(const std::string& key, std::int64_t start, std::int64_t stop,
                 const std::optional<GenerationPair>& if_equal,
                 const std::optional<GenerationPair>& if_not_equal, const Timeout& timeout) {
    dram::ReadOptions options;
    options.deadline = After(timeout);
    options.byte_range = {start, stop};
    options.if_equal = ToGeneration(if_equal);
    options.if_not_equal = ToGeneration(if_not_equal);
    return FromRead(Wait(open()->Read(key, options)));
  }

  // Values of the keys that have one, by key; all are asked for at once.
  py::dict ReadMany(const std::vector<std::string>& keys, const Timeout& timeout) {
    const std::shared_ptr<RemoteDram> store = open();
    dram::ReadOptions options;
    options.deadline = After(timeout);
    std::vector<dram::ReadRequestItem> items;
    items.reserve(keys.size());
    for (const std::string& key : keys) items.push_back({key, options});
    auto futures = store->ReadBatch(items);
    py::dict values;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto read = Wait(std::move(futures[i]));
      Check(read.status());
      if (read->state != dram::ReadResult::State::kValue) continue;
      values[py::bytes(keys[i])] = py::cast(Value(read->value));
    }
    return values;
  }

  // None if the condition did not hold.
  std::optional<GenerationPair> Write(const std::string& key, const py::object& value,
                                      const std::optional<GenerationPair>& if_equal,
                                      const Timeout& timeout) {
    const Held held(value);
    const auto written =
        Wait(open()->Write(key, held.Borrow(), {ToGeneration(if_equal), After(timeout)}));
    Check(written.status());
    if (written->generation.IsUnknown()) return std::nullopt;
    return FromGeneration(written->generation);
  }

  void WriteMany(const std::vector<std::pair<std::string, py::object>>& items,
                 const Timeout& timeout) {
    const std::shared_ptr<RemoteDram> store = open();
    const dram::Deadline deadline = After(timeout);
    // What is held must outlast all writes, the failed ones too.
    std::vector<std::unique_ptr<Held>> held;
    std::vector<Future<dram::WriteResult>> futures;
    for (const auto& [key, value] : items) held.push_back(std::make_unique<Held>(value));
    for (std::size_t i = 0; i < items.size(); ++i) {
      futures.push_back(store->Write(items[i].first, held[i]->Borrow(), {{}, deadline}));
    }
    Status first;
    bool interrupted = false;
    for (auto& future : futures) {
      if (interrupted) {
        future.Cancel();
        const py::gil_scoped_release release;
        (void)future.Get();
        continue;
      }
      try {
        const auto written = Wait(std::move(future));
        if (first.ok()) first = written.status();
      } catch (py::error_already_set& error) {
        error.restore();
        interrupted = true;
      }
    }
    if (interrupted) throw py::error_already_set();
    Check(first);
  }

  // True if the key had a value.
  bool Delete(const std::string& key, const Timeout& timeout) {
    const dram::Deadline deadline = After(timeout);
    for (;;) {
      const auto now = Wait(open()->Read(key, {{0, 0}, {}, {}, deadline}));
      Check(now.status());
      if (now->state == dram::ReadResult::State::kMissing) return false;
      const auto deleted = Wait(open()->Delete(key, {now->generation, deadline}));
      Check(deleted.status());
      // Somebody else wrote it meanwhile: that value is deleted then.
      if (!deleted->generation.IsUnknown()) return true;
    }
  }

  // False if the condition did not hold.
  bool DeleteIf(const std::string& key, const GenerationPair& if_equal, const Timeout& timeout) {
    const auto deleted = Wait(open()->Delete(key, {ToGeneration(if_equal), After(timeout)}));
    Check(deleted.status());
    return !deleted->generation.IsUnknown();
  }

  std::uint64_t DeleteRange(const std::string& min, const std::string& max,
                            const Timeout& timeout) {
    const auto deleted = Wait(open()->DeleteRange({min, max}, After(timeout)));
    Check(deleted.status());
    return *deleted;
  }

  py::list List(const std::string& prefix, bool strip, const Timeout& timeout) {
    const auto listed = Wait(
        open()->List({dram::KeyRange::Prefix(prefix), strip ? prefix.size() : 0, After(timeout)}));
    Check(listed.status());
    py::list entries;
    for (const auto& entry : *listed) {
      entries.append(py::make_tuple(py::bytes(entry.key), entry.value_bytes));
    }
    return entries;
  }

  py::list Stat(const Timeout& timeout) {
    const auto stats = Wait(open()->Stat(After(timeout)));
    Check(stats.status());
    py::list servers;
    for (const auto& stat : *stats) {
      py::dict server;
      server["address"] = stat.address;
      if (!stat.status.ok()) server["error"] = stat.status.ToString();
      for (const auto& [name, value] : stat.figures) server[py::str(name)] = value;
      servers.append(server);
    }
    return servers;
  }

  py::tuple RouteOf(const std::string& key) {
    const auto route = open()->RouteOf(key);
    Check(route.status());
    return py::make_tuple(route->server, route->local, route->reason);
  }

  py::list Peers() {
    py::list peers;
    for (const auto& peer : open()->Peers()) {
      peers.append(py::make_tuple(peer.address, peer.local, peer.connected,
                                  peer.last_error.ok() ? "" : peer.last_error.ToString()));
    }
    return peers;
  }

  std::string listen_address() { return open()->listen_address(); }

 private:
  // Shared, so that a close by another thread leaves alone what runs.
  std::shared_ptr<RemoteDram> open() const {
    if (::getpid() != home_) {
      throw std::runtime_error(
          "this RemoteDram was opened by process " + std::to_string(home_) +
          ", of which this one is a forked child, where it can't be used: start processes with "
          "multiprocessing's method \"spawn\", and give each the spec or the RemoteDram, which "
          "pickles as its spec");
    }
    if (store_ == nullptr) throw py::value_error("this RemoteDram was closed");
    return store_;
  }
  const pid_t home_ = ::getpid();
  std::shared_ptr<RemoteDram> store_;
};

void Translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const StatusException& e) {
    const py::object make = py::module_::import("cairn.errors").attr("from_code");
    const py::object error = make(std::string(StatusCodeName(e.status.code())), e.status.message(),
                                  e.status.maybe_applied());
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  }
}

}  // namespace
}  // namespace cairn

PYBIND11_MODULE(_remote_dram, module) {
  using cairn::Store;
  using cairn::Value;
  // A library says nothing about what goes well.
  cairn::LoggingOptions logging;
  logging.level = cairn::LogLevel::kError;
  (void)cairn::InitLogging(logging);
  py::register_exception_translator(cairn::Translate);
  py::class_<Value>(module, "Value", py::buffer_protocol())
      .def_buffer(&Value::Lend)
      .def("__len__", &Value::size);
  py::class_<Store>(module, "Store")
      .def(py::init<const std::string&>())
      .def("close", &Store::Close)
      .def("read", &Store::Read, py::arg("key"), py::arg("start") = 0, py::arg("stop") = -1,
           py::arg("if_equal") = py::none(), py::arg("if_not_equal") = py::none(),
           py::arg("timeout") = py::none())
      .def("read_many", &Store::ReadMany, py::arg("keys"), py::arg("timeout") = py::none())
      .def("write", &Store::Write, py::arg("key"), py::arg("value"),
           py::arg("if_equal") = py::none(), py::arg("timeout") = py::none())
      .def("write_many", &Store::WriteMany, py::arg("items"), py::arg("timeout") = py::none())
      .def("delete", &Store::Delete, py::arg("key"), py::arg("timeout") = py::none())
      .def("delete_if", &Store::DeleteIf, py::arg("key"), py::arg("if_equal"),
           py::arg("timeout") = py::none())
      .def("delete_range", &Store::DeleteRange, py::arg("min"), py::arg("max"),
           py::arg("timeout") = py::none())
      .def("list", &Store::List, py::arg("prefix"), py::arg("strip") = false,
           py::arg("timeout") = py::none())
      .def("stat", &Store::Stat, py::arg("timeout") = py::none())
      .def("route", &Store::RouteOf)
      .def("peers", &Store::Peers)
      .def_property_readonly("listen_address", &Store::listen_address);
}
