// What the commands share: the common options, a client of the node and a plain connection to it
// that last over several commands, answers turned into failures, and output.
//
// Commands on data use the client (include/cairn/client.h): it speaks both wires, follows the
// leader, and puts writes under a session, so that one that is sent again is applied once. Commands
// that ask a node about itself use the connection, which is Thrift's.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_CONTEXT_H_
#define CAIRN_APPS_CAIRN_CONTEXT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cairn/commands.h"
#include "cairn/client.h"
#include "src/base/clock.h"
#include "src/base/endpoint.h"
#include "src/client/address.h"
#include "src/client/thrift/node_connection.h"
#include "src/text/bytes_text.h"

namespace cairn::cli {

using text::TextForm;

// Why a command ends badly.
struct Failure {
  ExitCode exit = kRefused;
  std::string code;  // as on the wire: CONFLICT, TIMEOUT, ...
  std::string message;
  bool maybe_applied = false;  // a write: it may have been applied all the same
};
using MaybeFailure = std::optional<Failure>;

// Asks how far the node itself is: at level `local`, whatever the node's default is, so that one
// that lags, or that has no majority, answers too.
inline thrift_api::GetCommittedVersionRequest OwnVersionRequest() {
  thrift_api::GetCommittedVersionRequest request;
  request.__set_read_level("local");
  return request;
}

// Wrong words or input.
inline Failure UsageFailure(const Status& status) { return {kUsage, "USAGE", status.message()}; }
inline Failure UsageFailure(std::string message) { return {kUsage, "USAGE", std::move(message)}; }

// What a Status means for the command.
Failure FailureOf(const Status& status);

// `error` and `error_code` of a response, if it has them.
template <class Response>
MaybeFailure FailureOf(const Response& response) {
  if (!response.__isset.error) return std::nullopt;
  Failure failure{kRefused, "ERROR", response.error};
  if constexpr (requires { response.error_code; }) {
    if (response.__isset.error_code) failure.code = response.error_code;
  }
  if (failure.code == "TIMEOUT") failure.exit = kTimedOut;
  return failure;
}

// The common options, read.
struct CommonOptions {
  std::vector<client::Address> endpoints;
  std::chrono::milliseconds timeout{5000};
  std::string column_family;  // empty: the default one
  std::string read_level;     // empty: as the node is configured
  TextForm form = TextForm::kEscaped;
  bool json = false;
};

class Context {
 public:
  // Takes the common options of an invocation. Keeps client and connection if the endpoints are the
  // same; the connection, if the timeout is, too.
  MaybeFailure Configure(const Invocation& in);

  [[nodiscard]] const CommonOptions& options() const { return options_; }
  // Where the connection leads; valid after a Call.
  [[nodiscard]] std::string endpoint() const { return connection_->endpoint().ToString(); }

  // The first endpoint that answers and knows who leads (one that was removed, or cut off, knows
  // less), or else the first that answers. They are asked one after the other, so briefly at first
  // that one that hangs holds up little, and until `until` if none answers.
  MaybeFailure FindNode(MonotonicTime until, std::size_t* index) const;
  // The time until then; 1 ms at least.
  [[nodiscard]] std::chrono::milliseconds Left(MonotonicTime until) const;

  // The client, valid until the next Configure; connects if there is none. One endpoint: a client
  // of that node. Several: one of the cluster, which reads where this first found an answer.
  MaybeFailure Connect(Client** client);
  // The same, for what needs it longer; null before the first Connect.
  [[nodiscard]] std::shared_ptr<Client> client() const { return client_; }
  // What the common options say of a read and of a write.
  [[nodiscard]] ReadOptions Reading(std::uint64_t at_version = 0) const;
  [[nodiscard]] WriteOptions Writing() const;
  [[nodiscard]] ReadLevel read_level() const;

  // Connects if there is no connection, then calls: to a Thrift endpoint, or to that of a node
  // which is known by its gRPC endpoint. A connection that fails is given up, and the next call
  // makes a new one.
  MaybeFailure Call(const std::function<void(client::ThriftClient&)>& call);

  // Standard input holds commands from now on; nobody else may read it.
  void TakeStandardInput() { standard_input_taken_ = true; }
  // A failure if somebody has taken it.
  [[nodiscard]] MaybeFailure NeedStandardInput() const {
    if (!standard_input_taken_) return std::nullopt;
    return UsageFailure(
        "'-' stands for standard input, from which the shell reads commands; name a file, or "
        "write \\x2d for the character");
  }
  // The same for whoever reads all of it now. At a terminal it says so, with what is wanted ("keys
  // and values"): else nothing shows that the command waits for somebody to type.
  [[nodiscard]] MaybeFailure BeginStandardInput(std::string_view wanted) const;

  // Fills in what every request of a kind has in common: family, read level, deadline.
  template <class Request>
  void Prepare(Request* request) const {
    if constexpr (requires { request->__set_column_family(std::string()); }) {
      if (!options_.column_family.empty()) request->__set_column_family(options_.column_family);
    }
    if constexpr (requires { request->__set_read_level(std::string()); }) {
      if (!options_.read_level.empty()) request->__set_read_level(options_.read_level);
    }
    if constexpr (requires { request->__set_deadline_ms(0); }) {
      request->__set_deadline_ms(options_.timeout.count());
    }
  }

  // Reports the failure and gives its exit code.
  [[nodiscard]] ExitCode Fail(const Failure& failure) const;
  // Prints one JSON document on a line.
  static void Print(const nlohmann::ordered_json& document);
  // A key or value as text in the form of the command line, and back; `what` names it in an error.
  [[nodiscard]] std::string Text(std::string_view bytes) const {
    return text::ToText(bytes, options_.form);
  }
  [[nodiscard]] Result<std::string> Bytes(std::string_view text, const std::string& what) const;

 private:
  CommonOptions options_;
  bool standard_input_taken_ = false;
  const SystemClock clock_{};
  std::unique_ptr<client::NodeConnection> connection_;
  std::vector<client::Address> client_endpoints_;
  std::shared_ptr<Client> client_;
  // How much of the timeout it took this command to get its client.
  std::chrono::milliseconds spent_{0};
};

// `code`, `message`, and of a write that may have been applied, `maybe_applied`.
nlohmann::ordered_json ErrorDocument(const Failure& failure);

// The name of a column family as it is given and shown: with C escapes, whatever form keys and
// values have. `what` names it in an error. An empty name is shown as that of the default family.
Result<std::string> FamilyName(std::string_view text, const std::string& what);
std::string ShownFamily(std::string_view name);

// The names of the node's column families, "default" first.
MaybeFailure ListFamilies(Context* context, std::vector<std::string>* names);

// Puts bytes into a JSON object: `name` as text if they are UTF-8, and always `name`_base64.
void PutBytes(nlohmann::ordered_json* object, const std::string& name, std::string_view bytes);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_CONTEXT_H_
