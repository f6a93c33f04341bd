// What dump and load share: lines of bounded length, progress, and waiting before another try.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_BULK_H_
#define CAIRN_APPS_CAIRN_BULK_H_

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "apps/cairn/context.h"
#include "src/base/clock.h"

namespace cairn::cli {

// Reads lines, and holds no more than a line and a small buffer.
class LineReader {
 public:
  explicit LineReader(std::istream& in) : in_(in) {}

  // Reads the next line, without its newline. False at the end; then a last line without a newline
  // has been given as any other. kResourceExhausted: a line of more than 64 MiB;
  // kInvalidArgument: the input can't be read.
  Result<bool> Next(std::string* line);

  // Bytes given so far, newlines included.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  // The last line ended with a newline.
  [[nodiscard]] bool whole() const { return whole_; }

 private:
  bool Fill();

  std::istream& in_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;
  bool whole_ = true;
};

// Says on standard error how far it is, a few times a second: on a terminal, or always or never.
class Progress {
 public:
  Progress(const std::string& when, std::string verb);

  void Step(std::uint64_t pairs, std::uint64_t bytes);
  // Ends the line.
  void Finish(std::uint64_t pairs, std::uint64_t bytes);

 private:
  void Show(std::uint64_t pairs, std::uint64_t bytes);

  bool shown_ = false;
  const bool wanted_;
  const bool terminal_;
  const std::string verb_;
  SystemClock clock_;
  const MonotonicTime begun_;
  MonotonicTime next_;
};

// Is another try of use after this failure? Then waits a moment first, longer each time.
// `tries_left` counts down.
bool TryAgain(const Failure& failure, std::uint64_t* tries_left, std::uint32_t attempt);

inline OptionDef ProgressOption() {
  return {.name = "progress",
          .kind = ValueKind::kChoice,
          .value_name = "WHEN",
          .help = "Says on standard error how far it is; auto: on a terminal",
          .default_value = "auto",
          .choices = {"auto", "always", "never"}};
}
inline OptionDef RetryOption() {
  return {.name = "retry",
          .kind = ValueKind::kNumber,
          .value_name = "N",
          .help = "Tries again this often if a node can't be reached or does not answer in time",
          .default_value = "10",
          .max = 1'000'000};
}

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_BULK_H_
