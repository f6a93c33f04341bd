// Cairn for C: the client (docs/client.md) and the memory plane (docs/remote-dram.md).
//
//   cairn_client* client = NULL;
//   cairn_status* error = cairn_client_open("localhost:9090", NULL, &client);
//   if (error == NULL) error = cairn_client_set(client, "key", 3, "value", 5, NULL, NULL);
//   cairn_value* value = NULL;
//   if (error == NULL) error = cairn_client_get(client, "key", 3, NULL, &value);
//   if (error != NULL) { puts(cairn_status_message(error)); cairn_status_free(error); }
//
// This header compiles as C99 and as C++, and uses the C library alone. Functions cairn_dram_*,
// cairn_buffer_* and cairn_list_* are in libcairn-dram, the others in libcairn; cairn_status_* and
// cairn_operation_* in both.
//
// Errors. A function that can fail gives a cairn_status*: NULL if all went well, else a status that
// the caller frees. Out parameters are written on success only, and may be NULL where that is said.
//
// Memory. Everything that is given has a _free function (a store or client: _close), which takes
// NULL too. What a function takes (keys, values, options, names) it copies or is done with when it
// returns, but for the values of cairn_dram_write_async and the items of batches. Keys and values
// are any bytes.
//
// Options. A pointer to options may be NULL: the defaults. Of the client's options zero in any
// field is the default, so that memset(&options, 0, sizeof options) is a start.
//
// Thread safety: all functions on one store, client, transaction or canceller may be called from
// any threads at once; closing a store or client ends what is under way there (CAIRN_UNAVAILABLE of
// a store, CAIRN_CANCELLED of a client), and nothing may begin afterwards. Other objects belong to
// one thread at a time. Null pointers where an object is required are bugs in the caller, and
// abort.
#ifndef CAIRN_C_H_
#define CAIRN_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Statuses ---- */

/* Reasons, with the numbers and meanings of cairn/status.h. Later versions may have more. */
enum {
  CAIRN_OK = 0,
  CAIRN_NOT_LEADER = 1,
  CAIRN_CONFLICT = 2,
  CAIRN_TIMEOUT = 3,
  CAIRN_TRANSACTION_TOO_OLD = 4,
  CAIRN_STALE = 5,
  CAIRN_SESSION_EXPIRED = 6,
  CAIRN_UNAVAILABLE = 7,
  CAIRN_RESOURCE_EXHAUSTED = 8,
  CAIRN_INVALID_ARGUMENT = 9,
  CAIRN_NOT_FOUND = 10,
  CAIRN_ALREADY_EXISTS = 11,
  CAIRN_INVALID_OPERATION = 12,
  CAIRN_CORRUPTION = 13,
  CAIRN_CANCELLED = 14,
  CAIRN_IO_ERROR = 15,
  CAIRN_FAILED_PRECONDITION = 16,
  CAIRN_PERMISSION_DENIED = 17,
  CAIRN_UNIMPLEMENTED = 18,
  CAIRN_CONDITION_FAILED = 19,
  CAIRN_INJECTED_FAULT = 20,
  CAIRN_ALREADY_ANSWERED = 21,
  CAIRN_OUT_OF_RANGE = 22
};

/* Why something failed. */
typedef struct cairn_status cairn_status;

/* A status of one's own, for what a callback gives: `code` must be one of the reasons but CAIRN_OK.
 * The message is copied. */
cairn_status* cairn_status_new(int32_t code, const char* message);
/* The reason; CAIRN_OK for NULL. */
int32_t cairn_status_code(const cairn_status* status);
/* Its name, "CONFLICT"; "UNKNOWN" for a number without one. Valid for ever. */
const char* cairn_status_code_name(int32_t code);
/* What was wrong, with which value, and what to do. Valid until the status is freed. */
const char* cairn_status_message(const cairn_status* status);
/* 1 if a write that failed may have been done all the same. */
int cairn_status_maybe_applied(const cairn_status* status);
/* With CAIRN_NOT_LEADER: "host:port" of the leader; empty if unknown. Valid as the message is. */
const char* cairn_status_leader_hint(const cairn_status* status);
void cairn_status_free(cairn_status* status);

/* Something that was begun, to cancel it. It is the caller's to free, at any time, which does not
 * end it. */
typedef struct cairn_operation cairn_operation;
/* It ends with CAIRN_CANCELLED, unless it has ended. A write may have been done all the same. */
void cairn_operation_cancel(cairn_operation* operation);
void cairn_operation_free(cairn_operation* operation);

#ifdef __cplusplus
} /* extern "C" */
#endif

#include "cairn/c_client.h"
#include "cairn/c_dram.h"

#endif /* CAIRN_C_H_ */
