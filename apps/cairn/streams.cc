#include "apps/cairn/streams.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace cairn::cli {
namespace {

std::string Reason(int error) {
  if (error == 0) return {};
  return error == EBADF ? ": it is closed" : std::string(": ") + std::strerror(error);
}

// Puts something that can't be used in the place of standard streams that are closed. Else the next
// socket or file would take the place, and be read or written as if it were the stream. The
// constructors of shared libraries open some already, so it runs before these; there, with nothing
// set up, plain system calls are what is safe, and no sanitizer.
__attribute__((no_sanitize("address", "undefined", "thread"))) void HoldClosedStreams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::syscall(SYS_fcntl, stream, F_GETFD) >= 0) continue;
    // In the wrong direction, so that whoever uses it gets an error. It takes the lowest free
    // number, which is this one.
    (void)::syscall(SYS_openat, AT_FDCWD, "/dev/null",
                    stream == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
  }
}

[[gnu::section(".preinit_array"),
  gnu::used]] void (*const hold_closed_streams)() = HoldClosedStreams;

}  // namespace

Status FlushStandardOutput(bool c_stream) {
  errno = 0;
  std::cout.flush();
  bool written = std::cout.good();
  // If it failed earlier, the reason is forgotten. Another byte of what is broken anyway tells it.
  if (!written && errno == 0) (void)!::write(STDOUT_FILENO, "\n", 1);
  if (written && c_stream) written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written) return Status::Ok();
  return IoError("cannot write standard output" + Reason(errno));
}

Status CheckRead(const std::istream& in, const std::string& name) {
  if (!in.bad()) return Status::Ok();
  return InvalidArgumentError("cannot read " + name + Reason(errno));
}

Result<std::string> ReadAll(std::istream& in, const std::string& name) {
  std::string bytes;
  while (in) {
    constexpr std::size_t kStep = 64 << 10;
    const std::size_t held = bytes.size();
    bytes.resize(held + kStep);
    in.read(bytes.data() + held, kStep);
    bytes.resize(held + static_cast<std::size_t>(in.gcount()));
  }
  CAIRN_RETURN_IF_ERROR(CheckRead(in, name));
  return bytes;
}

}  // namespace cairn::cli
