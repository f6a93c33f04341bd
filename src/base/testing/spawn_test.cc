#include "src/base/testing/spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace cairn {
namespace {

constexpr const char* kFdVariable = "CAIRN_TEST_SPAWN_FD";
constexpr const char* kWordsVariable = "CAIRN_TEST_SPAWN_WORDS";
constexpr int kExitCode = 3;

// The process that the test below starts: repeats its variable into the pipe.
TEST(SpawnChild, Runs) {
  const char* const fd = std::getenv(kFdVariable);
  if (fd == nullptr) GTEST_SKIP() << "only another test runs this one";
  const std::string words = std::getenv(kWordsVariable);
  ASSERT_EQ(::write(std::atoi(fd), words.data(), words.size()), static_cast<ssize_t>(words.size()));
  ::_exit(std::getenv("PATH") != nullptr ? kExitCode : 0);
}

TEST(SpawnTest, AProcessWithVariablesAndADescriptor) {
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  ASSERT_EQ(::setenv(kWordsVariable, "of this process", 1), 0);
  const pid_t child =
      SpawnThisProgram({"child", "--gtest_filter=SpawnChild.Runs"},
                       {{kFdVariable, std::to_string(fds[1])}, {kWordsVariable, "a=b c"}}, fds[1]);
  ASSERT_GT(child, 0);
  ::close(fds[1]);
  std::string read;
  for (char c = 0; ::read(fds[0], &c, 1) == 1;) read += c;
  ::close(fds[0]);
  EXPECT_EQ(read, "a=b c");
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kExitCode);
  EXPECT_STREQ(std::getenv(kWordsVariable), "of this process");
}

TEST(SpawnTest, ADescriptorThatIsNotOpen) {
  EXPECT_EQ(SpawnThisProgram({"child", "--gtest_filter=SpawnChild.Runs"}, {}, 1 << 20), -1);
}

}  // namespace
}  // namespace cairn
