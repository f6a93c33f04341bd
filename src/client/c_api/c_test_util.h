// Between the tests in C (client_test.c, tx_test.c) and the program that serves each a node and
// reports (c_api_test.cc). For C and C++.
//
// Thread safety: cairn_c_failed from any thread; the tests one at a time.
#ifndef CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_
#define CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_

#include "cairn/c.h"

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

/* Something is not as expected. */
void cairn_c_failed(const char* file, int line, const char* what);
#define CHECK(condition) ((condition) ? (void)0 : cairn_c_failed(__FILE__, __LINE__, #condition))
/* What a call gave must be OK, or a status with this code; frees it. */
void cairn_c_check_code(const char* file, int line, const char* call, int code,
                        cairn_status* status);
#define CHECK_OK(call) cairn_c_check_code(__FILE__, __LINE__, #call, 0, (call))
#define CHECK_CODE(code, call) cairn_c_check_code(__FILE__, __LINE__, #call, (code), (call))
/* A client of the endpoint; ends the program if there is none. */
cairn_client* cairn_c_open(const char* endpoint);
/* 1 if a value is there and is this text, 0 if not; frees it. */
int cairn_c_is(cairn_value* value, const char* text);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_SRC_CLIENT_C_API_C_TEST_UTIL_H_ */
