#include "src/load/sources.h"

#include <algorithm>
#include <functional>

namespace cairn::bench {
namespace {

constexpr std::size_t kPoolBytes = 1 << 20;

std::vector<SeededRandom> RandomOfLanes(std::uint64_t seed, std::size_t lanes) {
  SeededRandom seeds(seed);
  std::vector<SeededRandom> random;
  for (std::size_t i = 0; i < lanes; ++i) random.emplace_back(seeds.Next());
  return random;
}

}  // namespace

void InsertLedger::Ended(std::uint64_t number) {
  MutexLock lock(&mutex_);
  early_.push_back(number);
  std::push_heap(early_.begin(), early_.end(), std::greater<>());
  std::uint64_t there = there_.load();
  while (!early_.empty() && early_.front() == there) {
    std::pop_heap(early_.begin(), early_.end(), std::greater<>());
    early_.pop_back();
    ++there;
  }
  there_.store(there);
}

ValuePool::ValuePool(std::uint32_t value_bytes, std::uint64_t seed) : value_bytes_(value_bytes) {
  SeededRandom random(seed ^ 0x76616C756573ULL);
  bytes_.resize(kPoolBytes + value_bytes);
  for (char& byte : bytes_) byte = static_cast<char>(random.Next() >> 56);
}

std::string_view ValuePool::Cut(Random* random) const {
  return std::string_view(bytes_).substr(random->Below(kPoolBytes), value_bytes_);
}

MixSource::MixSource(const Options& options, std::size_t lanes)
    : options_(options),
      chooser_(options.distribution, options.zipf_exponent, options.records.records),
      values_(options.records.value_bytes, options.records.seed),
      ledger_(options.records.records),
      random_(RandomOfLanes(options.records.seed, lanes)) {}

bool MixSource::Next(std::size_t lane, Operation* operation) {
  SeededRandom* random = &random_[lane];
  operation->kind = options_.mix.KindOf(random->Below(options_.mix.Total()));
  const bool insert = operation->kind == OperationKind::kInsert;
  operation->record = insert ? ledger_.Take() : chooser_.Next(random, ledger_.there());
  operation->key = RecordKey(options_.records.key_prefix, operation->record);
  operation->value = values_.Cut(random);
  operation->scan_length = static_cast<std::uint32_t>(1 + random->Below(options_.max_scan_length));
  return true;
}

void MixSource::Ended(const Operation& operation, const Outcome&) {
  if (operation.kind == OperationKind::kInsert) ledger_.Ended(operation.record);
}

PassSource::PassSource(const RecordOptions& options, OperationKind kind, std::size_t lanes)
    : options_(options),
      kind_(kind),
      values_(kind == OperationKind::kInsert ? options.value_bytes : 0, options.seed),
      random_(RandomOfLanes(options.seed, lanes)) {}

bool PassSource::Next(std::size_t lane, Operation* operation) {
  const std::uint64_t number = next_.fetch_add(1);
  if (number >= options_.records) return false;
  operation->kind = kind_;
  operation->record = number;
  operation->key = RecordKey(options_.key_prefix, number);
  operation->value = values_.Cut(&random_[lane]);
  return true;
}

}  // namespace cairn::bench
