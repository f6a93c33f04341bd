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

/* Bounds that every server keeps. A request beyond one of them is CAIRN_INVALID_ARGUMENT. */
#define CAIRN_DRAM_MAX_KEY_BYTES 4096
#define CAIRN_DRAM_MAX_VALUE_BYTES UINT64_C(4294967296)

/* Which write made a value; never the same twice for a key. */
typedef struct cairn_generation {
  uint64_t boot_id; /* random, of the server's process */
  uint64_t counter; /* of its writes */
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
  int32_t state;                   /* CAIRN_READ_* */
  cairn_buffer* value;         /* the caller's to free; NULL unless the state is CAIRN_READ_VALUE */
  cairn_generation generation; /* of the value, the whole of it */
  uint64_t value_bytes;        /* of the whole value */
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

/* Writes to `end`, which has room for `prefix_size` bytes, the `max` behind all keys that start
 * with the prefix, which is their `min`; its size, 0 if there is no bound. */
size_t cairn_dram_prefix_end(const void* prefix, size_t prefix_size, void* end);

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

/* ---- The memory plane: ranges with deadlines, and without waiting ---- */

/* The same with a deadline of their own; `timeout_ms` 0: as the spec says. */
cairn_status* cairn_dram_delete_range_within(cairn_dram* store, const void* min, size_t min_size,
                                             const void* max, size_t max_size, uint64_t timeout_ms,
                                             uint64_t* deleted);
cairn_status* cairn_dram_list_within(cairn_dram* store, const void* min, size_t min_size,
                                     const void* max, size_t max_size, size_t strip_prefix,
                                     uint64_t timeout_ms, cairn_list** list);

/* The same without waiting. The callback runs once, on a thread of the store or inside the call,
 * and must not block; `status` and `list` (NULL if it failed) are the callback's to free. A range
 * that is deleted in part when this is cancelled stays so. */
typedef void (*cairn_dram_delete_range_callback)(void* argument, cairn_status* status,
                                                 uint64_t deleted);
typedef void (*cairn_dram_list_callback)(void* argument, cairn_status* status, cairn_list* list);
cairn_operation* cairn_dram_delete_range_async(cairn_dram* store, const void* min, size_t min_size,
                                               const void* max, size_t max_size,
                                               uint64_t timeout_ms,
                                               cairn_dram_delete_range_callback callback,
                                               void* argument);
cairn_operation* cairn_dram_list_async(cairn_dram* store, const void* min, size_t min_size,
                                       const void* max, size_t max_size, size_t strip_prefix,
                                       uint64_t timeout_ms, cairn_dram_list_callback callback,
                                       void* argument);

/* ---- The memory plane: batches ---- */

/* One read or write of a batch: what is asked, and below it what came of it. */
typedef struct cairn_dram_read_item {
  const void* key;                   /* which value */
  size_t key_size;                   /* in bytes */
  const cairn_read_options* options; /* NULL: the defaults */
  /* NULL if it went well; the caller's to free. */
  cairn_status* status;
  cairn_read_result result; /* its value is the caller's to free; all zero if it failed */
  /* When it began, in nanoseconds since 1970 (UTC): the key was as told here at some time that was
   * not before. */
  int64_t time_ns;
} cairn_dram_read_item;
typedef struct cairn_dram_write_item {
  const void* key;                    /* which value */
  size_t key_size;                    /* in bytes */
  const void* value;                  /* what it is to be */
  size_t value_size;                  /* in bytes */
  const cairn_write_options* options; /* NULL: the defaults */
  /* NULL if it went well; the caller's to free. */
  cairn_status* status;
  cairn_generation generation; /* as of cairn_dram_write; {0, 0} if it failed */
  int64_t time_ns;             /* when it began */
} cairn_dram_write_item;

/* Several operations at once, on their way together; each has a result of its own, and together
 * they are not atomic. A batch of one is also how to learn when an operation began. What the items
 * held as results before is overwritten, not freed. */
void cairn_dram_read_batch(cairn_dram* store, cairn_dram_read_item* items, size_t count);
void cairn_dram_write_batch(cairn_dram* store, cairn_dram_write_item* items, size_t count);

/* The same without waiting. The callback runs once, when all have ended, on a thread of the store
 * or inside the call, and must not block. The items and the values of writes must stay until then;
 * keys and options are done with when this returns. Cancelling ends all that have not ended. */
typedef void (*cairn_dram_read_batch_callback)(void* argument, cairn_dram_read_item* items,
                                               size_t count);
typedef void (*cairn_dram_write_batch_callback)(void* argument, cairn_dram_write_item* items,
                                                size_t count);
cairn_operation* cairn_dram_read_batch_async(cairn_dram* store, cairn_dram_read_item* items,
                                             size_t count, cairn_dram_read_batch_callback callback,
                                             void* argument);
cairn_operation* cairn_dram_write_batch_async(cairn_dram* store, cairn_dram_write_item* items,
                                              size_t count,
                                              cairn_dram_write_batch_callback callback,
                                              void* argument);

/* ---- The memory plane: about the pool ---- */

/* NULL if `spec` describes a pool; else what cairn_dram_open would say of it, as far as that can be
 * told without opening it. */
cairn_status* cairn_dram_check_spec(const char* spec);
/* With the spec's `busy_poll`: makes progress on the calling thread, which is the fastest way to
 * wait. 1 if anything happened. */
int cairn_dram_poll(cairn_dram* store);
/* The routing table in words, as servers compare it; empty if there is none. Valid until the
 * close. */
const char* cairn_dram_routing_table(const cairn_dram* store);

/* Figures of servers, each a name and a number (cairn/remote_dram.h names them). Strings and
 * statuses that it gives belong to it: they are valid until it is freed. `i` must be below the
 * size. */
typedef struct cairn_dram_stat_list cairn_dram_stat_list;
size_t cairn_dram_stat_list_size(const cairn_dram_stat_list* list);
const char* cairn_dram_stat_list_address(const cairn_dram_stat_list* list, size_t i);
/* Why there are no figures of a server; NULL if there are. */
const cairn_status* cairn_dram_stat_list_status(const cairn_dram_stat_list* list, size_t i);
/* The random number that a server drew when it started; 0 without figures. */
uint64_t cairn_dram_stat_list_boot_id(const cairn_dram_stat_list* list, size_t i);
/* How many figures there are of server `i`; the name of figure `j`, which must be below that, and
 * its number. `value` may be NULL. */
size_t cairn_dram_stat_list_figures(const cairn_dram_stat_list* list, size_t i);
const char* cairn_dram_stat_list_figure(const cairn_dram_stat_list* list, size_t i, size_t j,
                                        uint64_t* value);
/* 1 if there is a figure of that name, and its number in `value`. */
int cairn_dram_stat_list_find(const cairn_dram_stat_list* list, size_t i, const char* name,
                              uint64_t* value);
void cairn_dram_stat_list_free(cairn_dram_stat_list* list);

/* Of every server of the pool; one that does not answer has a status that says why. `timeout_ms` 0:
 * as the spec says. */
cairn_status* cairn_dram_stat(cairn_dram* store, uint64_t timeout_ms, cairn_dram_stat_list** list);
/* The same without waiting; as cairn_dram_list_async. */
typedef void (*cairn_dram_stat_callback)(void* argument, cairn_status* status,
                                         cairn_dram_stat_list* list);
cairn_operation* cairn_dram_stat_async(cairn_dram* store, uint64_t timeout_ms,
                                       cairn_dram_stat_callback callback, void* argument);
/* Of this process's own server, without waiting for anything; an empty list if it does not
 * serve. */
cairn_dram_stat_list* cairn_dram_local_stat(const cairn_dram* store);

/* Where a key lives, and why. Its strings are valid until it is freed. */
typedef struct cairn_dram_way cairn_dram_way;
const char* cairn_dram_way_server(const cairn_dram_way* way);
/* 1 if the server is this process. */
int cairn_dram_way_local(const cairn_dram_way* way);
const char* cairn_dram_way_reason(const cairn_dram_way* way);
void cairn_dram_way_free(cairn_dram_way* way);
/* Asks nobody. CAIRN_NOT_FOUND if the routing names no server for the key. */
cairn_status* cairn_dram_route(const cairn_dram* store, const void* key, size_t key_size,
                               cairn_dram_way** way);

/* The servers of the pool as this process sees them now, sorted by address. Strings and statuses
 * that it gives belong to it. `i` must be below the size. */
typedef struct cairn_dram_peer_list cairn_dram_peer_list;
cairn_dram_peer_list* cairn_dram_peers(const cairn_dram* store);
size_t cairn_dram_peer_list_size(const cairn_dram_peer_list* list);
const char* cairn_dram_peer_list_address(const cairn_dram_peer_list* list, size_t i);
/* 1 if it is this process. */
int cairn_dram_peer_list_local(const cairn_dram_peer_list* list, size_t i);
/* 1 if it is connected; always so of this process. */
int cairn_dram_peer_list_connected(const cairn_dram_peer_list* list, size_t i);
/* Why it is not connected; NULL if it never failed. */
const cairn_status* cairn_dram_peer_list_last_error(const cairn_dram_peer_list* list, size_t i);
void cairn_dram_peer_list_free(cairn_dram_peer_list* list);

/* ---- The memory plane: a server and a client of each of its peers ---- */

/* For programs that say themselves on which node a value lives; a store with `key_routing` decides
 * that by itself. */
typedef struct cairn_dram_node cairn_dram_node;
/* Serves `capacity_bytes` (0: 1 GiB) at `listen_addr`, and begins to connect to the peers; they
 * need not run yet. CAIRN_INVALID_ARGUMENT for an address that is none, CAIRN_IO_ERROR: it can't
 * listen. */
cairn_status* cairn_dram_node_open(const char* listen_addr, const char* const* peer_addrs,
                                   size_t peer_count, uint64_t capacity_bytes,
                                   cairn_dram_node** node);
/* As cairn_dram_close, for all of its stores. */
void cairn_dram_node_close(cairn_dram_node* node);
/* Where it serves, "host:port". Valid until the close. */
const char* cairn_dram_node_listen_address(const cairn_dram_node* node);
/* The values of one of the peers, named as in the open, or of this node, by NULL or its listen
 * address; NULL for any other. The store is the node's: it is valid until the node's close, and not
 * to be closed by itself. */
cairn_dram* cairn_dram_node_store(cairn_dram_node* node, const char* server_addr);
/* The peers, in the order of the open. */
cairn_dram_peer_list* cairn_dram_node_peers(const cairn_dram_node* node);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_C_DRAM_H_ */
