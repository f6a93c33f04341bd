// Serializability of transactions over lists, after Elle: the longest list observed of each key is
// the order of its appends, from which the dependencies follow; a cycle among them is an anomaly.
#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "sim/check/history.h"

namespace cairn::sim {
namespace {

using List = std::vector<std::int64_t>;

enum Edge : std::uint8_t { kWriteWrite, kWriteRead, kReadWrite, kRealTime, kEdges };
constexpr std::array<std::string_view, kEdges> kEdgeNames = {"ww", "wr", "rw", "rt"};

std::string Show(const List& list) {
  std::string text = "[";
  for (const std::int64_t element : list) {
    if (text.size() > 1) text += ' ';
    text += std::to_string(element);
  }
  return text + "]";
}

class Graph {
 public:
  explicit Graph(std::size_t nodes) : out_(nodes) {}
  void Add(std::size_t from, std::size_t to, Edge kind) {
    if (from != to) out_[from].push_back({to, kind});
  }

  // The shortest cycle through edges for which `may` holds, as nodes and the edges that leave them;
  // empty if there is none. With `first`, one that begins with an edge of that kind, which does not
  // occur again.
  using Path = std::vector<std::pair<std::size_t, Edge>>;
  [[nodiscard]] Path Cycle(const std::set<Edge>& may, std::optional<Edge> first) const {
    const std::vector<std::size_t> component = Components(may, first);
    Path best;
    for (std::size_t start = 0; start < out_.size(); ++start) {
      for (const auto& [to, kind] : out_[start]) {
        if (component[start] != component[to]) continue;
        if (first ? kind != *first : may.count(kind) == 0) continue;
        Path path = Way(to, start, may, component);
        if (path.empty()) continue;
        path.insert(path.begin(), {start, kind});
        if (best.empty() || path.size() < best.size()) best = std::move(path);
        if (best.size() == 2) return best;
      }
    }
    return best;
  }

 private:
  struct Target {
    std::size_t to;
    Edge kind;
  };

  // Numbers of the strongly connected components (Tarjan, 1972), without recursion.
  [[nodiscard]] std::vector<std::size_t> Components(const std::set<Edge>& may,
                                                    std::optional<Edge> first) const {
    const auto usable = [&](Edge kind) { return may.count(kind) != 0 || kind == first; };
    constexpr std::size_t kNone = SIZE_MAX;
    std::vector<std::size_t> index(out_.size(), kNone);
    std::vector<std::size_t> low(out_.size(), 0);
    std::vector<std::size_t> component(out_.size(), kNone);
    std::vector<std::size_t> stack;
    std::size_t next = 0;
    std::size_t components = 0;
    for (std::size_t root = 0; root < out_.size(); ++root) {
      if (index[root] != kNone) continue;
      std::vector<std::pair<std::size_t, std::size_t>> calls = {{root, 0}};
      while (!calls.empty()) {
        auto& [node, at] = calls.back();
        if (at == 0) {
          index[node] = low[node] = next++;
          stack.push_back(node);
        }
        if (at < out_[node].size()) {
          const Target target = out_[node][at++];
          if (!usable(target.kind)) continue;
          if (index[target.to] == kNone) {
            calls.emplace_back(target.to, 0);
          } else if (component[target.to] == kNone) {
            low[node] = std::min(low[node], index[target.to]);
          }
          continue;
        }
        const std::size_t done = node;
        if (out_[done].empty() || at >= out_[done].size()) calls.pop_back();
        if (low[done] == index[done]) {
          for (std::size_t member = kNone; member != done;) {
            member = stack.back();
            stack.pop_back();
            component[member] = components;
          }
          ++components;
        }
        if (!calls.empty()) low[calls.back().first] = std::min(low[calls.back().first], low[done]);
      }
    }
    return component;
  }

  // The shortest way inside a component; empty if there is none.
  [[nodiscard]] Path Way(std::size_t from, std::size_t to, const std::set<Edge>& may,
                         const std::vector<std::size_t>& component) const {
    std::map<std::size_t, std::pair<std::size_t, Edge>> before;
    std::deque<std::size_t> queue = {from};
    while (!queue.empty()) {
      const std::size_t node = queue.front();
      queue.pop_front();
      for (const auto& [next, kind] : out_[node]) {
        if (may.count(kind) == 0 || component[next] != component[from]) continue;
        if (next != from && !before.emplace(next, std::pair(node, kind)).second) continue;
        if (next != to) {
          if (next != from) queue.push_back(next);
          continue;
        }
        Path path;
        for (std::size_t at = to; at != from;) {
          const auto& [previous, edge] = before.at(at);
          path.insert(path.begin(), {previous, edge});
          at = previous;
        }
        return path;
      }
    }
    return {};
  }

  std::vector<std::vector<Target>> out_;
};

class Checker {
 public:
  using Step = std::string (Checker::*)();

  explicit Checker(const History& history)
      : transactions_(history.transactions), graph_(transactions_.size()) {}

  std::string Run() {
    for (const Step step : {&Checker::IndexAppends, &Checker::OrderLists, &Checker::CheckReads}) {
      if (std::string wrong = (this->*step)(); !wrong.empty()) return wrong;
    }
    AddDependencies();
    AddRealTime();
    return FindCycle();
  }

 private:
  std::string IndexAppends() {
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      for (const auto& [key, element] : transactions_[i].appends) {
        if (!writers_[key].emplace(element, i).second) {
          return "the history itself appends " + std::to_string(element) + " twice to " + key;
        }
      }
    }
    return {};
  }

  // All lists observed of a key must be prefixes of the longest one.
  std::string OrderLists() {
    for (const TransactionRecord& t : transactions_) {
      for (const auto& [key, list] : t.reads) {
        List& longest = order_[key];
        const List& shorter = list.size() < longest.size() ? list : longest;
        const List& longer = list.size() < longest.size() ? longest : list;
        if (!std::equal(shorter.begin(), shorter.end(), longer.begin())) {
          return "incompatible orders of " + key + ": " + Show(list) + " (" + t.when.Describe() +
                 ") and " + Show(longest);
        }
        if (&longer == &list) longest = list;
      }
    }
    for (const auto& [key, list] : order_) {
      std::set<std::int64_t> seen;
      for (const std::int64_t element : list) {
        if (!seen.insert(element).second) {
          return "element " + std::to_string(element) + " is twice in " + key + ": " + Show(list);
        }
        if (writers_[key].count(element) == 0) {
          return "element " + std::to_string(element) + " of " + key + " was appended by nobody";
        }
      }
    }
    return {};
  }

  // G1a, aborted reads, and G1b, intermediate reads.
  std::string CheckReads() {
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      for (const auto& read : transactions_[i].reads) {
        const std::string& key = read.first;
        const List& list = read.second;
        for (const std::int64_t element : list) {
          const TransactionRecord& writer = transactions_[writers_[key].at(element)];
          if (writer.outcome == Outcome::kFailed) {
            return "G1a: a read of " + key + " (" + transactions_[i].when.Describe() + ") saw " +
                   std::to_string(element) + ", whose transaction (" + writer.when.Describe() +
                   ") failed";
          }
        }
        if (list.empty()) continue;
        const std::size_t last = writers_[key].at(list.back());
        const auto& appends = transactions_[last].appends;
        const auto final_one = std::find_if(appends.rbegin(), appends.rend(),
                                            [&](const auto& a) { return a.first == key; });
        if (last != i && final_one->second != list.back()) {
          return "G1b: a read of " + key + " (" + transactions_[i].when.Describe() +
                 ") saw the middle of a transaction (" + transactions_[last].when.Describe() +
                 "): " + Show(list);
        }
      }
    }
    return {};
  }

  void AddDependencies() {
    for (auto& [key, list] : order_) {
      const auto& writers = writers_[key];
      for (std::size_t i = 1; i < list.size(); ++i) {
        graph_.Add(writers.at(list[i - 1]), writers.at(list[i]), kWriteWrite);
      }
      // What was acknowledged and nobody saw comes after all that was seen.
      const std::set<std::int64_t> seen(list.begin(), list.end());
      for (const auto& [element, writer] : writers) {
        if (seen.count(element) != 0 || transactions_[writer].outcome != Outcome::kOk) continue;
        if (!list.empty()) graph_.Add(writers.at(list.back()), writer, kWriteWrite);
        unseen_[key].push_back(writer);
      }
    }
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      for (const auto& [key, list] : transactions_[i].reads) {
        const List& all = order_[key];
        if (!list.empty()) graph_.Add(writers_[key].at(list.back()), i, kWriteRead);
        if (list.size() < all.size()) {
          graph_.Add(i, writers_[key].at(all[list.size()]), kReadWrite);
        } else {
          for (const std::size_t writer : unseen_[key]) graph_.Add(i, writer, kReadWrite);
        }
      }
    }
  }

  // It was acknowledged, or somebody saw what it appended. If not, what it read may be old: it may
  // have been refused for just that.
  bool Happened(const TransactionRecord& t) {
    if (t.outcome != Outcome::kUnknown) return t.outcome == Outcome::kOk;
    return std::any_of(t.appends.begin(), t.appends.end(), [this](const auto& append) {
      const List& list = order_[append.first];
      return std::find(list.begin(), list.end(), append.second) != list.end();
    });
  }

  // a -> b if a ended before b began, but only where no third one lies between: the others follow.
  void AddRealTime() {
    std::vector<std::tuple<std::uint64_t, bool, std::size_t>> events;
    for (std::size_t i = 0; i < transactions_.size(); ++i) {
      const TransactionRecord& t = transactions_[i];
      if (!t.strict || !Happened(t)) continue;
      events.emplace_back(t.when.begin, true, i);
      if (t.outcome == Outcome::kOk) events.emplace_back(t.when.end, false, i);
    }
    std::sort(events.begin(), events.end());
    std::set<std::size_t> frontier;  // ended, and not before the beginning of another of these
    std::map<std::size_t, std::set<std::size_t>> came_before;
    for (const auto& [at, begins, i] : events) {
      if (begins) {
        for (const std::size_t before : frontier) graph_.Add(before, i, kRealTime);
        came_before[i] = frontier;
      } else {
        for (const std::size_t before : came_before[i]) frontier.erase(before);
        frontier.insert(i);
      }
    }
  }

  std::string FindCycle() {
    struct Anomaly {
      std::string_view name;
      std::set<Edge> may;
      std::optional<Edge> first;
    };
    const std::vector<Anomaly> anomalies = {
        {"G0 (write cycle)", {kWriteWrite}, std::nullopt},
        {"G1c (circular information flow)", {kWriteWrite, kWriteRead}, std::nullopt},
        {"G-single (read skew)", {kWriteWrite, kWriteRead}, kReadWrite},
        {"G2 (anti-dependency cycle)", {kWriteWrite, kWriteRead, kReadWrite}, std::nullopt},
        {"G0 in real time", {kWriteWrite, kRealTime}, std::nullopt},
        {"G1c in real time", {kWriteWrite, kWriteRead, kRealTime}, std::nullopt},
        {"G-single in real time", {kWriteWrite, kWriteRead, kRealTime}, kReadWrite},
        {"G2 in real time", {kWriteWrite, kWriteRead, kReadWrite, kRealTime}, std::nullopt}};
    // One look at everything first: there seldom is any cycle.
    if (graph_.Cycle(anomalies.back().may, std::nullopt).empty()) return {};
    for (const Anomaly& anomaly : anomalies) {
      const Graph::Path cycle = graph_.Cycle(anomaly.may, anomaly.first);
      if (cycle.empty()) continue;
      std::string text = std::string(anomaly.name) + ":";
      for (const auto& [node, edge] : cycle) {
        text += " T" + std::to_string(node) + " (" + transactions_[node].when.Describe() + ") -" +
                std::string(kEdgeNames[edge]) + "->";
      }
      return text + " T" + std::to_string(cycle.front().first);
    }
    return {};
  }

  const std::vector<TransactionRecord>& transactions_;
  Graph graph_;
  std::map<std::string, std::map<std::int64_t, std::size_t>> writers_;  // key, element
  std::map<std::string, List> order_;
  std::map<std::string, std::vector<std::size_t>> unseen_;
};

}  // namespace

std::string CheckTransactions(const History& history) { return Checker(history).Run(); }

}  // namespace cairn::sim
