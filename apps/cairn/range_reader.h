// Reads a range page by page, all pages as of one version: that of the first page, or a given one.
// A page is bounded by count here and by bytes at the node, so memory is bounded however long the
// range is.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_RANGE_READER_H_
#define CAIRN_APPS_CAIRN_RANGE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cairn/context.h"

namespace cairn::cli {

// The keys from begin to end; what is unset is as on the wire.
struct Bounds {
  std::optional<std::string> begin;
  bool begin_included = true;
  std::optional<std::string> end;
  bool end_included = false;
};

// All keys that start with `prefix`; an empty one: every key there is.
Bounds PrefixBounds(const std::string& prefix);

class RangeReader {
 public:
  // `limit` 0: all. `version`: as of this one; unset: as of the newest when the first page is read.
  RangeReader(Context* context, Bounds bounds, std::uint64_t limit,
              std::optional<std::int64_t> version)
      : context_(*context), bounds_(std::move(bounds)), limit_(limit), version_(version) {}

  // Reads the next page into `pairs`, which is empty only at the end of the range. After a failure
  // of the connection, the same page can be asked for again.
  MaybeFailure Next(std::vector<thrift_api::KeyValue>* pairs);

  // Nothing is left to read.
  [[nodiscard]] bool done() const { return done_; }
  // Behind what was read, the range has more (beyond the limit).
  [[nodiscard]] bool has_more() const { return has_more_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Known after the first page, if the node tells it.
  [[nodiscard]] std::optional<std::int64_t> version() const { return version_; }

 private:
  template <class Request>
  void Fill(Request* request) const;
  template <class Response>
  MaybeFailure Take(Response response, std::vector<thrift_api::KeyValue>* pairs);

  Context& context_;
  Bounds bounds_;
  const std::uint64_t limit_;
  std::optional<std::int64_t> version_;
  std::uint64_t count_ = 0;
  bool has_more_ = false;
  bool done_ = false;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_RANGE_READER_H_
