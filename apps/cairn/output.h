// How a value and a range are shown, inside a transaction of the shell and outside.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_OUTPUT_H_
#define CAIRN_APPS_CAIRN_OUTPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cairn/context.h"

namespace cairn::cli {

// A value that was looked for, or on standard error that there is none.
ExitCode ShowValue(const Context& context, const std::string& key, const GetResult& result,
                   bool raw);

// What versionstamped writes have stored, by a commit.
void PrintStamped(const Context& context, const std::vector<KeyValue>& stamped);
nlohmann::ordered_json StampedDocument(const std::vector<KeyValue>& stamped);

// What BEGIN, END and the options of `range` ask for.
Status TakeRange(const Context& context, const Invocation& in, RangeRequest* range);

// What `delete` is to delete: KEY, or nothing and `range` is what --prefix, --begin and --end name.
Result<std::optional<std::string>> TakeDeletion(const Context& context, const Invocation& in,
                                                RangeRequest* range);

// Writes pairs as they come, or counts them alone, so that a range of any size fits in memory.
class PairPrinter {
 public:
  enum class Show : std::uint8_t { kPairs, kKeys, kCount };

  PairPrinter(const Context* context, Show show)
      : context_(*context), show_(show), json_(context->options().json) {}
  // What --keys-only and --count-only of `range` ask for.
  static Show ShowOf(const Invocation& in);

  void Print(std::string_view key, std::string_view value);
  // `has_more`: a limit ended the range.
  void Finish(bool has_more, std::uint64_t version);
  // A document that was begun must end as one: the error becomes its last field.
  [[nodiscard]] ExitCode Fail(const Failure& failure) const;
  // How many pairs were given.
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  const Context& context_;
  const Show show_;
  const bool json_;
  std::uint64_t count_ = 0;
};

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_OUTPUT_H_
