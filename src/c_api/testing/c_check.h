// How tests that are written in C tell gtest that something is not as expected. For C and C++.
//
// Thread safety: all, from any thread.
#ifndef CAIRN_SRC_C_API_TESTING_C_CHECK_H_
#define CAIRN_SRC_C_API_TESTING_C_CHECK_H_

#include "cairn/c.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#endif /* CAIRN_SRC_C_API_TESTING_C_CHECK_H_ */
