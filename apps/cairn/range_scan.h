// Reads a range of any length as of one version: that of the beginning, or a given one. Memory is
// bounded: pairs are taken as they come. After a failure it can go on where it was.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_RANGE_SCAN_H_
#define CAIRN_APPS_CAIRN_RANGE_SCAN_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "apps/cairn/context.h"

namespace cairn::cli {

class RangeScan {
 public:
  // Takes a pair; false ends the scan.
  using Each = std::function<bool(const std::string& key, const std::string& value)>;

  // Of the column family that the context names. `version` 0: the newest when the scan begins.
  // range.limit bounds the whole; 0: all.
  RangeScan(Context* context, RangeRequest range, std::uint64_t version)
      : context_(*context), range_(std::move(range)), version_(version) {}

  // Of this column family instead; empty: the default one.
  void UseFamily(std::string family) { family_ = std::move(family); }

  // Gives the pairs to `each` until the end of the range. After a failure, the same call goes on
  // behind the last pair that was given.
  MaybeFailure Run(const Each& each);

  // The version of everything that is read; known from the first pair on.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  Context& context_;
  RangeRequest range_;
  std::uint64_t version_;
  std::optional<std::string> family_;
  bool own_version_ = false;  // taken here
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_RANGE_SCAN_H_
