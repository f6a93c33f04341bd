// Loading pairs: batches of blind sets, each one transaction under a session. Setting the same
// pairs again changes nothing, so whatever was interrupted can be done again; a file can note how
// far it came, to spare the time.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_LOAD_JOB_H_
#define CAIRN_APPS_CAIRN_LOAD_JOB_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "apps/cairn/bulk.h"
#include "apps/cairn/context.h"
#include "src/dump/dump_format.h"

namespace cairn::cli {

struct LoadOptions {
  std::optional<dump::Format> format;
  std::uint64_t batch_bytes = 1 << 20;
  std::uint64_t tries = 10;
  std::string resume_file;  // empty: none
  std::string progress = "auto";
};

struct LoadResult {
  std::uint64_t loaded = 0;
  std::uint64_t skipped = 0;  // loaded by an earlier run
  std::uint64_t batches = 0;
  std::uint64_t bytes = 0;            // of the input
  std::uint64_t version = 0;          // of the last commit
  std::vector<std::string> families;  // that the dump names
};

class LoadJob {
 public:
  LoadJob(Context* context, LoadOptions options)
      : context_(*context), options_(std::move(options)), progress_(options_.progress, "loaded") {}

  // Loads everything. On a failure, the batches before it are committed.
  MaybeFailure Run(std::istream& in);
  [[nodiscard]] const LoadResult& result() const { return result_; }

 private:
  MaybeFailure ReadResumeFile();
  MaybeFailure WriteResumeFile(std::uint64_t offset);
  MaybeFailure Add(const dump::Pair& pair, std::uint64_t offset);
  MaybeFailure Commit();
  // Commits what is of the family before, and makes this one if it is missing.
  MaybeFailure BeginFamily(const std::string& name);
  // Sets the batch, as one transaction.
  MaybeFailure SetBatch();

  Context& context_;
  const LoadOptions options_;
  Progress progress_;
  LoadResult result_;
  std::uint64_t to_skip_ = 0;
  std::uint64_t skip_offset_ = 0;
  std::string family_;             // of the pairs that come; empty: the default one
  std::vector<dump::Pair> batch_;  // all of that family
  std::uint64_t batch_size_ = 0;
  std::uint64_t last_pair_end_ = 0;  // in the input, of the batch's last pair
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_LOAD_JOB_H_
