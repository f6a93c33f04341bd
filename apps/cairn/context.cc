#include "apps/cairn/context.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "apps/cairn/admin_channel.h"

namespace cairn::cli {

using nlohmann::ordered_json;

namespace {

// Each once.
Result<std::vector<client::Address>> SplitEndpoints(const std::string& text) {
  std::vector<client::Address> endpoints;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string_view part = std::string_view(text).substr(begin, end - begin);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    auto endpoint = client::ParseAddress(part);
    if (!endpoint.ok()) return InvalidArgumentError("--endpoints: " + endpoint.status().message());
    // A node names the leader by its address on the wire that it is asked on.
    if (!endpoints.empty() && endpoint->wire != endpoints.front().wire) {
      return InvalidArgumentError("--endpoints: '" + endpoints.front().ToString() + "' and '" +
                                  endpoint->ToString() +
                                  "' are of different wires; give all endpoints with grpc:// or "
                                  "all without");
    }
    if (std::find(endpoints.begin(), endpoints.end(), *endpoint) == endpoints.end()) {
      endpoints.push_back(*std::move(endpoint));
    }
    begin = end + 1;
  }
  return endpoints;
}

// How long the first of several endpoints may take before the next one is asked.
constexpr std::chrono::milliseconds kFirstPatience(250);
constexpr char kIsItRunning[] = "; is the node running? --endpoints or CAIRN_ENDPOINTS name others";

// Whether a node answers there, asked once, and if `led` is given, whether it knows who leads.
Status Probe(const client::Address& address, std::chrono::milliseconds timeout, bool* led) {
  if (address.wire == client::Wire::kGrpc) {
    ClientOptions options;
    options.timeout = options.connect_timeout = timeout;
    options.retry.max_attempts = 1;
    auto node = NodeClient::Connect(address.ToString(), options);
    if (!node.ok() || led == nullptr) return node.status();
    const auto info = (*node)->GetClusterInfo();
    *led = info.ok() && !info->leader_endpoint.empty();
    return Status::Ok();
  }
  auto connection = client::NodeConnection::Connect(address.endpoint, timeout);
  if (!connection.ok()) return UnavailableError(connection.status().message() + kIsItRunning);
  // Any server of the service answers pings; not all tell how the cluster is.
  thrift_api::PingResponse pong;
  CAIRN_RETURN_IF_ERROR((*connection)->Call([&](auto& node) { node.ping(pong, {}); }));
  if (led == nullptr) return Status::Ok();
  thrift_api::GetClusterHealthResponse health;
  const Status told = (*connection)->Call([&](auto& node) { node.getClusterHealth(health, {}); });
  *led = told.ok() && health.__isset.cluster_health && health.cluster_health.__isset.leader;
  return Status::Ok();
}

}  // namespace

Failure FailureOf(const Status& status) {
  ExitCode exit = kRefused;
  if (status.code() == StatusCode::kTimeout) exit = kTimedOut;
  if (status.code() == StatusCode::kUnavailable) exit = kUnreachable;
  return {exit, std::string(StatusCodeName(status.code())), status.message(),
          status.maybe_applied()};
}

MaybeFailure Context::Configure(const Invocation& in) {
  CommonOptions options;
  options.json = in.Takes("json") && in.Has("json");
  options_.json = options.json;  // how a failure below is reported
  if (in.Takes("endpoints")) {
    auto endpoints = SplitEndpoints(in.Required("endpoints"));
    if (!endpoints.ok()) return UsageFailure(endpoints.status());
    options.endpoints = *std::move(endpoints);
  }
  if (in.Takes("timeout-ms")) {
    options.timeout = std::chrono::milliseconds(*in.Number("timeout-ms"));
  }
  if (in.Takes("column-family")) {
    auto family = FamilyName(in.Text("column-family").value_or(""), "--column-family");
    if (!family.ok()) return UsageFailure(family.status());
    options.column_family = *std::move(family);
  }
  if (in.Takes("read-level")) options.read_level = in.Text("read-level").value_or("");
  if (in.Takes("hex") && in.Has("hex")) options.form = TextForm::kHex;
  if (in.Takes("base64") && in.Has("base64")) options.form = TextForm::kBase64;
  if (options.endpoints != options_.endpoints || options.timeout != options_.timeout) {
    connection_.reset();
  }
  // Each call brings its timeout along.
  if (options.endpoints != client_endpoints_) client_.reset();
  options_ = std::move(options);
  spent_ = std::chrono::milliseconds(0);
  return std::nullopt;
}

MaybeFailure Context::FindNode(MonotonicTime until, std::size_t* index) const {
  const bool choice = options_.endpoints.size() > 1;
  std::optional<std::size_t> leaderless;
  std::string problems;
  std::size_t silent = 1;
  // One that hangs takes little of the time, unless none answers soon.
  std::chrono::milliseconds patience = choice ? kFirstPatience : Left(until);
  for (bool again = true; again; patience *= 2) {
    problems.clear();
    silent = 0;
    for (*index = 0; *index < options_.endpoints.size(); ++*index) {
      const std::chrono::milliseconds limit = std::min(patience, Left(until));
      const MonotonicTime begun = clock_.Now();
      bool led = !choice;
      const Status status = Probe(options_.endpoints[*index], limit, choice ? &led : nullptr);
      if (status.ok() && led) return std::nullopt;
      if (status.ok() && !leaderless) leaderless = *index;
      if (status.ok()) continue;
      // gRPC does not tell silence from a connection that fails: the time tells.
      const bool grpc = options_.endpoints[*index].wire == client::Wire::kGrpc;
      if (status.code() == StatusCode::kTimeout || (grpc && clock_.Now() - begun > limit * 4 / 5)) {
        ++silent;
      }
      problems += (problems.empty() ? "" : "; ") + status.message();
    }
    if (leaderless) {
      *index = *leaderless;
      return std::nullopt;
    }
    again = silent > 0 && choice && clock_.Now() < until;
  }
  const bool all_silent = silent == options_.endpoints.size();
  return FailureOf(all_silent ? TimeoutError(problems) : UnavailableError(problems));
}

std::chrono::milliseconds Context::Left(MonotonicTime until) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock_.Now());
  return std::max(left, std::chrono::milliseconds(1));
}

MaybeFailure Context::Connect(Client** client) {
  if (client_ == nullptr) {
    const MonotonicTime until = clock_.Now() + options_.timeout;
    std::size_t first = 0;
    if (auto failure = FindNode(until, &first)) return failure;
    MultiNodeOptions options;
    options.timeout = options_.timeout;
    options.connect_timeout = Left(until);
    Status status;
    if (options_.endpoints.size() == 1) {
      options.attempt_timeout = std::chrono::milliseconds(0);
      auto made = NodeClient::Connect(options_.endpoints.front().ToString(), options);
      status = made.status();
      if (made.ok()) client_ = *std::move(made);
    } else {
      std::vector<std::string> endpoints;
      for (const client::Address& one : options_.endpoints) endpoints.push_back(one.ToString());
      // Writes too go there first, as long as the leader is not known: others may hang.
      std::swap(endpoints[0], endpoints[first]);
      options.read_strategy = ReadStrategy::kSticky;
      options.sticky_node = 0;
      // Within a short time, too, there is some for another node.
      options.attempt_timeout = std::min(options.attempt_timeout, options_.timeout * 2 / 5);
      auto made = MultiNodeClient::Connect(endpoints, options);
      status = made.status();
      if (made.ok()) client_ = *std::move(made);
    }
    if (status.code() == StatusCode::kInvalidArgument) {
      return UsageFailure("--endpoints: " + status.message());
    }
    if (!status.ok()) return FailureOf(status);
    client_endpoints_ = options_.endpoints;
    spent_ = options_.timeout - Left(until);
  }
  *client = client_.get();
  return std::nullopt;
}

ReadLevel Context::read_level() const {
  if (options_.read_level == "local") return ReadLevel::kLocal;
  if (options_.read_level == "leader") return ReadLevel::kLeader;
  return options_.read_level == "read_index" ? ReadLevel::kReadIndex : ReadLevel::kDefault;
}

ReadOptions Context::Reading(std::uint64_t at_version) const {
  ReadOptions options;
  options.read_level = read_level();
  options.at_version = at_version;
  options.column_family = options_.column_family;
  options.timeout = options_.timeout - spent_;
  return options;
}

WriteOptions Context::Writing() const {
  return {options_.column_family, options_.timeout - spent_};
}

MaybeFailure Context::Call(const std::function<void(client::ThriftClient&)>& call) {
  if (connection_ == nullptr) {
    const MonotonicTime until = clock_.Now() + options_.timeout;
    std::vector<Endpoint> thrift;
    std::vector<client::Address> endpoints = options_.endpoints;
    if (endpoints.size() > 1) {
      // First one that knows a leader: one that was removed, or cut off, knows less.
      std::size_t first = 0;
      if (auto failure = FindNode(until, &first)) return failure;
      std::swap(endpoints[0], endpoints[first]);
    }
    for (const client::Address& one : endpoints) {
      if (one.wire == client::Wire::kThrift) thrift.push_back(one.endpoint);
    }
    std::string problems;
    bool silent = true;
    for (const client::Address& one : endpoints) {
      if (!thrift.empty()) break;
      const auto found = ThriftEndpointOf(one.endpoint, Left(until));
      if (found.ok()) {
        thrift.push_back(*found);
        continue;
      }
      silent = silent && found.status().code() == StatusCode::kTimeout;
      problems += (problems.empty() ? "" : "; ") + found.status().message();
    }
    if (thrift.empty()) {
      return FailureOf(silent ? TimeoutError(problems) : UnavailableError(problems + kIsItRunning));
    }
    auto connection = client::NodeConnection::ConnectToAny(thrift, Left(until));
    if (!connection.ok()) {
      return Failure{kUnreachable, "UNAVAILABLE", connection.status().message() + kIsItRunning};
    }
    connection_ = std::move(connection).value();
  }
  const Status status = connection_->Call(call);
  if (status.ok()) return std::nullopt;
  connection_.reset();
  const bool timed_out = status.code() == StatusCode::kTimeout;
  return Failure{timed_out ? kTimedOut : kUnreachable, std::string(StatusCodeName(status.code())),
                 status.message()};
}

MaybeFailure Context::BeginStandardInput(std::string_view wanted) const {
  if (auto failure = NeedStandardInput()) return failure;
  if (::isatty(STDIN_FILENO) != 0) {
    std::cerr << "cairn: reading " << wanted
              << " from the terminal; Ctrl-D on an empty line ends it" << std::endl;
  }
  return std::nullopt;
}

ordered_json ErrorDocument(const Failure& failure) {
  ordered_json error = {{"code", failure.code}, {"message", failure.message}};
  if (failure.maybe_applied) error["maybe_applied"] = true;
  return error;
}

ExitCode Context::Fail(const Failure& failure) const {
  if (options_.json) {
    Print({{"error", ErrorDocument(failure)}});
  } else {
    std::cerr << "cairn: " << (failure.exit == kUsage ? "" : failure.code + ": ") << failure.message
              << (failure.maybe_applied ? "; the write may have been applied: read before you "
                                          "write again"
                                        : "")
              << "\n";
  }
  return failure.exit;
}

void Context::Print(const nlohmann::ordered_json& document) {
  // A server's text is not trusted to be UTF-8.
  std::cout << document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
            << std::endl;
}

Result<std::string> Context::Bytes(std::string_view text, const std::string& what) const {
  auto bytes = text::FromText(text, options_.form);
  if (bytes.ok()) return bytes;
  return InvalidArgumentError(what + ": " + bytes.status().message());
}

Result<std::string> FamilyName(std::string_view text, const std::string& what) {
  auto name = text::FromText(text, TextForm::kEscaped);
  if (name.ok()) return name;
  return InvalidArgumentError(what + ": " + name.status().message());
}

std::string ShownFamily(std::string_view name) {
  return text::ToText(name.empty() ? "default" : name, TextForm::kEscaped);
}

void PutBytes(nlohmann::ordered_json* object, const std::string& name, std::string_view bytes) {
  if (text::IsUtf8(bytes)) (*object)[name] = std::string(bytes);
  (*object)[name + "_base64"] = text::ToText(bytes, TextForm::kBase64);
}

}  // namespace cairn::cli
