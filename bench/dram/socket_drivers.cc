// Redis and memcached as the loader drives them.
#include <charconv>
#include <utility>

#include "bench/dram/redis_loop.h"
#include "bench/dram/socket.h"
#include "src/base/mutex.h"

namespace cairn::bench {
namespace {

Status Unexpected(const std::string& system, std::string_view line) {
  return UnavailableError(system + " answered: " + std::string(line));
}

// The number at the end of `line`.
Result<std::size_t> LastNumber(const std::string& system, std::string_view line) {
  const std::string_view digits = line.substr(line.find_last_not_of("0123456789") + 1);
  std::size_t number = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc()) {
    return Unexpected(system, line);
  }
  return number;
}

// A value of `size` bytes and the CR LF behind it.
Status ReadValue(Socket* socket, std::size_t size, std::string* value) {
  value->resize(size);
  CAIRN_RETURN_IF_ERROR(socket->Read(value->data(), size));
  return socket->Line().status();
}

class RedisConnection final : public Connection {
 public:
  explicit RedisConnection(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}

  Status Set(const std::string& key, const std::string& value) override {
    command_ = "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
               std::to_string(value.size()) + "\r\n";
    CAIRN_RETURN_IF_ERROR(socket_->Send(command_, value, "\r\n"));
    CAIRN_ASSIGN_OR_RETURN(const std::string_view line, socket_->Line());
    return line == "+OK" ? Status() : Unexpected("redis", line);
  }

  Status Get(const std::string& key, std::string* value) override {
    command_ = "*2\r\n$3\r\nGET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n";
    CAIRN_RETURN_IF_ERROR(socket_->Send(command_, {}, {}));
    CAIRN_ASSIGN_OR_RETURN(const std::string_view line, socket_->Line());
    if (line == "$-1") return NotFoundError(key);
    if (line.empty() || line.front() != '$') return Unexpected("redis", line);
    CAIRN_ASSIGN_OR_RETURN(const std::size_t size, LastNumber("redis", line));
    return ReadValue(socket_.get(), size, value);
  }

 private:
  const std::unique_ptr<Socket> socket_;
  std::string command_;
};

class AsyncRedisConnection final : public AsyncConnection {
 public:
  AsyncRedisConnection(RedisLoop* loop, RedisLoop::Link* link) : loop_(*loop), link_(link) {}

  void Set(const std::string& key, const std::string& value, Done done) override {
    loop_.Send(link_, {"SET", key, value},
               [done = std::move(done)](const Result<RespReply>& reply) {
                 if (!reply.ok()) return done(reply.status());
                 const bool stored = reply->kind == RespReply::Kind::kLine && reply->text == "OK";
                 done(stored ? Status::Ok() : Unexpected("redis", reply->text));
               });
  }

  void Get(const std::string& key, std::string* value, Done done) override {
    loop_.Send(link_, {"GET", key},
               [key, value, done = std::move(done)](const Result<RespReply>& reply) {
                 if (!reply.ok()) return done(reply.status());
                 if (reply->kind == RespReply::Kind::kNoValue) return done(NotFoundError(key));
                 if (reply->kind != RespReply::Kind::kValue) {
                   return done(Unexpected("redis", reply->text));
                 }
                 value->assign(reply->text);
                 done(Status::Ok());
               });
  }

 private:
  RedisLoop& loop_;
  RedisLoop::Link* const link_;
};

class MemcachedConnection final : public Connection {
 public:
  explicit MemcachedConnection(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}

  Status Set(const std::string& key, const std::string& value) override {
    command_ = "set " + key + " 0 0 " + std::to_string(value.size()) + "\r\n";
    CAIRN_RETURN_IF_ERROR(socket_->Send(command_, value, "\r\n"));
    CAIRN_ASSIGN_OR_RETURN(const std::string_view line, socket_->Line());
    return line == "STORED" ? Status() : Unexpected("memcached", line);
  }

  Status Get(const std::string& key, std::string* value) override {
    command_ = "get " + key + "\r\n";
    CAIRN_RETURN_IF_ERROR(socket_->Send(command_, {}, {}));
    CAIRN_ASSIGN_OR_RETURN(const std::string_view line, socket_->Line());
    if (line == "END") return NotFoundError(key);
    if (line.substr(0, 6) != "VALUE ") return Unexpected("memcached", line);
    CAIRN_ASSIGN_OR_RETURN(const std::size_t size, LastNumber("memcached", line));
    CAIRN_RETURN_IF_ERROR(ReadValue(socket_.get(), size, value));
    CAIRN_ASSIGN_OR_RETURN(const std::string_view end, socket_->Line());
    return end == "END" ? Status() : Unexpected("memcached", end);
  }

 private:
  const std::unique_ptr<Socket> socket_;
  std::string command_;
};

class RedisDriver final : public Driver {
 public:
  RedisDriver(SocketPeer peer, std::size_t connections)
      : peer_(std::move(peer)), shared_(connections) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(auto socket, Socket::Connect(peer_));
    return std::unique_ptr<Connection>(std::make_unique<RedisConnection>(std::move(socket)));
  }

  Result<std::unique_ptr<AsyncConnection>> ConnectAsync() override {
    MutexLock lock(&mutex_);
    if (loop_ == nullptr) {
      CAIRN_ASSIGN_OR_RETURN(loop_, RedisLoop::Create());
    }
    const std::size_t number = shared_ == 0 ? next_ : next_ % shared_;
    ++next_;
    if (number == links_.size()) {
      CAIRN_ASSIGN_OR_RETURN(RedisLoop::Link* const link, loop_->Connect(peer_));
      links_.push_back(link);
    }
    return std::unique_ptr<AsyncConnection>(
        std::make_unique<AsyncRedisConnection>(loop_.get(), links_[number]));
  }

 private:
  const SocketPeer peer_;
  const std::size_t shared_;
  Mutex mutex_;
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<RedisLoop> loop_ ABSL_GUARDED_BY(mutex_);
  std::vector<RedisLoop::Link*> links_ ABSL_GUARDED_BY(mutex_);
};

class MemcachedDriver final : public Driver {
 public:
  explicit MemcachedDriver(SocketPeer peer) : peer_(std::move(peer)) {}

  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(auto socket, Socket::Connect(peer_));
    return std::unique_ptr<Connection>(std::make_unique<MemcachedConnection>(std::move(socket)));
  }

 private:
  const SocketPeer peer_;
};

}  // namespace

std::unique_ptr<Driver> MakeRedisDriver(SocketPeer peer, std::size_t connections) {
  return std::make_unique<RedisDriver>(std::move(peer), connections);
}

std::unique_ptr<Driver> MakeMemcachedDriver(SocketPeer peer) {
  return std::make_unique<MemcachedDriver>(std::move(peer));
}

}  // namespace cairn::bench
