// Writes figures as a Prometheus server reads them: the text format, version 0.0.4. A family is
// opened with its name, help and type, then its samples follow.
//
//   Exposition page;
//   page.Family("cairn_requests_total", Kind::kCounter, "Requests answered.");
//   page.Sample({{"operation", "get"}}, 12);
//
// Thread safety: owned by one thread.
#ifndef CAIRN_SRC_METRICS_EXPOSITION_H_
#define CAIRN_SRC_METRICS_EXPOSITION_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "src/metrics/metrics.h"

namespace cairn::metrics {

enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };

// A label and its value, which may be any text.
struct Label {
  std::string_view name;
  std::string_view value;
};
using Labels = std::initializer_list<Label>;

class Exposition {
 public:
  Exposition() { text_.reserve(32 << 10); }

  // `name` of letters, digits and underscores; each family once a page.
  void Family(std::string_view name, Kind kind, std::string_view help);

  // Of the family that was opened last.
  void Sample(Labels labels, std::uint64_t value);
  void Sample(Labels labels, double value);
  // A histogram's buckets, sum and count. Bounds and sum are divided by `scale`: 1e9 turns
  // nanoseconds into seconds, Prometheus' unit.
  void Sample(Labels labels, const Histogram::Reading& reading, double scale);

  // A family of one sample without labels.
  void Counter(std::string_view name, std::string_view help, std::uint64_t value);
  void Gauge(std::string_view name, std::string_view help, std::uint64_t value);
  void Gauge(std::string_view name, std::string_view help, double value);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string Take() && { return std::move(text_); }

 private:
  // `suffix` after the family's name; `extra` after the labels, if it has a name.
  void Line(std::string_view suffix, Labels labels, Label extra);
  void Number(double value);

  std::string text_;
  std::string family_;
};

}  // namespace cairn::metrics

#endif  // CAIRN_SRC_METRICS_EXPOSITION_H_
