// A program of somebody else that uses the installed memory plane: a server and a client of it.
#include <cairn/remote_dram.h>

#include <iostream>
#include <string>

int main() {
  auto server = cairn::RemoteDram::Open(R"({"listen_addr": "127.0.0.1:0"})");
  if (!server.ok()) {
    std::cerr << server.status().ToString() << "\n";
    return 1;
  }
  auto client =
      cairn::RemoteDram::Open(R"({"remote_addr": ")" + (*server)->listen_address() + "\"}");
  if (!client.ok()) {
    std::cerr << client.status().ToString() << "\n";
    return 1;
  }
  const auto written = (*client)->Write("key", cairn::dram::Buffer::Copy("value")).Get();
  const auto read = (*client)->Read("key").Get();
  if (!written.ok() || !read.ok()) {
    std::cerr << written.status().ToString() << ", " << read.status().ToString() << "\n";
    return 1;
  }
  const std::string value(static_cast<const char*>(read->value.data()), read->value.size());
  std::cout << "read: " << value << "\n";
  return 0;
}
