// Between the tests in C (c_dram_test.c) and the program that serves each a store (c_api_test.cc).
// For C and C++.
//
// Thread safety: none; the tests run one at a time.
#ifndef CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_

#include "cairn/c.h"
#include "src/c_api/testing/c_check.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_c_dram_test {
  const char* name;
  /* A fresh server of 64 MiB, and a client of it. */
  void (*run)(cairn_dram* server, cairn_dram* client);
} cairn_c_dram_test;

/* Ends with a test without a name. */
extern const cairn_c_dram_test cairn_c_dram_tests[];

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_ */
