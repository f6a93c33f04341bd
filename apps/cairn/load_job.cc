#include "apps/cairn/load_job.h"

#include <cstdio>
#include <fstream>
#include <utility>

namespace cairn::cli {
namespace {

constexpr std::size_t kMostOperations = 10'000;
constexpr char kResumeHead[] = "cairn-load-1";

Failure InputFailure(const dump::Reader& reader, const Status& status) {
  const std::string where = "input line " + std::to_string(reader.lines()) + ": ";
  if (status.code() == StatusCode::kInvalidArgument) return UsageFailure(where + status.message());
  return {kRefused, std::string(StatusCodeName(status.code())), where + status.message()};
}

}  // namespace

MaybeFailure LoadJob::ReadResumeFile() {
  std::ifstream file(options_.resume_file);
  if (!file) return std::nullopt;  // the first run
  std::string head;
  file >> head >> to_skip_ >> skip_offset_;
  if (file && head == kResumeHead) return std::nullopt;
  return UsageFailure("'" + options_.resume_file +
                      "' was not written by cairn load; remove it to load from the start");
}

MaybeFailure LoadJob::WriteResumeFile(std::uint64_t offset) {
  if (options_.resume_file.empty()) return std::nullopt;
  const std::string beside = options_.resume_file + ".new";
  std::ofstream file(beside, std::ios::trunc);
  file << kResumeHead << ' ' << result_.skipped + result_.loaded << ' ' << offset << '\n';
  file.close();
  if (file.good() && std::rename(beside.c_str(), options_.resume_file.c_str()) == 0) {
    return std::nullopt;
  }
  return Failure{kRefused, "IO_ERROR", "cannot write '" + options_.resume_file + "'"};
}

MaybeFailure LoadJob::Run(std::istream& in) {
  if (!options_.resume_file.empty()) {
    if (auto failure = ReadResumeFile()) return failure;
  }
  family_ = context_.options().column_family;
  dump::Reader reader(options_.format);
  LineReader lines(in);
  std::string line;
  while (true) {
    const auto more = lines.Next(&line);
    if (!more.ok()) return UsageFailure(more.status());
    if (!*more) break;
    auto pair = reader.Take(line);
    if (!pair.ok()) {
      // What came before is good: commit it, so that a corrected input can go on from there.
      if (auto failure = Commit()) return failure;
      return InputFailure(reader, pair.status());
    }
    if (reader.family().has_value() &&
        (result_.families.empty() || result_.families.back() != *reader.family())) {
      if (auto failure = BeginFamily(*reader.family())) return failure;
    }
    if (pair->has_value()) {
      if (auto failure = Add(**pair, lines.offset())) return failure;
    }
    result_.bytes = lines.offset();
  }
  if (result_.skipped < to_skip_) {
    return UsageFailure("the input ends before what '" + options_.resume_file +
                        "' says was loaded: it is another input, or remove the file");
  }
  if (auto failure = Commit()) return failure;
  progress_.Finish(result_.loaded, result_.bytes);
  if (const Status status = reader.Finish(); !status.ok()) return InputFailure(reader, status);
  if (!options_.resume_file.empty()) std::remove(options_.resume_file.c_str());
  return std::nullopt;
}

MaybeFailure LoadJob::Add(const dump::Pair& pair, std::uint64_t offset) {
  if (result_.skipped < to_skip_) {
    if (++result_.skipped == to_skip_ && offset != skip_offset_) {
      return UsageFailure("the input is not the one that '" + options_.resume_file +
                          "' is about: what was loaded ended at byte " +
                          std::to_string(skip_offset_) + ", here at " + std::to_string(offset));
    }
    return std::nullopt;
  }
  const std::uint64_t size = pair.key.size() + pair.value.size();
  // A pair of its own size goes alone rather than over the limit of a transaction.
  if (!batch_.empty() &&
      (batch_size_ + size > options_.batch_bytes || batch_.size() >= kMostOperations)) {
    if (auto failure = Commit()) return failure;
  }
  batch_.push_back(pair);
  last_pair_end_ = offset;
  batch_size_ += size;
  return std::nullopt;
}

MaybeFailure LoadJob::BeginFamily(const std::string& name) {
  if (!context_.options().column_family.empty()) {
    return UsageFailure("the dump names its column families; leave --column-family out");
  }
  if (auto failure = Commit()) return failure;
  result_.families.push_back(name);
  family_ = name == "default" ? "" : name;
  if (family_.empty()) return std::nullopt;
  std::uint64_t tries_left = options_.tries;
  for (std::uint32_t attempt = 0;; ++attempt) {
    Client* client = nullptr;
    auto failure = context_.Connect(&client);
    if (!failure.has_value()) {
      const auto made = client->CreateColumnFamily(name, context_.Writing());
      if (made.ok()) return std::nullopt;
      failure = FailureOf(made.status());
    }
    if (!TryAgain(*failure, &tries_left, attempt)) return failure;
  }
}

MaybeFailure LoadJob::SetBatch() {
  Client* client = nullptr;
  if (auto failure = context_.Connect(&client)) return failure;
  Transaction transaction = client->Begin({.timeout = context_.options().timeout});
  for (const dump::Pair& pair : batch_) transaction.Set(pair.key, pair.value, family_);
  const auto version = transaction.Commit();
  if (!version.ok()) return FailureOf(version.status());
  result_.version = *version;
  return std::nullopt;
}

MaybeFailure LoadJob::Commit() {
  if (batch_.empty()) return std::nullopt;
  std::uint64_t tries_left = options_.tries;
  for (std::uint32_t attempt = 0;; ++attempt) {
    auto failure = SetBatch();
    if (!failure.has_value()) break;
    if (!TryAgain(*failure, &tries_left, attempt)) {
      failure->message += " (" + std::to_string(result_.skipped + result_.loaded) +
                          " pairs are loaded; loading them again does no harm)";
      return failure;
    }
  }
  result_.loaded += batch_.size();
  ++result_.batches;
  batch_.clear();
  batch_size_ = 0;
  progress_.Step(result_.loaded, result_.bytes);
  return WriteResumeFile(last_pair_end_);
}

}  // namespace cairn::cli
