// fsync_probe: what one durable append costs on a disk, without any database. It writes 512 bytes
// after 512 bytes into a preallocated file and calls fdatasync after each, and prints the
// percentiles as JSON. The one-client target of docs/benchmarks.md is measured against its p50.
//
//   fsync_probe --dir DIR [--count 2000]
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "src/load/histogram.h"

namespace {

constexpr std::size_t kBytes = 512;

int Fail(const std::string& what) {
  std::cerr << "fsync_probe: " << what << ": " << std::strerror(errno) << "\n";
  return 1;
}

// Fills the whole file with zeros first, so that no append changes the file's size or its extents:
// that is what a journal with preallocated segments pays.
bool Preallocate(int fd, int count) {
  const std::string zeros(kBytes, '\0');
  for (int i = 0; i < count; ++i) {
    if (pwrite(fd, zeros.data(), kBytes, static_cast<off_t>(i * kBytes)) != kBytes) return false;
  }
  return fsync(fd) == 0;
}

// Records how long each write with its fdatasync takes.
bool Probe(int fd, int count, cairn::bench::Histogram& histogram) {
  const std::string record(kBytes, 'x');
  for (int i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (pwrite(fd, record.data(), kBytes, static_cast<off_t>(i * kBytes)) != kBytes) return false;
    if (fdatasync(fd) != 0) return false;
    const auto took = std::chrono::steady_clock::now() - start;
    histogram.Record(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures one small write and its fdatasync.");
  std::string dir;
  int count = 2000;
  app.add_option("--dir", dir, "folder on the disk to measure")->required();
  app.add_option("--count", count, "writes to time")->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  const std::string path = dir + "/fsync_probe." + std::to_string(getpid());
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return Fail("open " + path);
  unlink(path.c_str());  // The descriptor keeps the file; nothing stays behind.
  cairn::bench::Histogram histogram;
  if (!Preallocate(fd, count)) return Fail("preallocate " + path);
  if (!Probe(fd, count, histogram)) return Fail("write " + path);
  close(fd);
  const auto us = [&](double percent) {
    return static_cast<double>(histogram.Percentile(percent)) / 1000;
  };
  std::cout << nlohmann::json{{"count", histogram.count()},
                              {"mean_us", histogram.mean_ns() / 1000},
                              {"p50_us", us(50)},
                              {"p90_us", us(90)},
                              {"p99_us", us(99)}}
            << "\n";
  return 0;
}
