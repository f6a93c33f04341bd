#include "src/metrics/exposition.h"

#include <charconv>
#include <cmath>

#include "src/base/check.h"

namespace cairn::metrics {
namespace {

constexpr std::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kCounter:
      return "counter";
    case Kind::kGauge:
      return "gauge";
    case Kind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

// Shortest text that reads back as the same number.
std::string_view Shortest(double value, char (&buffer)[32]) {
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return {buffer, static_cast<std::size_t>(end.ptr - buffer)};
}

void AppendEscaped(std::string_view value, std::string* out) {
  for (const char c : value) {
    if (c == '\n') {
      *out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c);
  }
}

}  // namespace

void Exposition::Family(std::string_view name, Kind kind, std::string_view help) {
  family_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help);
  text_.append("\n# TYPE ").append(name).append(" ").append(NameOf(kind)).append("\n");
}

void Exposition::Line(std::string_view suffix, Labels labels, Label extra) {
  CAIRN_CHECK(!family_.empty(), "a sample needs a family");
  text_.append(family_).append(suffix);
  char open = '{';
  const auto label = [&](const Label& l) {
    text_.push_back(open);
    open = ',';
    text_.append(l.name).append("=\"");
    AppendEscaped(l.value, &text_);
    text_.push_back('"');
  };
  for (const Label& l : labels) label(l);
  if (!extra.name.empty()) label(extra);
  if (open == ',') text_.push_back('}');
  text_.push_back(' ');
}

void Exposition::Number(double value) {
  if (std::isnan(value)) {
    text_ += "NaN";
  } else if (std::isinf(value)) {
    text_ += value > 0 ? "+Inf" : "-Inf";
  } else {
    char buffer[32];
    text_ += Shortest(value, buffer);
  }
}

void Exposition::Sample(Labels labels, std::uint64_t value) {
  Line("", labels, {});
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  text_.append(buffer, end.ptr).push_back('\n');
}

void Exposition::Sample(Labels labels, double value) {
  Line("", labels, {});
  Number(value);
  text_.push_back('\n');
}

void Exposition::Sample(Labels labels, const Histogram::Reading& reading, double scale) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < reading.counts.size(); ++i) {
    below += reading.counts[i];
    char buffer[32];
    const bool last = i == reading.bounds.size();
    const std::string_view le =
        last ? "+Inf" : Shortest(static_cast<double>(reading.bounds[i]) / scale, buffer);
    Line("_bucket", labels, {"le", le});
    char count[24];
    text_.append(count, std::to_chars(count, count + sizeof(count), below).ptr).push_back('\n');
  }
  Line("_sum", labels, {});
  Number(static_cast<double>(reading.sum) / scale);
  text_.push_back('\n');
  Line("_count", labels, {});
  text_.append(std::to_string(reading.total)).push_back('\n');
}

void Exposition::Counter(std::string_view name, std::string_view help, std::uint64_t value) {
  Family(name, Kind::kCounter, help);
  Sample({}, value);
}

void Exposition::Gauge(std::string_view name, std::string_view help, std::uint64_t value) {
  Family(name, Kind::kGauge, help);
  Sample({}, value);
}

void Exposition::Gauge(std::string_view name, std::string_view help, double value) {
  Family(name, Kind::kGauge, help);
  Sample({}, value);
}

}  // namespace cairn::metrics
