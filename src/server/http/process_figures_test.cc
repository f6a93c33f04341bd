#include "src/server/http/process_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace cairn::server {
namespace {

using ::testing::HasSubstr;

TEST(ProcStat, IsReadWhateverTheNameHolds) {
  const auto stat = ParseProcStat(
      "77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 9 18 1000 4096 2 21 22\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ("a) b (c", stat->name);
  EXPECT_EQ('S', stat->state);
  EXPECT_EQ(9u, stat->threads);
  EXPECT_EQ(4096u, stat->virtual_bytes);
  EXPECT_GT(stat->cpu_seconds, 0);
}

TEST(ProcStat, RefusesWhatIsNone) {
  for (const char* line : {"", "77", "77 (a", "77 a) S 1", "77 (a)", "77 (a) S", "77 (a) S 1 2 3",
                           "77 (a) S 1 2 3 4 5 6 7 8 9 10 x 50 13 14 15 16 9 18 1000 4096 2"}) {
    EXPECT_FALSE(ParseProcStat(line).has_value()) << line;
  }
}

TEST(ProcessFigures, AreThoseOfThisProcess) {
  const ProcessFigures figures = ReadProcessFigures();
  ASSERT_TRUE(figures.stat.has_value());
  EXPECT_GT(figures.stat->resident_bytes, 100'000u);
  EXPECT_GE(figures.stat->threads, 1u);
  EXPECT_GE(figures.open_files.value_or(0), 1u);
  EXPECT_GE(figures.max_files.value_or(0), figures.open_files.value_or(0));
  EXPECT_GT(figures.start_time_seconds.value_or(0), 1'500'000'000);
  const auto threads = ReadThreads();
  EXPECT_TRUE(std::any_of(threads.begin(), threads.end(), [](const ThreadFigures& thread) {
    return thread.stat.state == 'R';
  })) << "the one that asks";
}

TEST(ProcessFigures, Disk) {
  const auto disk = ReadDisk("/");
  ASSERT_TRUE(disk.has_value());
  EXPECT_GE(disk->size_bytes, disk->available_bytes);
  EXPECT_FALSE(ReadDisk("/nonexistent").has_value());
}

TEST(ProcessFigures, Families) {
  metrics::Exposition page;
  AppendProcessFamilies("1.2.3", &page);
  EXPECT_THAT(page.text(), HasSubstr("\ncairn_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page.text(), HasSubstr("# TYPE process_cpu_seconds_total counter\n"));
  EXPECT_THAT(page.text(), HasSubstr("\nprocess_resident_memory_bytes "));
}

}  // namespace
}  // namespace cairn::server
