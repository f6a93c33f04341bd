#include "sim/describe.h"

#include <absl/strings/str_cat.h>

#include <variant>

#include "src/base/codec.h"
#include "src/consensus/raft/messages.h"

namespace cairn::sim {
namespace {

constexpr std::size_t kMostBytes = 60;

std::string Quoted(std::string_view value) { return "'" + Printable(value, 40) + "'"; }

std::string Keys(const kv::RangeQuery& range) {
  return absl::StrCat(range.begin.key, " to ", range.end ? range.end->key : "the end",
                      range.reverse ? " backwards" : "");
}

std::string Family(const std::string& family) {
  return family.empty() ? std::string() : " in " + family;
}

struct OperationDescriber {
  std::string operator()(const kv::Get& op) const {
    return absl::StrCat("get ", op.key, Family(op.column_family));
  }
  std::string operator()(const kv::GetRange& op) const {
    return absl::StrCat("scan ", Keys(op.range));
  }
  std::string operator()(const kv::SnapshotRead& op) const {
    return absl::StrCat("get ", op.key, " at version ", ToString(op.read_version));
  }
  std::string operator()(const kv::SnapshotGetRange& op) const {
    return absl::StrCat("scan ", Keys(op.range), " at version ", ToString(op.read_version));
  }
  std::string operator()(const kv::Set& op) const {
    return absl::StrCat("set ", op.key, " = ", Quoted(op.value), Family(op.column_family));
  }
  std::string operator()(const kv::Delete& op) const { return absl::StrCat("delete ", op.key); }
  std::string operator()(const kv::AtomicCommit& op) const {
    std::string text = "commit";
    if (op.read_version.value() != 0) text += ", read at version " + ToString(op.read_version);
    for (const auto& key : op.read_conflict_keys) text += ", read " + key.key;
    for (const auto& range : op.read_conflict_ranges) {
      text += ", read " + range.begin + " to " + Printable(range.end, 20);
    }
    for (const kv::Mutation& m : op.operations) {
      text += ", " + m.key + " = " + Quoted(m.value);
    }
    return text;
  }
  std::string operator()(const kv::SetVersionstampedKey& op) const {
    return absl::StrCat("append ", op.key_template.substr(0, op.key_template.find('\0')));
  }
  std::string operator()(const kv::SetVersionstampedValue& op) const {
    return absl::StrCat("stamp ", op.key);
  }
  std::string operator()(const kv::CreateColumnFamily& op) const { return "make " + op.name; }
  std::string operator()(const kv::DropColumnFamily& op) const { return "drop " + op.name; }
  std::string operator()(const kv::CloseSession& op) const {
    return "close session " + ToString(op.session);
  }
  template <class Other>
  std::string operator()(const Other&) const {
    return std::string(kv::OperationTraits<Other>::kName);
  }
};

struct ResultDescriber {
  std::string operator()(const kv::GetResult& result) const {
    if (!result.found) return "nothing there";
    return absl::StrCat(Quoted(result.value), " of version ", ToString(result.version));
  }
  std::string operator()(const kv::RangeResult& result) const {
    std::string text = "at version " + ToString(result.read_version) + ":";
    for (const auto& [key, value] : result.key_values) {
      if (text.size() > 2 * kMostBytes) return text + " ...";
      absl::StrAppend(&text, " ", Printable(key, 20), "=", Quoted(value));
    }
    return text;
  }
  std::string operator()(const kv::VersionResult& result) const {
    return "version " + ToString(result.version);
  }
  std::string operator()(const kv::WriteResult& result) const {
    return "done, version " + ToString(result.version);
  }
};

std::string Level(replication::ReadLevel level) {
  switch (level) {
    case replication::ReadLevel::kLocal:
      return ", local";
    case replication::ReadLevel::kLeader:
      return ", at the leader";
    case replication::ReadLevel::kDefault:
      return ", default level";
    case replication::ReadLevel::kReadIndex:
      return ", read_index";
  }
  return "";
}

}  // namespace

std::string Describe(const Request& request) {
  std::string text = std::visit(OperationDescriber{}, request.operation);
  const replication::RequestContext& context = request.context;
  if (kv::is_read_only(request.operation)) {
    text += Level(context.read_level);
    if (context.min_version.value() != 0) {
      text += ", min_version " + ToString(context.min_version);
    }
  } else if (context.session.value() != 0) {
    text +=
        ", session " + ToString(context.session) + " sequence " + std::to_string(context.sequence);
  }
  return text;
}

std::string Describe(const Answer& answer) {
  if (answer.ok()) return std::visit(ResultDescriber{}, *answer);
  return answer.status().ToString();
}

std::string DescribeMessage(std::string_view body) {
  const auto message = consensus::raft::Decode(body);
  return message.ok() ? consensus::raft::Describe(message->message) : "a message";
}

std::string GistOf(const std::string& text) {
  // An append of nothing says who leads, and that again and again.
  if (text.starts_with("Append ") && text.ends_with("[]")) {
    return text.substr(0, text.find(" prev ")) + " []";
  }
  std::string gist = text;
  for (const std::string_view counter : {" round ", " id "}) {
    const std::size_t begin = gist.find(counter);
    if (begin == std::string::npos) continue;
    const std::size_t end = gist.find(' ', begin + counter.size());
    gist.erase(begin, end == std::string::npos ? end : end - begin);
  }
  return gist;
}

}  // namespace cairn::sim
