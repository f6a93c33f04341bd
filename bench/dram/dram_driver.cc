// RemoteDram as the loader drives it.
#include <utility>

#include "bench/dram/drivers.h"
#include "cairn/remote_dram.h"

namespace cairn::bench {
namespace {

class DramConnection final : public Connection {
 public:
  DramConnection(std::shared_ptr<RemoteDram> store, bool busy_poll)
      : store_(std::move(store)), busy_poll_(busy_poll) {}

  Status Set(const std::string& key, const std::string& value) override {
    return Wait(store_->Write(key, dram::Buffer::Borrow(value))).status();
  }

  // The value stays where the network has put it, as a program would use it: `value` only gets its
  // length. The peers' drivers receive into `value` itself, which costs them no copy either.
  Status Get(const std::string& key, std::string* value) override {
    auto read = Wait(store_->Read(key));
    if (!read.ok()) return read.status();
    if (read->state != dram::ReadResult::State::kValue) return NotFoundError(key);
    value->clear();
    last_ = std::move(read->value);
    return last_.empty() ? CorruptionError("an empty value for " + key) : Status();
  }

 private:
  template <class T>
  Result<T> Wait(Future<T> future) {
    if (busy_poll_) {
      while (!future.ready()) (void)store_->Poll();
    }
    return future.Get();
  }

  const std::shared_ptr<RemoteDram> store_;
  const bool busy_poll_;
  dram::Buffer last_;
};

class DramDriver final : public Driver {
 public:
  explicit DramDriver(DramDriverOptions options) : options_(std::move(options)) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    std::shared_ptr<RemoteDram> store = store_;
    if (store == nullptr) {
      CAIRN_ASSIGN_OR_RETURN(store, RemoteDram::Open(options_.spec));
      if (options_.shared) store_ = store;
    }
    // Open when this returns: a read waits for the connection.
    CAIRN_RETURN_IF_ERROR(store->Read("connect").Get().status());
    return std::unique_ptr<Connection>(
        std::make_unique<DramConnection>(std::move(store), options_.busy_poll));
  }

 private:
  const DramDriverOptions options_;
  std::shared_ptr<RemoteDram> store_;
};

}  // namespace

Result<std::unique_ptr<Driver>> MakeDramDriver(DramDriverOptions options) {
  CAIRN_RETURN_IF_ERROR(RemoteDram::CheckSpec(options.spec));
  return std::unique_ptr<Driver>(std::make_unique<DramDriver>(std::move(options)));
}

}  // namespace cairn::bench
