// Word to the supervisor. Signals are tested with whole processes, in tests/cluster.
#include "apps/cairnd/process.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace cairn::node {
namespace {

// A datagram socket with a name, as systemd listens on.
class Supervisor {
 public:
  explicit Supervisor(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
              0);
  }
  ~Supervisor() { close(fd_); }
  std::string Received() {
    char buffer[100];
    const ssize_t size = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(buffer, static_cast<std::size_t>(size));
  }

 private:
  const int fd_;
};

TEST(NotifySupervisor, ReachesASocketInTheFileSystemAndAnAbstractOne) {
  const std::string path = ::testing::TempDir() + "/notify." + std::to_string(getpid());
  const std::string abstract = "@cairn-notify-test." + std::to_string(getpid());
  {
    Supervisor supervisor(path);
    ASSERT_EQ(setenv("NOTIFY_SOCKET", path.c_str(), 1), 0);
    NotifySupervisor("READY=1");
    EXPECT_EQ(supervisor.Received(), "READY=1");
  }
  unlink(path.c_str());
  {
    std::string name = abstract;
    name[0] = '\0';
    Supervisor supervisor(name);
    ASSERT_EQ(setenv("NOTIFY_SOCKET", abstract.c_str(), 1), 0);
    NotifySupervisor("STOPPING=1");
    EXPECT_EQ(supervisor.Received(), "STOPPING=1");
  }
  NotifySupervisor("READY=1");  // nobody listens any more
  ASSERT_EQ(setenv("NOTIFY_SOCKET", std::string(500, 'x').c_str(), 1), 0);
  NotifySupervisor("READY=1");
  ASSERT_EQ(unsetenv("NOTIFY_SOCKET"), 0);
  NotifySupervisor("READY=1");
}

TEST(PrepareProcess, AllowsAsManyFilesAsItMay) {
  PrepareProcess();
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(files.rlim_cur, files.rlim_max);
}

}  // namespace
}  // namespace cairn::node
