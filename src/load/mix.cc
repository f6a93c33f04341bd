#include "src/load/mix.h"

#include <charconv>
#include <numeric>

namespace cairn::bench {
namespace {

// Shares in the order of OperationKind: read, update, insert, scan, rmw, delete, txn.
constexpr std::array<Workload, 13> kWorkloads = {{
    {"a", {{50, 50, 0, 0, 0, 0, 0}}, Distribution::kZipf},
    {"b", {{95, 5, 0, 0, 0, 0, 0}}, Distribution::kZipf},
    {"c", {{100, 0, 0, 0, 0, 0, 0}}, Distribution::kZipf},
    {"d", {{95, 0, 5, 0, 0, 0, 0}}, Distribution::kLatest},
    {"e", {{0, 0, 5, 95, 0, 0, 0}}, Distribution::kZipf},
    {"f", {{50, 0, 0, 0, 50, 0, 0}}, Distribution::kZipf},
    {"f-txn", {{50, 0, 0, 0, 0, 0, 50}}, Distribution::kZipf},
    {"read", {{100, 0, 0, 0, 0, 0, 0}}, Distribution::kUniform},
    {"update", {{0, 100, 0, 0, 0, 0, 0}}, Distribution::kUniform},
    {"insert", {{0, 0, 100, 0, 0, 0, 0}}, Distribution::kUniform},
    {"scan", {{0, 0, 0, 100, 0, 0, 0}}, Distribution::kUniform},
    {"rmw", {{0, 0, 0, 0, 100, 0, 0}}, Distribution::kUniform},
    {"txn", {{0, 0, 0, 0, 0, 0, 100}}, Distribution::kUniform},
}};

Status TakeShare(std::string_view part, Mix* mix) {
  const std::size_t equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  const std::string_view number = equals == part.npos ? "" : part.substr(equals + 1);
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    if (kOperationNames[kind] != name) continue;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, mix->shares[kind]);
    if (error == std::errc() && stop == end && mix->shares[kind] <= 1'000'000) return Status::Ok();
    return InvalidArgumentError("'" + std::string(part) + "': the share of " + std::string(name) +
                                " is a whole number, 0 to 1000000");
  }
  return InvalidArgumentError("'" + std::string(part) +
                              "': expected read, update, insert, scan, rmw, txn or delete, = and "
                              "a share, like read=95,update=5");
}

}  // namespace

std::uint32_t Mix::Total() const { return std::accumulate(shares.begin(), shares.end(), 0U); }

OperationKind Mix::KindOf(std::uint64_t number) const {
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    if (number < shares[kind]) return static_cast<OperationKind>(kind);
    number -= shares[kind];
  }
  return OperationKind::kRead;
}

Result<Mix> ParseMix(std::string_view text) {
  Mix mix;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    CAIRN_RETURN_IF_ERROR(TakeShare(text.substr(begin, end - begin), &mix));
    begin = end + 1;
  }
  if (mix.Total() == 0) return InvalidArgumentError("a mix needs a share that is not 0");
  return mix;
}

std::string ToText(const Mix& mix) {
  std::string text;
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    if (mix.shares[kind] == 0) continue;
    text += text.empty() ? "" : ",";
    text += kOperationNames[kind];
    text += "=" + std::to_string(mix.shares[kind]);
  }
  return text;
}

const Workload* FindWorkload(std::string_view name) {
  for (const Workload& workload : kWorkloads) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

}  // namespace cairn::bench
