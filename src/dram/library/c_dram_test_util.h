// Between the tests in C (c_dram_test.c) and the program that serves each a store and reports
// (c_api_test.cc). For C and C++.
//
// Thread safety: cairn_c_failed from any thread; the tests one at a time.
#ifndef CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_
#define CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_

#include "cairn/c.h"

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

/* Something is not as expected. */
void cairn_c_failed(const char* file, int line, const char* what);
#define CHECK(condition) ((condition) ? (void)0 : cairn_c_failed(__FILE__, __LINE__, #condition))
/* What a call gave must be OK, or a status with this code; frees it. */
void cairn_c_check_code(const char* file, int line, const char* call, int code,
                        cairn_status* status);
#define CHECK_OK(call) cairn_c_check_code(__FILE__, __LINE__, #call, 0, (call))
#define CHECK_CODE(code, call) cairn_c_check_code(__FILE__, __LINE__, #call, (code), (call))

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_SRC_DRAM_LIBRARY_C_DRAM_TEST_UTIL_H_ */
