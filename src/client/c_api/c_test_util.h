// Between the tests in C (client_test.c, tx_test.c) and the program that serves each a node
// (c_api_test.cc). For C and C++.
//
// Thread safety: none; the tests run one at a time.
#ifndef CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_
#define CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_

#include "cairn/c.h"
#include "src/c_api/testing/c_check.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_c_test {
  const char* name;
  void (*run)(const char* endpoint); /* of a fresh node */
} cairn_c_test;

/* Each ends with a test without a name. */
extern const cairn_c_test cairn_c_client_tests[];
extern const cairn_c_test cairn_c_tx_tests[];

/* A client of the endpoint; ends the program if there is none. */
cairn_client* cairn_c_open(const char* endpoint);
/* 1 if a value is there and is this text, 0 if not; frees it. */
int cairn_c_is(cairn_value* value, const char* text);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_ */
