#include "src/c_api/testing/c_check.h"

#include <gtest/gtest.h>

extern "C" {

void cairn_c_failed(const char* file, int line, const char* what) {
  ADD_FAILURE_AT(file, line) << what;
}

void cairn_c_check_code(const char* file, int line, const char* call, int code,
                        cairn_status* status) {
  if (cairn_status_code(status) != code) {
    ADD_FAILURE_AT(file, line) << call << "\n  gave " << cairn_status_code(status) << ": "
                               << cairn_status_message(status) << "\n  not " << code;
  }
  cairn_status_free(status);
}

}  // extern "C"
