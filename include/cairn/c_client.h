// The client and transactions for C: cairn/client.h and cairn/transaction.h without C++. Rules
// about errors, memory, options and thread safety: cairn/c.h, which includes this header.
#ifndef CAIRN_C_CLIENT_H_
#define CAIRN_C_CLIENT_H_

#include "cairn/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The client: results ---- */

/* The value of a key, or a key that was looked for. */
typedef struct cairn_value cairn_value;
/* 1 if there is one. */
int cairn_value_found(const cairn_value* value);
/* Its bytes, with a zero byte behind them that does not count; none if there is no value. `size`
 * may be NULL. Valid until the value is freed. */
const void* cairn_value_data(const cairn_value* value, size_t* size);
/* When it was written; 0 if it was not found, of a transaction's own write, and of a key. */
uint64_t cairn_value_version(const cairn_value* value);
void cairn_value_free(cairn_value* value);

/* Keys and values of a range, in the order they were asked for. */
typedef struct cairn_pairs cairn_pairs;
size_t cairn_pairs_size(const cairn_pairs* pairs);
/* Of pair `i`, which must be below the size; as cairn_value_data. */
const void* cairn_pairs_key(const cairn_pairs* pairs, size_t i, size_t* size);
const void* cairn_pairs_value(const cairn_pairs* pairs, size_t i, size_t* size);
/* 1 if a bound ended the answer and the range has a further key. */
int cairn_pairs_has_more(const cairn_pairs* pairs);
/* The version that all of it was read at. */
uint64_t cairn_pairs_read_version(const cairn_pairs* pairs);
void cairn_pairs_free(cairn_pairs* pairs);

/* ---- The client: requests ---- */

/* What a read promises (docs/client.md). */
enum {
  CAIRN_LEVEL_DEFAULT = 0,    /* as the node is configured; of a transaction: CAIRN_LEVEL_LEADER */
  CAIRN_LEVEL_LOCAL = 1,      /* what the node that answers has applied */
  CAIRN_LEVEL_LEADER = 2,     /* linearizable, served by the leader */
  CAIRN_LEVEL_READ_INDEX = 3, /* linearizable, served by any node */
  CAIRN_LEVEL_NODE = 4        /* as the node is configured, also of a transaction */
};

/* A position among the keys: find the last key < `key` (<= with or_equal), then move `offset` keys
 * onwards; running off either end stays there. The functions make the usual ones, and refer to
 * `key`, which must live as long as they do. */
typedef struct cairn_selector {
  const void* key; /* need not exist */
  size_t key_size; /* in bytes */
  int or_equal;    /* 1: `key` itself may be the one that is found */
  int32_t offset;  /* keys onwards from there; negative: backwards */
} cairn_selector;
/* The first key >= key, the first > key, the last <= key, the last < key. */
cairn_selector cairn_selector_first_greater_or_equal(const void* key, size_t key_size);
cairn_selector cairn_selector_first_greater_than(const void* key, size_t key_size);
cairn_selector cairn_selector_last_less_or_equal(const void* key, size_t key_size);
cairn_selector cairn_selector_last_less_than(const void* key, size_t key_size);

/* The keys from `begin` up to, but without, `end`. */
typedef struct cairn_range {
  cairn_selector begin; /* the first */
  cairn_selector end;   /* the one behind the last */
  int to_end;           /* 1: up to the end of the column family; `end` does not count */
  int reverse;          /* 1: from the end backwards */
  uint64_t limit;       /* pairs; 0: no bound but the bytes */
  uint64_t max_bytes;   /* keys and values of an answer; 0: the node's limit */
  int keys_only;        /* 1: without values; over gRPC they are not sent */
} cairn_range;
/* Every key. */
cairn_range cairn_range_all(void);
/* The keys k with begin <= k < end; an empty end is the end of the column family. */
cairn_range cairn_range_between(const void* begin, size_t begin_size, const void* end,
                                size_t end_size);
/* Writes to `end`, which has room for `prefix_size` bytes, the first key behind all that start with
 * the prefix; its size, 0 if there is none. For cairn_range_between(prefix, end). */
size_t cairn_range_prefix_end(const void* prefix, size_t prefix_size, void* end);

/* Writes the 10 bytes of a versionstamp: of a commit's version, and the index of the write in its
 * transaction. */
void cairn_versionstamp_make(uint64_t version, uint16_t order, void* stamp);

/* ---- The client ---- */

/* A client of a node or a cluster. */
typedef struct cairn_client cairn_client;

/* Which node of a cluster a read goes to. */
enum {
  CAIRN_STRATEGY_ROUND_ROBIN = 0, /* one after the other */
  CAIRN_STRATEGY_LEADER_ONLY = 1, /* the leader, linearizable */
  CAIRN_STRATEGY_NEAREST = 2,     /* the one that has answered fastest of late */
  CAIRN_STRATEGY_STICKY = 3       /* always the same, while it answers */
};

/* Zero in any field is the default, which is given here. */
typedef struct cairn_client_options {
  uint64_t timeout_ms;          /* of a call, retries included: 10,000 */
  uint64_t attempt_timeout_ms;  /* of one try: all that is left; of a cluster 2,000 */
  uint64_t connect_timeout_ms;  /* 2,000 */
  uint64_t initial_backoff_ms;  /* before the second try: 5; doubled for each further one */
  uint64_t max_backoff_ms;      /* 500 */
  uint32_t max_attempts;        /* of one call: as many as the deadline allows; 1: no retries */
  uint32_t max_connections;     /* Thrift, to one node: 16 */
  uint64_t max_message_bytes;   /* the longest answer that is taken: 64 MiB */
  int without_sessions;         /* 1: a write whose answer was lost is not sent again */
  int without_read_your_writes; /* 1: a read may miss this client's own earlier writes */
  int cluster;                  /* 1: a cluster also if there is one endpoint */
  int32_t read_strategy;        /* of a cluster */
  uint32_t sticky_node;         /* with CAIRN_STRATEGY_STICKY: its index among the endpoints */
  uint32_t breaker_failures;    /* in a row, after which a node is left alone: 3 */
  uint64_t breaker_open_ms;     /* for so long at first: 500 */
  uint64_t breaker_max_open_ms; /* and at most: 10,000 */
} cairn_client_options;

/* Of reads. */
typedef struct cairn_kv_read_options {
  int32_t read_level;        /* CAIRN_LEVEL_* */
  uint64_t min_version;      /* wait until the node has applied this version */
  uint64_t at_version;       /* read as of this version; 0: the newest */
  const char* column_family; /* NULL: the default one, here and below */
  uint64_t timeout_ms;       /* 0: the client's, here and below */
} cairn_kv_read_options;

/* Of writes. */
typedef struct cairn_kv_write_options {
  const char* column_family; /* NULL: the default one */
  uint64_t timeout_ms;       /* of the write, retries included; 0: the client's */
} cairn_kv_write_options;

/* Connects to "host:port" (Thrift) or "grpc://host:port", or to a cluster: several, separated by
 * commas, all of one wire. CAIRN_INVALID_ARGUMENT: `endpoints` or an option can't be right;
 * CAIRN_UNAVAILABLE: no node answers within the connect timeout. */
cairn_status* cairn_client_open(const char* endpoints, const cairn_client_options* options,
                                cairn_client** client);
/* Ends its sessions and whatever is under way, with CAIRN_CANCELLED, and frees it. Not to be called
 * from a callback. Transactions may be freed later. */
void cairn_client_close(cairn_client* client);
/* The newest commit that this client knows of: the min_version for another client that is to see
 * all that this one has written. */
uint64_t cairn_client_last_version(const cairn_client* client);

/* Reads, at CAIRN_LEVEL_*. A key without a value is no error: cairn_value_found tells. */
cairn_status* cairn_client_get(cairn_client* client, const void* key, size_t key_size,
                               const cairn_kv_read_options* options, cairn_value** value);
/* One answer's worth of a range. */
cairn_status* cairn_client_range(cairn_client* client, const cairn_range* range,
                                 const cairn_kv_read_options* options, cairn_pairs** pairs);
/* Every pair of a range of any size, at one version: calls `each` on this thread until it gives 0,
 * which is no error. Key and value are valid during the call. */
typedef int (*cairn_pair_callback)(void* argument, const void* key, size_t key_size,
                                   const void* value, size_t value_size);
cairn_status* cairn_client_scan(cairn_client* client, const cairn_range* range,
                                const cairn_kv_read_options* options, cairn_pair_callback each,
                                void* argument);
/* The same with what ends it from another thread. */
typedef struct cairn_scan_canceller cairn_scan_canceller;
cairn_status* cairn_client_scan_cancellable(cairn_client* client, const cairn_range* range,
                                            const cairn_kv_read_options* options,
                                            cairn_pair_callback each, void* argument,
                                            const cairn_scan_canceller* canceller);
cairn_scan_canceller* cairn_scan_canceller_new(void);
/* Ends the scans that were given this one, on whatever threads, with CAIRN_CANCELLED; it goes on so
 * with all that are begun with it. The pair that a callback is at is its last one. */
void cairn_scan_canceller_cancel(cairn_scan_canceller* canceller);
/* After the scans that were given it have returned. */
void cairn_scan_canceller_free(cairn_scan_canceller* canceller);
/* The newest commit that the read level allows to see; the newest that the node has applied. */
cairn_status* cairn_client_read_version(cairn_client* client, const cairn_kv_read_options* options,
                                        uint64_t* version);
cairn_status* cairn_client_committed_version(cairn_client* client,
                                             const cairn_kv_read_options* options,
                                             uint64_t* version);

/* Writes, each a commit of its own and applied once, however often it had to be sent. `version`,
 * that of the commit, may be NULL. */
cairn_status* cairn_client_set(cairn_client* client, const void* key, size_t key_size,
                               const void* value, size_t value_size,
                               const cairn_kv_write_options* options, uint64_t* version);
/* Whether or not the key exists. */
cairn_status* cairn_client_delete(cairn_client* client, const void* key, size_t key_size,
                                  const cairn_kv_write_options* options, uint64_t* version);
/* The last 10 bytes of the key (of the value) must be zero and become the commit's versionstamp;
 * any other ending is CAIRN_INVALID_ARGUMENT. `made` may be NULL, or has room for as many bytes as
 * the template, and gets what became of it. */
cairn_status* cairn_client_set_versionstamped_key(cairn_client* client, const void* key_template,
                                                  size_t key_size, const void* value,
                                                  size_t value_size,
                                                  const cairn_kv_write_options* options,
                                                  uint64_t* version, void* made);
cairn_status* cairn_client_set_versionstamped_value(cairn_client* client, const void* key,
                                                    size_t key_size, const void* value_template,
                                                    size_t value_size,
                                                    const cairn_kv_write_options* options,
                                                    uint64_t* version, void* made);

/* The same without waiting. The callback runs once, on a thread of the client or inside the call,
 * and must not block nor close the client; what it is given is the callback's to free. */
typedef void (*cairn_value_callback)(void* argument, cairn_status* status, cairn_value* value);
typedef void (*cairn_pairs_callback)(void* argument, cairn_status* status, cairn_pairs* pairs);
typedef void (*cairn_version_callback)(void* argument, cairn_status* status, uint64_t version);
cairn_operation* cairn_client_get_async(cairn_client* client, const void* key, size_t key_size,
                                        const cairn_kv_read_options* options,
                                        cairn_value_callback callback, void* argument);
cairn_operation* cairn_client_range_async(cairn_client* client, const cairn_range* range,
                                          const cairn_kv_read_options* options,
                                          cairn_pairs_callback callback, void* argument);
cairn_operation* cairn_client_read_version_async(cairn_client* client,
                                                 const cairn_kv_read_options* options,
                                                 cairn_version_callback callback, void* argument);
cairn_operation* cairn_client_committed_version_async(cairn_client* client,
                                                      const cairn_kv_read_options* options,
                                                      cairn_version_callback callback,
                                                      void* argument);
cairn_operation* cairn_client_set_async(cairn_client* client, const void* key, size_t key_size,
                                        const void* value, size_t value_size,
                                        const cairn_kv_write_options* options,
                                        cairn_version_callback callback, void* argument);
cairn_operation* cairn_client_delete_async(cairn_client* client, const void* key, size_t key_size,
                                           const cairn_kv_write_options* options,
                                           cairn_version_callback callback, void* argument);

/* `made`, as much as the template, is filled in before the callback runs; it may be NULL. */
cairn_operation* cairn_client_set_versionstamped_key_async(
    cairn_client* client, const void* key_template, size_t key_size, const void* value,
    size_t value_size, const cairn_kv_write_options* options, void* made,
    cairn_version_callback callback, void* argument);
cairn_operation* cairn_client_set_versionstamped_value_async(
    cairn_client* client, const void* key, size_t key_size, const void* value_template,
    size_t value_size, const cairn_kv_write_options* options, void* made,
    cairn_version_callback callback, void* argument);

/* ---- Transactions (cairn/transaction.h) ---- */

/* Reads see the transaction's own writes and what was committed at its read version. What is read
 * joins its conflict set: if another commit changes any of it, the commit fails with
 * CAIRN_CONFLICT. */
typedef struct cairn_tx cairn_tx;

typedef struct cairn_tx_options { /* of a transaction */
  uint64_t timeout_ms;            /* of the whole transaction; 0: the client's timeout */
  int32_t read_level;             /* how the read version is found */
  uint64_t read_version;          /* read at this version; 0: the newest */
} cairn_tx_options;

typedef struct cairn_tx_read_options { /* of one of its reads */
  const char* column_family;           /* NULL: the default one */
  int snapshot;                        /* 1: what is read does not join the conflict set */
} cairn_tx_read_options;

/* A transaction to commit by hand; freeing it without a commit abandons it. */
cairn_tx* cairn_client_begin(cairn_client* client, const cairn_tx_options* options);
void cairn_tx_free(cairn_tx* tx);

/* Runs `body` in a transaction and commits it; again from the start, after a wait, while that fails
 * with what another try may heal, until the deadline. The version of the commit, which may be NULL,
 * or the first other error. `body` gives NULL, or a status, which is then Run's to free: errors of
 * the transaction as they are, or one of its own, which ends it. It may run any number of times; it
 * must not free `tx`. */
typedef cairn_status* (*cairn_tx_body)(void* argument, cairn_tx* tx);
cairn_status* cairn_client_run(cairn_client* client, cairn_tx_body body, void* argument,
                               const cairn_tx_options* options, uint64_t* version);

/* As cairn_client_get and cairn_client_range, at the version of the transaction. */
cairn_status* cairn_tx_get(cairn_tx* tx, const void* key, size_t key_size,
                           const cairn_tx_read_options* options, cairn_value** value);
cairn_status* cairn_tx_range(cairn_tx* tx, const cairn_range* range,
                             const cairn_tx_read_options* options, cairn_pairs** pairs);
/* The key that a selector stands for; not found: it ran off either end. It joins the conflict
 * set. */
cairn_status* cairn_tx_get_key(cairn_tx* tx, const cairn_selector* selector,
                               const char* column_family, cairn_value** key);
/* The same, and it does not. */
cairn_status* cairn_tx_snapshot_get_key(cairn_tx* tx, const cairn_selector* selector,
                                        const char* column_family, cairn_value** key);
cairn_status* cairn_tx_read_version(cairn_tx* tx, uint64_t* version);

/* Writes, which are kept until the commit. */
void cairn_tx_set(cairn_tx* tx, const void* key, size_t key_size, const void* value,
                  size_t value_size, const char* column_family);
void cairn_tx_delete(cairn_tx* tx, const void* key, size_t key_size, const char* column_family);
/* Reads the keys k with begin <= k < end (an empty end: all from begin on) and deletes each. */
cairn_status* cairn_tx_delete_range(cairn_tx* tx, const void* begin, size_t begin_size,
                                    const void* end, size_t end_size, const char* column_family);
/* The last 10 bytes of the template become the commit's versionstamp. */
void cairn_tx_set_versionstamped_key(cairn_tx* tx, const void* key_template, size_t key_size,
                                     const void* value, size_t value_size,
                                     const char* column_family);
void cairn_tx_set_versionstamped_value(cairn_tx* tx, const void* key, size_t key_size,
                                       const void* value_template, size_t value_size,
                                       const char* column_family);
/* How many writes wait for the commit. */
size_t cairn_tx_pending_writes(const cairn_tx* tx);

/* Adds to the conflict set by hand, as a read would. With begin > end, the commit fails with
 * CAIRN_INVALID_ARGUMENT; an empty end is the end of the family. */
void cairn_tx_add_conflict_key(cairn_tx* tx, const void* key, size_t key_size,
                               const char* column_family);
void cairn_tx_add_conflict_range(cairn_tx* tx, const void* begin, size_t begin_size,
                                 const void* end, size_t end_size, const char* column_family);

/* Commits. `version` may be NULL: that of the commit, or the read version if nothing was written.
 * Not for the transaction of cairn_client_run. */
cairn_status* cairn_tx_commit(cairn_tx* tx, uint64_t* version);
/* The version of the commit; 0 before it and of one that wrote nothing. */
uint64_t cairn_tx_committed_version(const cairn_tx* tx);
/* For loops of one's own: NULL if `status`, which stays the caller's, is worth another try; then
 * the transaction is empty again, after a wait. Else a status of the same content. */
cairn_status* cairn_tx_on_error(cairn_tx* tx, const cairn_status* status);
/* Forgets all reads and writes. The deadline stays. */
void cairn_tx_reset(cairn_tx* tx);

/* Ends what waits in the transaction, on whatever threads, with CAIRN_CANCELLED; so does all that
 * is begun, until cairn_tx_reset. A commit that was on its way may have been applied: its status
 * says so. Not after the transaction was freed, or its cairn_client_run has returned. */
void cairn_tx_cancel(cairn_tx* tx);
/* The same as something to keep: it may be used at any time, also when the transaction is gone,
 * which is then no error, and is the caller's to free. */
typedef struct cairn_tx_canceller cairn_tx_canceller;
cairn_tx_canceller* cairn_tx_canceller_new(const cairn_tx* tx);
/* As cairn_tx_cancel, of the transaction that it was made of. */
void cairn_tx_canceller_cancel(cairn_tx_canceller* canceller);
void cairn_tx_canceller_free(cairn_tx_canceller* canceller);

/* Without waiting, as of the client. The transaction may be freed before they end. */
cairn_operation* cairn_tx_get_async(cairn_tx* tx, const void* key, size_t key_size,
                                    const cairn_tx_read_options* options,
                                    cairn_value_callback callback, void* argument);
cairn_operation* cairn_tx_range_async(cairn_tx* tx, const cairn_range* range,
                                      const cairn_tx_read_options* options,
                                      cairn_pairs_callback callback, void* argument);
cairn_operation* cairn_tx_get_key_async(cairn_tx* tx, const cairn_selector* selector,
                                        const cairn_tx_read_options* options,
                                        cairn_value_callback callback, void* argument);
cairn_operation* cairn_tx_read_version_async(cairn_tx* tx, cairn_version_callback callback,
                                             void* argument);
cairn_operation* cairn_tx_commit_async(cairn_tx* tx, cairn_version_callback callback,
                                       void* argument);
/* As cairn_tx_on_error; in the place of the version, how many tries have failed. */
cairn_operation* cairn_tx_on_error_async(cairn_tx* tx, const cairn_status* status,
                                         cairn_version_callback callback, void* argument);

/* ---- Administration ---- */

/* Creating a column family that exists and dropping one that does not are fine. `version`, that of
 * the commit, may be NULL. The column family of the options does not count. */
cairn_status* cairn_client_create_column_family(cairn_client* client, const char* name,
                                                const cairn_kv_write_options* options,
                                                uint64_t* version);
cairn_status* cairn_client_drop_column_family(cairn_client* client, const char* name,
                                              const cairn_kv_write_options* options,
                                              uint64_t* version);
typedef struct cairn_names cairn_names;
/* "default" first, then in byte order. */
cairn_status* cairn_client_list_column_families(cairn_client* client,
                                                const cairn_kv_read_options* options,
                                                cairn_names** names);
size_t cairn_names_size(const cairn_names* names);
/* Name `i`, which must be below the size. Valid until the names are freed. */
const char* cairn_names_get(const cairn_names* names, size_t i);
void cairn_names_free(cairn_names* names);

/* Reaches a node and comes back; how long that took. */
cairn_status* cairn_client_ping(cairn_client* client, const cairn_kv_read_options* options,
                                uint64_t* nanoseconds);
/* Of a client of one node: whether the node leads, by its own account. CAIRN_FAILED_PRECONDITION
 * of a cluster's. */
cairn_status* cairn_client_is_leader(cairn_client* client, const cairn_kv_read_options* options,
                                     int* is_leader);
/* Of a cluster's client: asks one node after the other whether it leads; the endpoint of the first
 * that says so, by its own account. CAIRN_UNAVAILABLE: none does; CAIRN_FAILED_PRECONDITION of one
 * node's client. */
cairn_status* cairn_client_discover_leader(cairn_client* client, cairn_value** endpoint);

/* The cluster as the node that answers sees it. */
typedef struct cairn_cluster cairn_cluster;
typedef struct cairn_cluster_node {
  int32_t node_id;      /* its [deployment] instance_id */
  int is_leader;        /* 1: it leads, as far as the node that answered knows */
  int64_t term;         /* the newest epoch that it was in */
  const char* endpoint; /* as cairn_client_open takes it */
  const char* status;   /* healthy, degraded, unreachable or unknown */
} cairn_cluster_node;
/* Asks a node for it, and how many nodes it knows of. */
cairn_status* cairn_client_cluster(cairn_client* client, const cairn_kv_read_options* options,
                                   cairn_cluster** cluster);
size_t cairn_cluster_size(const cairn_cluster* cluster);
/* Node `i`, which must be below the size. All texts are valid until the cluster is freed. */
cairn_cluster_node cairn_cluster_get(const cairn_cluster* cluster, size_t i);
const char* cairn_cluster_status(const cairn_cluster* cluster); /* healthy, degraded, unhealthy */
const char* cairn_cluster_leader(const cairn_cluster* cluster); /* endpoint; empty: unknown */
int64_t cairn_cluster_term(const cairn_cluster* cluster);
void cairn_cluster_free(cairn_cluster* cluster);

/* What a cluster's client knows of each node, in the order they became known; nothing of one
 * node's client. */
typedef struct cairn_endpoints cairn_endpoints;
enum { CAIRN_BREAKER_CLOSED = 0, CAIRN_BREAKER_OPEN = 1, CAIRN_BREAKER_HALF_OPEN = 2 };
typedef struct cairn_endpoint_state {
  const char* endpoint; /* "host:port" */
  int32_t breaker;      /* CAIRN_BREAKER_*: all calls are sent there, none, or one to try it */
  int believed_leader;  /* 1: writes go there first */
  uint64_t latency_ns;  /* smoothed; 0: no answer yet */
  uint64_t calls;       /* tries that were sent there */
  uint64_t failures;    /* tries that it did not answer */
} cairn_endpoint_state;
/* Takes down what is known now, and of how many nodes. */
cairn_endpoints* cairn_client_endpoints(cairn_client* client);
size_t cairn_endpoints_size(const cairn_endpoints* endpoints);
/* Endpoint `i`, which must be below the size. Valid until the endpoints are freed. */
cairn_endpoint_state cairn_endpoints_get(const cairn_endpoints* endpoints, size_t i);
void cairn_endpoints_free(cairn_endpoints* endpoints);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CAIRN_C_CLIENT_H_ */
