// Redis and memcached as the loader drives them.
#include <charconv>
#include <utility>

#include "bench/dram/socket.h"

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

template <class Made>
class SocketDriver final : public Driver {
 public:
  explicit SocketDriver(SocketPeer peer) : peer_(std::move(peer)) {}
  Result<std::unique_ptr<Connection>> Connect() override {
    CAIRN_ASSIGN_OR_RETURN(auto socket, Socket::Connect(peer_));
    return std::unique_ptr<Connection>(std::make_unique<Made>(std::move(socket)));
  }

 private:
  const SocketPeer peer_;
};

}  // namespace

std::unique_ptr<Driver> MakeRedisDriver(SocketPeer peer) {
  return std::make_unique<SocketDriver<RedisConnection>>(std::move(peer));
}

std::unique_ptr<Driver> MakeMemcachedDriver(SocketPeer peer) {
  return std::make_unique<SocketDriver<MemcachedConnection>>(std::move(peer));
}

}  // namespace cairn::bench
