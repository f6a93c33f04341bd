// The conformance suite of the store contract (cairn/remote_dram.h), run over every way to reach a
// store: in the same process, over each transport, as a client and as a node of a pool.
#ifndef CAIRN_SRC_DRAM_POOL_TESTING_STORE_CONFORMANCE_H_
#define CAIRN_SRC_DRAM_POOL_TESTING_STORE_CONFORMANCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cairn/remote_dram.h"

namespace cairn::dram {

// A store and whatever serves it, empty at the start.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  virtual RemoteDram& store() = 0;
};

using StoreHarnessFactory = std::function<std::unique_ptr<StoreHarness>()>;

// A test of the suite: gtest assertions on a fresh store.
struct StoreTest {
  const char* name;
  void (*run)(RemoteDram&);
};

// Registers the suite with gtest as `suite`. Call before RUN_ALL_TESTS.
void RegisterStoreConformance(const std::string& suite, const StoreHarnessFactory& factory);

// The parts of the suite.
std::vector<StoreTest> PointTests();
std::vector<StoreTest> ConditionTests();
std::vector<StoreTest> RangeTests();
std::vector<StoreTest> ConcurrencyTests();

// Waits until the store is connected to every server of its pool. Operations wait for a connection
// as well, but only for two seconds, which a busy machine may take.
void AwaitPeers(const RemoteDram& store);
// Shorthands that wait.
Result<WriteResult> Put(RemoteDram& store, std::string_view key, std::string_view value,
                        WriteOptions options = {});
// The value; "(missing)", "(unspecified)" or the error's name if there is none.
std::string Value(RemoteDram& store, std::string_view key, ReadOptions options = {});
// `size` bytes that depend on `seed`.
std::string Bytes(std::size_t size, std::uint64_t seed);

// A spec of a node at `self` in a pool of `nodes`, as JSON; `more` is put in ("" or ", ...").
std::string NodeSpec(const std::string& self, const std::vector<std::string>& nodes,
                     const std::string& more = "");
// A spec of a client of the pool.
std::string ClientSpec(const std::vector<std::string>& nodes, const std::string& more = "");

}  // namespace cairn::dram

#endif  // CAIRN_SRC_DRAM_POOL_TESTING_STORE_CONFORMANCE_H_
