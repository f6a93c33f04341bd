#include "src/base/testing/process_usage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <thread>

namespace cairn {
namespace {

TEST(ProcessUsageTest, WhatThisProcessTakesShows) {
  const std::size_t descriptors = OpenDescriptors();
  const std::size_t threads = ThreadCount();
  const std::uint64_t mapped = MappedBytes();
  const std::uint64_t resident = ResidentBytes();
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  constexpr std::size_t kBytes = 64 << 20;
  void* const memory =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, kBytes);
  std::promise<void> end;
  std::thread thread([&end] { end.get_future().wait(); });
  EXPECT_EQ(OpenDescriptors(), descriptors + 1);
  EXPECT_EQ(ThreadCount(), threads + 1);
  EXPECT_GE(MappedBytes(), mapped + kBytes);
  EXPECT_GE(ResidentBytes(), resident + kBytes / 2);
  // By its number, this process is like any other.
  EXPECT_EQ(ThreadCount(::getpid()), threads + 1);
  EXPECT_GE(OpenDescriptors(::getpid()), descriptors + 1);
  end.set_value();
  thread.join();
  ::munmap(memory, kBytes);
  ::close(fd);
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

TEST(ProcessUsageTest, AProcessThatIsNotHasNothing) {
  constexpr pid_t kNobody = 0x7FFFFFFF;
  EXPECT_EQ(OpenDescriptors(kNobody), 0U);
  EXPECT_EQ(ThreadCount(kNobody), 0U);
  EXPECT_EQ(ResidentBytes(kNobody), 0U);
}

}  // namespace
}  // namespace cairn
