#include "src/load/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace cairn::bench {
namespace {

constexpr double kLeft = 80;
constexpr double kWidth = 640;
constexpr double kHeight = 200;
constexpr double kApart = 280;  // from one panel's top to the next one's
constexpr double kTop = 50;

std::string Format(const char* format, double a, double b = 0, double c = 0, double d = 0) {
  char text[200];
  // The formats are those of this file.
  std::snprintf(text, sizeof(text), format, a, b, c,
                d);  // NOLINT(clang-diagnostic-format-nonliteral)
  return text;
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Text(double x, double y, const std::string& anchor, const std::string& words) {
  return Format("<text x=\"%.1f\" y=\"%.1f\"", x, y) + " text-anchor=\"" + anchor + "\">" +
         Escaped(words) + "</text>\n";
}

// "1.5 ms".
std::string Time(double us) {
  if (us >= 1e6) return Format("%.3g s", us / 1e6);
  if (us >= 1e3) return Format("%.3g ms", us / 1e3);
  return Format("%.3g us", us);
}

using Points = std::vector<std::pair<double, double>>;  // both 0 to 1

// One panel: a frame, marks on the vertical axis, lines.
class Panel {
 public:
  Panel(int number, const std::string& title) : top_(kTop + number * kApart) {
    svg_ = Text(kLeft, top_ - 10, "start", title);
    svg_ += Format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", kLeft, top_,
                   kWidth, kHeight) +
            " fill=\"none\" stroke=\"#888\"/>\n";
  }
  void MarkX(double at, const std::string& words) {
    svg_ += Text(kLeft + at * kWidth, top_ + kHeight + 18, "middle", words);
  }
  void MarkY(double at, const std::string& words) {
    const double y = top_ + kHeight * (1 - at);
    svg_ += Text(kLeft - 6, y + 4, "end", words);
    svg_ += Format("<path d=\"M%.1f %.1fh%.1f\" stroke=\"#ddd\"/>\n", kLeft, y, kWidth);
  }
  void Line(const Points& points, const std::string& color, const std::string& name, int number) {
    svg_ += "<polyline fill=\"none\" stroke=\"" + color + "\" points=\"";
    for (const auto& [x, y] : points) {
      svg_ += Format("%.1f,%.1f ", kLeft + x * kWidth, top_ + kHeight * (1 - y));
    }
    svg_ += "\"/>\n<g fill=\"" + color + "\">" +
            Text(kLeft + kWidth - 8, top_ + 18 + 16 * number, "end", name) + "</g>\n";
  }
  [[nodiscard]] const std::string& svg() const { return svg_; }

 private:
  const double top_;
  std::string svg_;
};

// Latency by percentile: the horizontal axis counts nines, the vertical one is logarithmic.
std::string ByPercentile(const LoopReport& report) {
  constexpr double kNines = 5;
  Panel panel(0, "Latency by percentile");
  const Histogram latency = report.Latency();
  const Histogram service = report.Service();
  const double high = std::max(
      std::ceil(std::log10(static_cast<double>(std::max<std::uint64_t>(latency.max_ns(), 10)))),
      1.0);
  const double low = std::min(std::floor(std::log10(static_cast<double>(
                                  std::max<std::uint64_t>(service.Percentile(1), 1)))),
                              high - 1);
  for (double power = low; power <= high; ++power) {
    panel.MarkY((power - low) / (high - low), Time(std::pow(10, power - 3)));
  }
  const char* const names[] = {"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"};
  for (int nines = 0; nines <= 5; ++nines) panel.MarkX(nines / kNines, names[nines]);
  const auto line = [&](const Histogram& histogram) {
    Points points;
    // Beyond 1/count there is nothing to see.
    const double last =
        std::min(kNines, std::log10(std::max<double>(static_cast<double>(histogram.count()), 10)));
    for (double nines = 0; nines <= last; nines += 0.02) {
      const double percent = 100 * (1 - std::pow(10, -nines));
      const auto ns =
          static_cast<double>(std::max<std::uint64_t>(histogram.Percentile(percent), 1));
      points.emplace_back(nines / kNines,
                          std::clamp((std::log10(ns) - low) / (high - low), 0.0, 1.0));
    }
    return points;
  };
  panel.Line(line(latency), "#c33", "latency", 0);
  panel.Line(line(service), "#36c", "service time", 1);
  return panel.svg();
}

// One value a slot.
std::string OverTime(int number, const std::string& title, const LoopReport& report,
                     const std::vector<double>& values, std::string (*words)(double)) {
  Panel panel(number, title);
  double highest = 1e-9;
  for (const double value : values) highest = std::max(highest, value);
  panel.MarkY(0, words(0));
  panel.MarkY(1, words(highest));
  const double seconds =
      std::chrono::duration<double>(report.slot).count() * static_cast<double>(values.size());
  panel.MarkX(0, "0 s");
  panel.MarkX(1, Format("%.3g s", seconds));
  Points points;
  for (std::size_t i = 0; i < values.size(); ++i) {
    points.emplace_back((static_cast<double>(i) + 0.5) / static_cast<double>(values.size()),
                        values[i] / highest);
  }
  panel.Line(points, "#36c", "", 0);
  return panel.svg();
}

}  // namespace

std::string PlotSvg(const LoopReport& report, const std::string& title) {
  std::vector<double> rates;
  std::vector<double> longest;
  const double slot = std::chrono::duration<double>(report.slot).count();
  for (const std::uint64_t count : report.ended) rates.push_back(static_cast<double>(count) / slot);
  for (const std::uint64_t ns : report.longest_ns) longest.push_back(static_cast<double>(ns) / 1e3);
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"860\" "
         "font-family=\"sans-serif\" font-size=\"12\">\n"
         "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" +
         Text(kLeft, 20, "start", title) + ByPercentile(report) +
         OverTime(1, "Operations per second", report, rates,
                  [](double value) { return Format("%.3g", value); }) +
         OverTime(2, "Longest latency", report, longest, Time) + "</svg>\n";
}

}  // namespace cairn::bench
