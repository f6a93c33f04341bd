// Cairn for C: the memory plane (docs/remote-dram.md).
//
//   cairn_dram* store = NULL;
//   cairn_status* error = cairn_dram_open("{\"remote_addr\": \"node1:12345\"}", &store);
//   if (error == NULL) error = cairn_dram_write(store, "key", 3, "value", 5, NULL, NULL);
//   cairn_read_result read;
//   if (error == NULL) error = cairn_dram_read(store, "key", 3, NULL, &read);
//   if (error != NULL) { puts(cairn_status_message(error)); cairn_status_free(error); }
//
// This header compiles as C99 and as C++, and uses the C library alone.
//
// Errors. A function that can fail gives a cairn_status*: NULL if all went well, else a status that
// the caller frees. Out parameters are written on success only.
//
// Memory. Everything that is given has a _free function, which takes NULL too. Keys and values are
// any bytes. A value that is read is pinned: it stays readable until its buffer is freed, also
// after the store was closed.
//
// Thread safety: all functions on one store may be called from any threads at once; closing it ends
// those that are under way with CAIRN_UNAVAILABLE, and none may begin afterwards. Other objects
// belong to one thread at a time. Null pointers where an object is required are bugs in the caller,
// and abort.
#ifndef CAIRN_C_H_
#define CAIRN_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Statuses ---- */

/* Reasons, with the numbers of cairn/status.h. Later versions may have more. */
enum {
  CAIRN_OK = 0,
  CAIRN_TIMEOUT = 3,
  CAIRN_UNAVAILABLE = 7,
  CAIRN_RESOURCE_EXHAUSTED = 8,
  CAIRN_INVALID_ARGUMENT = 9,
  CAIRN_NOT_FOUND = 10,
  CAIRN_CORRUPTION = 13,
  CAIRN_CANCELLED = 14,
  CAIRN_IO_ERROR = 15,
  CAIRN_FAILED_PRECONDITION = 16,
  CAIRN_OUT_OF_RANGE = 22
};

typedef struct cairn_status cairn_status;

/* The reason; CAIRN_OK for NULL. */
int32_t cairn_status_code(const cairn_status* status);
/* What was wrong, with which value, and what to do. Valid until the status is freed. */
const char* cairn_status_message(const cairn_status* status);
/* 1 if a write that failed may have been done all the same. */
int cairn_status_maybe_applied(const cairn_status* status);
void cairn_status_free(cairn_status* status);

/* ---- Values ---- */

/* Bytes that were read, pinned. */
typedef struct cairn_buffer cairn_buffer;
const void* cairn_buffer_data(const cairn_buffer* buffer);
size_t cairn_buffer_size(const cairn_buffer* buffer);
void cairn_buffer_free(cairn_buffer* buffer);

/* Which write made a value; never the same twice for a key. */
typedef struct cairn_generation {
  uint64_t boot_id;
  uint64_t counter;
} cairn_generation;

/* {0, 0}: as a condition none, as a result: the condition did not hold. {0, 1}: no value. */
#define CAIRN_GENERATION_UNKNOWN \
  { 0, 0 }
#define CAIRN_GENERATION_NO_VALUE \
  { 0, 1 }

/* ---- The memory plane ---- */

typedef struct cairn_dram cairn_dram;

/* Opens the pool that `spec`, a JSON object, describes; does not wait for other nodes.
 * CAIRN_INVALID_ARGUMENT says what to change in the spec, CAIRN_IO_ERROR: it can't listen. */
cairn_status* cairn_dram_open(const char* spec, cairn_dram** store);
/* Ends all operations and waits for callbacks that run; not to be called from one. */
void cairn_dram_close(cairn_dram* store);
/* Where this process serves, "host:port"; empty if it does not. Valid until the close. */
const char* cairn_dram_listen_address(const cairn_dram* store);

typedef struct cairn_read_options {
  /* Bytes from `inclusive_min` (negative: from the end) up to `exclusive_max` (-1: the end). */
  int64_t inclusive_min;
  int64_t exclusive_max;
  cairn_generation if_equal;
  cairn_generation if_not_equal;
  /* 0: as the spec says. */
  uint64_t timeout_ms;
} cairn_read_options;
#define CAIRN_READ_OPTIONS_INIT \
  { 0, -1, CAIRN_GENERATION_UNKNOWN, CAIRN_GENERATION_UNKNOWN, 0 }

enum {
  CAIRN_READ_UNSPECIFIED = 0, /* a condition did not hold; only the generation is known */
  CAIRN_READ_MISSING = 1,     /* the key has no value */
  CAIRN_READ_VALUE = 2
};

typedef struct cairn_read_result {
  int32_t state;
  cairn_buffer* value; /* the caller's to free; NULL unless the state is CAIRN_READ_VALUE */
  cairn_generation generation;
  uint64_t value_bytes; /* of the whole value */
} cairn_read_result;

typedef struct cairn_write_options {
  /* Only if the key's generation is this one. */
  cairn_generation if_equal;
  /* 0: as the spec says. */
  uint64_t timeout_ms;
} cairn_write_options;
#define CAIRN_WRITE_OPTIONS_INIT \
  { CAIRN_GENERATION_UNKNOWN, 0 }

/* Options may be NULL: the defaults. `generation` may be NULL; it is {0, 0} if the condition did
 * not hold, and then nothing was changed. Values are not copied where the network can help it. */
cairn_status* cairn_dram_read(cairn_dram* store, const void* key, size_t key_size,
                              const cairn_read_options* options, cairn_read_result* result);
cairn_status* cairn_dram_write(cairn_dram* store, const void* key, size_t key_size,
                               const void* value, size_t value_size,
                               const cairn_write_options* options, cairn_generation* generation);
cairn_status* cairn_dram_delete(cairn_dram* store, const void* key, size_t key_size,
                                const cairn_write_options* options, cairn_generation* generation);

/* The same without waiting. The callback runs once, on a thread of the store or inside the call,
 * and must not block; `status` and `result->value` are the callback's to free. The value of a write
 * must stay as it is until then. The operation is given to cancel it; it is the caller's to free,
 * at any time, which does not end it. */
typedef struct cairn_operation cairn_operation;
typedef void (*cairn_read_callback)(void* argument, cairn_status* status,
                                    const cairn_read_result* result);
typedef void (*cairn_write_callback)(void* argument, cairn_status* status,
                                     cairn_generation generation);
cairn_operation* cairn_dram_read_async(cairn_dram* store, const void* key, size_t key_size,
                                       const cairn_read_options* options,
                                       cairn_read_callback callback, void* argument);
cairn_operation* cairn_dram_write_async(cairn_dram* store, const void* key, size_t key_size,
                                        const void* value, size_t value_size,
                                        const cairn_write_options* options,
                                        cairn_write_callback callback, void* argument);
cairn_operation* cairn_dram_delete_async(cairn_dram* store, const void* key, size_t key_size,
                                         const cairn_write_options* options,
                                         cairn_write_callback callback, void* argument);
/* The operation ends with CAIRN_CANCELLED, unless it has ended. */
void cairn_operation_cancel(cairn_operation* operation);
void cairn_operation_free(cairn_operation* operation);

/* Keys from `min` up to, but without, `max`; an empty `max` is no bound. Over all servers. */
cairn_status* cairn_dram_delete_range(cairn_dram* store, const void* min, size_t min_size,
                                      const void* max, size_t max_size, uint64_t* deleted);

typedef struct cairn_list cairn_list;
/* The keys in order, without their first `strip_prefix` bytes. */
cairn_status* cairn_dram_list(cairn_dram* store, const void* min, size_t min_size, const void* max,
                              size_t max_size, size_t strip_prefix, cairn_list** list);
size_t cairn_list_size(const cairn_list* list);
/* Of entry `i`, which must be below the size. Valid until the list is freed. */
const void* cairn_list_key(const cairn_list* list, size_t i, size_t* key_size);
uint64_t cairn_list_value_bytes(const cairn_list* list, size_t i);
void cairn_list_free(cairn_list* list);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_C_H_ */
