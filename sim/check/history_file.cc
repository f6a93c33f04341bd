#include "sim/check/history_file.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/base/file.h"

namespace cairn::sim {
namespace {

using nlohmann::json;

// What is wrong with a line. Thrown and caught in this file only, beside the exceptions of the JSON
// library, which leave no other way.
class BadLine : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Every key of an object must be used: a misspelt one would go unnoticed, and the check with it.
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {
    if (!object.is_object()) throw BadLine("it is no object");
  }

  template <class T>
  T Get(const char* name) {
    const auto found = object_.find(name);
    if (found == object_.end()) throw BadLine(std::string("'") + name + "' is missing");
    ++used_;
    return Convert<T>(name, *found);
  }
  template <class T>
  T Get(const char* name, T otherwise) {
    return object_.contains(name) ? Get<T>(name) : otherwise;
  }
  void End() const {
    if (used_ != object_.size()) throw BadLine("it has a field that is not known");
  }

 private:
  template <class T>
  static T Convert(const char* name, const json& value) {
    try {
      if constexpr (std::is_same_v<T, std::uint64_t>) {
        if (!value.is_number_unsigned()) throw BadLine(std::string("'") + name + "' is no count");
      }
      return value.get<T>();
    } catch (const json::exception&) {
      throw BadLine(std::string("'") + name + "' is of the wrong type");
    }
  }

  const json& object_;
  std::size_t used_ = 0;
};

MonotonicTime TimeOf(std::int64_t microseconds) { return MonotonicTime{microseconds * 1000}; }

Interval IntervalOf(Fields* fields) {
  Interval when;
  when.client = fields->Get<int>("client");
  when.begin = fields->Get<std::uint64_t>("begin");
  when.end = fields->Get<std::uint64_t>("end", Interval::kNever);
  when.began_at = TimeOf(fields->Get<std::int64_t>("began_us", 0));
  const auto ended = fields->Get<std::int64_t>("ended_us", -1);
  if (ended >= 0) when.ended_at = TimeOf(ended);
  if (when.end <= when.begin) throw BadLine("it ends before it begins");
  return when;
}

Outcome OutcomeOf(Fields* fields) {
  const auto name = fields->Get<std::string>("outcome");
  if (name == "ok") return Outcome::kOk;
  if (name == "failed") return Outcome::kFailed;
  if (name == "unknown") return Outcome::kUnknown;
  throw BadLine("the outcome '" + name + "' is none of ok, failed and unknown");
}

Value ValueOf(Fields* fields) {
  const json value = fields->Get<json>("value");
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) throw BadLine("'value' is neither text nor null");
  return value.get<std::string>();
}

Version VersionOf(Fields* fields, const char* name = "version") {
  return Version(fields->Get<std::uint64_t>(name, 0));
}

Promise PromiseOf(Fields* fields) {
  Promise promise;
  promise.linearizable = fields->Get<bool>("linearizable", false);
  const auto staleness = fields->Get<std::int64_t>("max_staleness_us", -1);
  if (staleness >= 0) promise.max_staleness = std::chrono::microseconds(staleness);
  promise.min_version = VersionOf(fields, "min_version");
  return promise;
}

// "ab01" to two bytes: stamped keys hold any bytes.
std::string Unhex(const std::string& text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw BadLine("'" + std::string(1, c) + "' is no hexadecimal digit");
  };
  if (text.size() % 2 != 0) throw BadLine("hexadecimal text of odd length");
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  }
  return bytes;
}

void TakeLine(const std::string& kind, Fields* fields, History* history) {
  using Lists = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;
  using Appends = std::vector<std::pair<std::string, std::int64_t>>;
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  if (kind == "write") {
    history->writes.push_back({IntervalOf(fields), fields->Get<std::string>("key"), ValueOf(fields),
                               OutcomeOf(fields), VersionOf(fields),
                               fields->Get<std::uint64_t>("commit")});
  } else if (kind == "read") {
    history->reads.push_back({IntervalOf(fields), fields->Get<std::string>("key"), ValueOf(fields),
                              VersionOf(fields), PromiseOf(fields), VersionOf(fields, "at")});
  } else if (kind == "scan") {
    history->scans.push_back({IntervalOf(fields), fields->Get<std::string>("from"),
                              fields->Get<std::string>("to"), fields->Get<Pairs>("pairs"),
                              VersionOf(fields, "at"), PromiseOf(fields)});
  } else if (kind == "version") {
    history->versions.push_back({IntervalOf(fields), VersionOf(fields), PromiseOf(fields)});
  } else if (kind == "transaction") {
    history->transactions.push_back(
        {IntervalOf(fields), OutcomeOf(fields), fields->Get<bool>("strict", true),
         fields->Get<Lists>("reads", {}), fields->Get<Appends>("appends", {}), VersionOf(fields)});
  } else if (kind == "stamp") {
    history->stamps.push_back({IntervalOf(fields), fields->Get<std::string>("token"),
                               OutcomeOf(fields), VersionOf(fields),
                               Unhex(fields->Get<std::string>("generated", ""))});
  } else if (kind == "final_stamps") {
    if (history->final_stamps) throw BadLine("final_stamps for the second time");
    history->final_stamps.emplace();
    for (const auto& key : fields->Get<std::vector<std::string>>("keys")) {
      history->final_stamps->push_back(Unhex(key));
    }
  } else {
    throw BadLine("the kind '" + kind + "' is not known");
  }
}

Status TakeText(std::string_view text, History* history) {
  try {
    const json line = json::parse(text);
    Fields fields(line);
    TakeLine(fields.Get<std::string>("kind"), &fields, history);
    fields.End();
  } catch (const json::exception&) {
    return InvalidArgumentError("it is not JSON");
  } catch (const BadLine& bad) {
    return InvalidArgumentError(bad.what());
  }
  return Status::Ok();
}

// Values are unique: whoever read one read it at the version of its write.
void FillVersions(History* history) {
  std::map<std::pair<std::string, std::string>, Version> written;
  for (const WriteRecord& write : history->writes) {
    if (write.value && write.version != Version()) {
      written[{write.key, *write.value}] = write.version;
    }
  }
  for (ReadRecord& read : history->reads) {
    if (!read.value || read.version != Version()) continue;
    const auto found = written.find({read.key, *read.value});
    if (found != written.end()) read.version = found->second;
  }
}

}  // namespace

Result<History> ParseHistory(std::string_view text, const std::string& source) {
  History history;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    const Status taken = TakeText(line, &history);
    if (!taken.ok()) {
      return InvalidArgumentError(source + ":" + std::to_string(number) + ": " + taken.message());
    }
  }
  FillVersions(&history);
  return history;
}

Result<History> LoadHistory(const std::string& path) {
  CAIRN_ASSIGN_OR_RETURN(const std::string text, PosixFileSystem()->ReadFile(path));
  return ParseHistory(text, path);
}

}  // namespace cairn::sim
