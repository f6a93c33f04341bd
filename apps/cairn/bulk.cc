#include "apps/cairn/bulk.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <utility>

#include "apps/cairn/streams.h"

namespace cairn::cli {
namespace {

constexpr std::size_t kBuffer = 64 << 10;
constexpr std::size_t kLongestLine = 64 << 20;
constexpr std::chrono::milliseconds kBetweenSteps{200};

}  // namespace

bool LineReader::Fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const std::size_t held = buffer_.size();
  buffer_.resize(held + kBuffer);
  in_.read(buffer_.data() + held, kBuffer);
  buffer_.resize(held + static_cast<std::size_t>(in_.gcount()));
  return buffer_.size() > held;
}

Result<bool> LineReader::Next(std::string* line) {
  std::size_t searched = 0;
  while (true) {
    const std::size_t end = buffer_.find('\n', at_ + searched);
    if (end != std::string::npos) {
      line->assign(buffer_, at_, end - at_);
      at_ = end + 1;
      offset_ += line->size() + 1;
      return true;
    }
    searched = buffer_.size() - at_;
    if (searched > kLongestLine) {
      return ResourceExhaustedError("a line is longer than 64 MiB: this is no dump");
    }
    if (Fill()) continue;
    CAIRN_RETURN_IF_ERROR(CheckRead(in_, "the input"));
    whole_ = searched == 0;
    line->assign(buffer_, at_);
    at_ = buffer_.size();
    offset_ += line->size();
    return !line->empty();
  }
}

Progress::Progress(const std::string& when, std::string verb)
    : wanted_(when == "always" || (when == "auto" && ::isatty(STDERR_FILENO) != 0)),
      terminal_(::isatty(STDERR_FILENO) != 0),
      verb_(std::move(verb)),
      begun_(clock_.Now()),
      next_(begun_) {}

void Progress::Step(std::uint64_t pairs, std::uint64_t bytes) {
  if (!wanted_ || clock_.Now() < next_) return;
  Show(pairs, bytes);
  next_ = clock_.Now() + kBetweenSteps;
}

void Progress::Show(std::uint64_t pairs, std::uint64_t bytes) {
  const double seconds =
      std::max(std::chrono::duration<double>(clock_.Now() - begun_).count(), 0.001);
  char text[160];
  std::snprintf(text, sizeof(text), "%s%s %llu keys, %.1f MiB, %.0f keys/s, %.1f MiB/s%s",
                terminal_ ? "\r" : "", verb_.c_str(), static_cast<unsigned long long>(pairs),
                static_cast<double>(bytes) / (1 << 20), static_cast<double>(pairs) / seconds,
                static_cast<double>(bytes) / (1 << 20) / seconds, terminal_ ? "   " : "\n");
  std::cerr << text << std::flush;
  shown_ = true;
}

void Progress::Finish(std::uint64_t pairs, std::uint64_t bytes) {
  if (!wanted_) return;
  Show(pairs, bytes);
  if (terminal_) std::cerr << std::endl;
}

bool TryAgain(const Failure& failure, std::uint64_t* tries_left, std::uint32_t attempt) {
  const bool passing = failure.exit == kUnreachable || failure.exit == kTimedOut ||
                       failure.code == "NOT_LEADER" || failure.code == "UNAVAILABLE" ||
                       failure.code == "RESOURCE_EXHAUSTED";
  if (!passing || *tries_left == 0) return false;
  --*tries_left;
  std::cerr << "cairn: " << failure.code << ": " << failure.message << "; trying again\n";
  ::poll(nullptr, 0, static_cast<int>(std::min(100U << std::min(attempt, 6U), 5000U)));
  return true;
}

}  // namespace cairn::cli
