// Point reads, scans and batches: the RocksDB engine beside RocksDB itself, with the same data, the
// same options and in the same process.
//
//   engine_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
//
// The raw database has plain keys (no timestamps), its WAL off, and is compacted as the engine's
// is. 400,000 keys of 16 bytes with values of 256 bytes: all of it fits the block cache. Reads are
// of random keys, from one thread and from two. Raw reads end in a std::string too, as an answer
// does.
#include <benchmark/benchmark.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "src/base/check.h"
#include "src/base/clock.h"
#include "src/storage/memory/memory_engine.h"
#include "src/storage/rocksdb/option_mapping.h"
#include "src/storage/rocksdb/rocksdb_engine.h"

namespace cairn::storage {
namespace {

constexpr std::uint64_t kKeys = 400000;
constexpr std::uint64_t kVersion = 10;  // of the data; read a little later
constexpr FamilyId kDefault{0};

std::string Key(std::uint64_t n) {
  char key[24];
  std::snprintf(key, sizeof(key), "key%013llu", static_cast<unsigned long long>(n));
  return key;
}

// Values that compress to about a half.
std::string Value(std::uint64_t n) {
  SeededRandom random(n);
  std::string value;
  while (value.size() < 128) {
    const std::uint64_t word = random.Next();
    value.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  return value + std::string(128, 'x');
}

// Both databases, made once, in a scratch folder that goes at exit.
class Databases {
 public:
  static Databases& Get() {
    static Databases databases;
    return databases;
  }
  rocksdb::DB* raw() { return raw_.get(); }
  Engine& engine() { return *engine_; }
  Engine& memory() { return memory_; }

 private:
  Databases() {
    std::string scratch = (std::filesystem::temp_directory_path() / "engine-bench-XXXXXX").string();
    CAIRN_CHECK(mkdtemp(scratch.data()) != nullptr);
    scratch_ = scratch;
    RocksDbOptions options;
    options.log_level = "error";
    auto opened = RocksDbEngine::Open(options, scratch_ + "/engine");
    CAIRN_CHECK(opened.ok(), opened.status().ToString());
    engine_ = *std::move(opened);
    // Its own cache, of the same size.
    const auto mapped = rocks::MapOptions(options);
    rocksdb::DB* raw = nullptr;
    const auto status =
        rocksdb::DB::Open(rocksdb::Options(mapped->db, mapped->system), scratch_ + "/raw", &raw);
    CAIRN_CHECK(status.ok(), status.ToString());
    raw_.reset(raw);
    Fill();
  }
  ~Databases() {
    engine_ = nullptr;
    raw_ = nullptr;
    std::filesystem::remove_all(scratch_);
  }

  void Fill() {
    StateMeta meta;
    meta.version = Version(kVersion);
    rocksdb::WriteOptions no_wal;
    no_wal.disableWAL = true;
    for (std::uint64_t n = 0; n < kKeys;) {
      WriteBatch batch;
      rocksdb::WriteBatch raw_batch;
      for (int i = 0; i < 1000; ++i, ++n) {
        const std::string key = Key(n);
        const std::string value = Value(n);
        raw_batch.Put(key, value);
        batch.Put(kDefault, key, value, Version(kVersion));
      }
      meta.applied_slot = meta.applied_slot.Next();
      CAIRN_CHECK(engine_->Write(batch, meta).ok());
      CAIRN_CHECK(memory_.Write(batch, meta).ok());
      CAIRN_CHECK(raw_->Write(no_wal, &raw_batch).ok());
    }
    CAIRN_CHECK(engine_->CompactAll().ok());
    rocksdb::CompactRangeOptions all;
    all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    CAIRN_CHECK(raw_->CompactRange(all, nullptr, nullptr).ok());
  }

  std::string scratch_;
  std::unique_ptr<RocksDbEngine> engine_;
  std::unique_ptr<rocksdb::DB> raw_;
  MemoryEngine memory_;
};

// Keys that are there, or (odd) keys between them.
std::string RandomKey(SeededRandom* random, bool present) {
  std::string key = Key(random->Below(kKeys));
  if (!present) key.back() = 'x';
  return key;
}

void RawGet(benchmark::State& state, bool present) {
  rocksdb::DB* const db = Databases::Get().raw();
  SeededRandom random(state.thread_index());
  std::string value;
  for (auto _ : state) {
    rocksdb::PinnableSlice found(&value);
    const auto status = db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(),
                                RandomKey(&random, present), &found);
    CAIRN_CHECK(status.ok() == present);
    if (found.IsPinned()) value.assign(found.data(), found.size());
    benchmark::DoNotOptimize(value.data());
  }
  state.SetItemsProcessed(state.iterations());
}

void EngineGet(benchmark::State& state, const Engine& engine, bool present) {
  SeededRandom random(state.thread_index());
  std::string value;
  for (auto _ : state) {
    const auto lookup =
        engine.Get(kDefault, RandomKey(&random, present), Version(kVersion + 5), &value);
    CAIRN_CHECK(lookup.ok() && lookup->found == present);
    benchmark::DoNotOptimize(value.data());
  }
  state.SetItemsProcessed(state.iterations());
}

void RawScan(benchmark::State& state) {
  rocksdb::DB* const db = Databases::Get().raw();
  SeededRandom random(1);
  for (auto _ : state) {
    const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(rocksdb::ReadOptions()));
    std::uint64_t bytes = 0;
    it->Seek(Key(random.Below(kKeys - state.range(0))));
    for (std::int64_t n = 0; n < state.range(0); ++n, it->Next()) {
      CAIRN_CHECK(it->Valid());
      bytes += it->key().size() + it->value().size();
    }
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void EngineScan(benchmark::State& state, const Engine& engine, bool forward) {
  SeededRandom random(1);
  for (auto _ : state) {
    const auto it = engine.NewIterator(kDefault, {}, Version(kVersion + 5));
    std::uint64_t bytes = 0;
    const std::uint64_t start = random.Below(kKeys - state.range(0));
    if (forward) {
      (*it)->SeekGreaterOrEqual(Key(start));
    } else {
      (*it)->SeekLess(Key(start + state.range(0)));
    }
    for (std::int64_t n = 0; n < state.range(0); ++n) {
      CAIRN_CHECK((*it)->Valid());
      bytes += (*it)->key().size() + (*it)->value().size();
      forward ? (*it)->Next() : (*it)->Prev();
    }
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void RegisterAll() {
  auto& databases = Databases::Get();
  Engine& engine = databases.engine();
  Engine& memory = databases.memory();
  using benchmark::RegisterBenchmark;
  for (const int threads : {1, 2}) {
    RegisterBenchmark("get/raw", [](auto& s) { RawGet(s, true); })->Threads(threads);
    RegisterBenchmark("get/engine", [&](auto& s) { EngineGet(s, engine, true); })->Threads(threads);
  }
  RegisterBenchmark("get/memory", [&](auto& s) { EngineGet(s, memory, true); });
  RegisterBenchmark("get_absent/raw", [](auto& s) { RawGet(s, false); });
  RegisterBenchmark("get_absent/engine", [&](auto& s) { EngineGet(s, engine, false); });
  RegisterBenchmark("scan/raw", RawScan)->Arg(10)->Arg(10000);
  RegisterBenchmark("scan/engine", [&](auto& s) { EngineScan(s, engine, true); })
      ->Arg(10)
      ->Arg(10000);
  RegisterBenchmark("scan/memory", [&](auto& s) { EngineScan(s, memory, true); })->Arg(10000);
  RegisterBenchmark("scan_back/engine", [&](auto& s) { EngineScan(s, engine, false); })->Arg(10000);
}

}  // namespace
}  // namespace cairn::storage

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  cairn::storage::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
