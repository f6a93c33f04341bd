// For tests: the largest piece of memory that operator new was asked for. The counting versions of
// the allocation functions are in allocation_probe_test.cc, so they are part of the test program.
//
// Thread safety: any thread.
#ifndef CAIRN_SRC_SERVER_THRIFT_ALLOCATION_PROBE_H_
#define CAIRN_SRC_SERVER_THRIFT_ALLOCATION_PROBE_H_

#include <cstddef>

namespace cairn::server::testing {

void ResetLargestAllocation();
std::size_t LargestAllocation();

}  // namespace cairn::server::testing

#endif  // CAIRN_SRC_SERVER_THRIFT_ALLOCATION_PROBE_H_
