// The memory plane for C: cairn/remote_dram.h without C++. Rules about errors, memory, options and
// thread safety: cairn/c.h, which includes this header.
#ifndef CAIRN_C_DRAM_H_
#define CAIRN_C_DRAM_H_

#include "cairn/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The memory plane: values ---- */

/* Bytes that were read, pinned: they stay readable until the buffer is freed, also after the store
 * was closed. */
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

/* ---- The memory plane: stores ---- */

/* A pool of memory (docs/remote-dram.md). */
typedef struct cairn_dram cairn_dram;

/* Opens the pool that `spec`, a JSON object, describes; does not wait for other nodes.
 * CAIRN_INVALID_ARGUMENT says what to change in the spec, CAIRN_IO_ERROR: it can't listen. */
cairn_status* cairn_dram_open(const char* spec, cairn_dram** store);
/* Ends all operations and waits for callbacks that run; not to be called from one. */
void cairn_dram_close(cairn_dram* store);
/* Where this process serves, "host:port"; empty if it does not. Valid until the close. */
const char* cairn_dram_listen_address(const cairn_dram* store);

typedef struct cairn_read_options { /* of one read */
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

typedef struct cairn_read_result { /* what a read found */
  int32_t state;
  cairn_buffer* value; /* the caller's to free; NULL unless the state is CAIRN_READ_VALUE */
  cairn_generation generation;
  uint64_t value_bytes; /* of the whole value */
} cairn_read_result;

typedef struct cairn_write_options { /* of one write */
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
 * must stay as it is until then. */
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

/* Keys from `min` up to, but without, `max`; an empty `max` is no bound. Over all servers. */
cairn_status* cairn_dram_delete_range(cairn_dram* store, const void* min, size_t min_size,
                                      const void* max, size_t max_size, uint64_t* deleted);

/* Keys that were listed. */
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

#endif /* CAIRN_C_DRAM_H_ */
