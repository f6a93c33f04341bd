#include <atomic>
#include <utility>

#include "bench/load/driver.h"

namespace cairn::bench {
namespace {

class BlockingConnection : public Connection {
 public:
  explicit BlockingConnection(std::unique_ptr<AsyncConnection> connection)
      : connection_(std::move(connection)) {}

  Status Set(const std::string& key, const std::string& value) override {
    return Wait([&](AsyncConnection::Done done) { connection_->Set(key, value, std::move(done)); });
  }

  Status Get(const std::string& key, std::string* value) override {
    return Wait([&](AsyncConnection::Done done) { connection_->Get(key, value, std::move(done)); });
  }

 private:
  template <class Start>
  Status Wait(const Start& start) {
    done_.store(false, std::memory_order_relaxed);
    start([this](Status status) {
      status_ = std::move(status);
      done_.store(true, std::memory_order_release);
      done_.notify_one();
    });
    done_.wait(false, std::memory_order_acquire);
    return std::move(status_);
  }

  const std::unique_ptr<AsyncConnection> connection_;
  std::atomic<bool> done_{false};
  Status status_;
};

}  // namespace

std::unique_ptr<Connection> MakeBlocking(std::unique_ptr<AsyncConnection> connection) {
  return std::make_unique<BlockingConnection>(std::move(connection));
}

}  // namespace cairn::bench
