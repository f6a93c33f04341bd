// A driver's system as the one under load of src/load: its mixes, loops and recorder drive the
// peers as they drive Cairn.
//
// Thread safety: as Target says. Operations end on the threads of the system's client.
#ifndef CAIRN_BENCH_LOAD_DRIVER_TARGET_H_
#define CAIRN_BENCH_LOAD_DRIVER_TARGET_H_

#include <cstddef>
#include <memory>

#include "bench/load/driver.h"
#include "src/load/operation.h"

namespace cairn::bench {

// Each lane has an asynchronous connection of its own, as the driver gives it. A read-modify-write
// is a Get and then a Set, as in YCSB; deletes and transactions fail with kInvalidArgument, and so
// do scans where the driver has none. Fails if a connection can't be made. The driver must outlive
// the target.
Result<std::unique_ptr<Target>> ConnectTarget(Driver* driver, std::size_t lanes);

}  // namespace cairn::bench

#endif  // CAIRN_BENCH_LOAD_DRIVER_TARGET_H_
