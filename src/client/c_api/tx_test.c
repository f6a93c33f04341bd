/* Transactions from C. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn/c.h"
#include "src/client/c_api/c_test_util.h"

static void set(cairn_client* client, const char* key, const char* value) {
  CHECK_OK(cairn_client_set(client, key, strlen(key), value, strlen(value), NULL, NULL));
}

static int has(cairn_client* client, const char* key, const char* text) {
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, key, strlen(key), NULL, &value));
  return cairn_c_is(value, text);
}

static int tx_has(cairn_tx* tx, const char* key, const char* text) {
  cairn_value* value = NULL;
  CHECK_OK(cairn_tx_get(tx, key, strlen(key), NULL, &value));
  return cairn_c_is(value, text);
}

static void sees_its_own_writes(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  set(client, "a", "old");
  set(client, "b", "old");
  set(client, "c", "old");
  cairn_tx* tx = cairn_client_begin(client, NULL);
  cairn_tx_set(tx, "a", 1, "new", 3, NULL);
  cairn_tx_delete(tx, "b", 1, NULL);
  cairn_tx_set(tx, "d", 1, "new", 3, NULL);
  CHECK(cairn_tx_pending_writes(tx) == 3);
  CHECK(tx_has(tx, "a", "new"));
  CHECK(!tx_has(tx, "b", "old"));
  cairn_pairs* pairs = NULL;
  const cairn_range range = cairn_range_all();
  CHECK_OK(cairn_tx_range(tx, &range, NULL, &pairs));
  CHECK(cairn_pairs_size(pairs) == 3);
  CHECK(strcmp((const char*)cairn_pairs_key(pairs, 2, NULL), "d") == 0);
  cairn_pairs_free(pairs);
  cairn_range keys = range;
  keys.keys_only = 1;
  CHECK_OK(cairn_tx_range(tx, &keys, NULL, &pairs));
  size_t value_size = 1;
  CHECK(cairn_pairs_size(pairs) == 3 && cairn_pairs_value(pairs, 2, &value_size) != NULL);
  CHECK(value_size == 0);
  cairn_pairs_free(pairs);
  cairn_value* key = NULL;
  const cairn_selector after_a = cairn_selector_first_greater_than("a", 1);
  CHECK_OK(cairn_tx_get_key(tx, &after_a, NULL, &key));
  CHECK(cairn_c_is(key, "c"));
  CHECK_OK(cairn_tx_snapshot_get_key(tx, &after_a, NULL, &key));
  CHECK(cairn_c_is(key, "c"));
  const cairn_selector after_d = cairn_selector_first_greater_than("d", 1);
  CHECK_OK(cairn_tx_get_key(tx, &after_d, NULL, &key));
  CHECK(cairn_value_found(key) == 0);
  cairn_value_free(key);
  CHECK(has(client, "a", "old")); /* nothing was sent yet */
  CHECK(cairn_tx_committed_version(tx) == 0);
  uint64_t version = 0;
  CHECK_OK(cairn_tx_commit(tx, &version));
  CHECK(version > 0 && cairn_tx_committed_version(tx) == version);
  cairn_tx_free(tx);
  CHECK(has(client, "a", "new") && has(client, "d", "new") && !has(client, "b", "old"));

  /* One that is freed without a commit did nothing. */
  tx = cairn_client_begin(client, NULL);
  CHECK_OK(cairn_tx_delete_range(tx, "a", 1, "", 0, NULL));
  CHECK(cairn_tx_pending_writes(tx) == 3);
  cairn_tx_free(tx);
  CHECK(has(client, "a", "new"));
  cairn_client_close(client);
}

/* How a commit ends that read "k" in one of these ways while another wrote it. */
enum way { READ, SNAPSHOT, BY_HAND, RANGE_BY_HAND, OTHER_RANGE, READ_RANGE };
static int32_t outcome(cairn_client* client, enum way way) {
  cairn_tx* tx = cairn_client_begin(client, NULL);
  cairn_tx_read_options options;
  memset(&options, 0, sizeof options);
  options.snapshot = way == SNAPSHOT;
  uint64_t version = 0;
  CHECK_OK(cairn_tx_read_version(tx, &version));
  CHECK(version > 0);
  cairn_value* value = NULL;
  cairn_pairs* pairs = NULL;
  const cairn_range range = cairn_range_between("k", 1, "l", 1);
  switch (way) {
    case READ:
    case SNAPSHOT:
      CHECK_OK(cairn_tx_get(tx, "k", 1, &options, &value));
      break;
    case BY_HAND:
      cairn_tx_add_conflict_key(tx, "k", 1, NULL);
      break;
    case RANGE_BY_HAND:
      cairn_tx_add_conflict_range(tx, "a", 1, "", 0, NULL);
      break;
    case OTHER_RANGE:
      cairn_tx_add_conflict_range(tx, "a", 1, "k", 1, NULL);
      break;
    case READ_RANGE:
      CHECK_OK(cairn_tx_range(tx, &range, NULL, &pairs));
      break;
  }
  cairn_value_free(value);
  cairn_pairs_free(pairs);
  set(client, "k", "changed");
  cairn_tx_set(tx, "result", 6, "1", 1, NULL);
  cairn_status* status = cairn_tx_commit(tx, NULL);
  const int32_t code = cairn_status_code(status);
  if (status != NULL) {
    /* It is worth another try, which is a new transaction. */
    CHECK_OK(cairn_tx_on_error(tx, status));
    CHECK(cairn_tx_pending_writes(tx) == 0);
    CHECK(tx_has(tx, "k", "changed"));
  }
  cairn_status_free(status);
  cairn_tx_free(tx);
  return code;
}

static void finds_conflicts(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  set(client, "k", "1");
  CHECK(outcome(client, READ) == CAIRN_CONFLICT);
  CHECK(outcome(client, SNAPSHOT) == CAIRN_OK);
  CHECK(outcome(client, BY_HAND) == CAIRN_CONFLICT);
  CHECK(outcome(client, RANGE_BY_HAND) == CAIRN_CONFLICT);
  CHECK(outcome(client, OTHER_RANGE) == CAIRN_OK);
  CHECK(outcome(client, READ_RANGE) == CAIRN_CONFLICT);
  cairn_client_close(client);
}

typedef struct transfer {
  cairn_client* client;
  int calls;
} transfer;

static cairn_status* count_up(void* argument, cairn_tx* tx) {
  transfer* run = (transfer*)argument;
  run->calls += 1;
  cairn_value* value = NULL;
  cairn_status* status = cairn_tx_get(tx, "count", 5, NULL, &value);
  if (status != NULL) return status;
  const long count =
      cairn_value_found(value) ? atol((const char*)cairn_value_data(value, NULL)) : 0;
  cairn_value_free(value);
  if (run->calls == 1) set(run->client, "count", "10"); /* another one was faster */
  char text[20];
  const int size = snprintf(text, sizeof text, "%ld", count + 1);
  cairn_tx_set(tx, "count", 5, text, (size_t)size, NULL);
  return NULL;
}

static cairn_status* give_up(void* argument, cairn_tx* tx) {
  cairn_tx_set(tx, "count", 5, "0", 1, NULL);
  *(int*)argument += 1;
  return cairn_status_new(CAIRN_NOT_FOUND, "no such account");
}

static cairn_status* fail_on(void* argument, cairn_tx* tx) {
  *(int*)argument += 1;
  cairn_value* value = NULL;
  cairn_tx_read_options options;
  memset(&options, 0, sizeof options);
  options.column_family = "missing";
  cairn_status* status = cairn_tx_get(tx, "k", 1, &options, &value);
  CHECK(status != NULL);
  return status;
}

static void runs_until_it_is_done(const char* endpoint) {
  transfer run = {cairn_c_open(endpoint), 0};
  uint64_t version = 0;
  CHECK_OK(cairn_client_run(run.client, count_up, &run, NULL, &version));
  CHECK(run.calls == 2 && version > 0);
  CHECK(has(run.client, "count", "11"));
  int calls = 0;
  cairn_status* status = cairn_client_run(run.client, give_up, &calls, NULL, NULL);
  CHECK(cairn_status_code(status) == CAIRN_NOT_FOUND);
  CHECK(strcmp(cairn_status_message(status), "no such account") == 0);
  cairn_status_free(status);
  CHECK(calls == 1 && has(run.client, "count", "11"));
  CHECK_CODE(CAIRN_NOT_FOUND, cairn_client_run(run.client, fail_on, &calls, NULL, NULL));
  CHECK(calls == 2);
  cairn_client_close(run.client);
}

static void* cancel_from_a_thread(void* canceller) {
  cairn_tx_canceller_cancel((cairn_tx_canceller*)canceller);
  return NULL;
}

/* Keeps a canceller for longer than the transaction of Run lives, and cancels meanwhile. */
static cairn_status* keep_and_cancel(void* argument, cairn_tx* tx) {
  cairn_tx_canceller* canceller = cairn_tx_canceller_new(tx);
  *(cairn_tx_canceller**)argument = canceller;
  cairn_tx_canceller_cancel(canceller);
  return NULL;
}

static void cancellers_outlive_transactions(const char* endpoint) {
  cairn_client_options options;
  memset(&options, 0, sizeof options);
  const uint64_t hour_ms = 3600000;
  options.timeout_ms = 3 * hour_ms;
  options.initial_backoff_ms = options.max_backoff_ms = hour_ms;
  cairn_client* client = NULL;
  CHECK_OK(cairn_client_open(endpoint, &options, &client));
  set(client, "k", "1");
  cairn_tx* tx = cairn_client_begin(client, NULL);
  cairn_tx_canceller* canceller = cairn_tx_canceller_new(tx);
  cairn_status* worth_a_try = cairn_status_new(CAIRN_UNAVAILABLE, "try again");
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_from_a_thread, canceller) == 0);
  /* It begins before this waits for an hour, or while it does. */
  CHECK_CODE(CAIRN_CANCELLED, cairn_tx_on_error(tx, worth_a_try));
  CHECK(pthread_join(thread, NULL) == 0);
  cairn_status_free(worth_a_try);
  cairn_value* value = NULL;
  CHECK_CODE(CAIRN_CANCELLED, cairn_tx_get(tx, "k", 1, NULL, &value));
  cairn_tx_reset(tx);
  CHECK(tx_has(tx, "k", "1"));
  cairn_tx_free(tx);
  cairn_tx_canceller_cancel(canceller); /* nothing is there to be cancelled */
  cairn_tx_canceller_free(canceller);
  cairn_tx_canceller_free(NULL);

  CHECK_CODE(CAIRN_CANCELLED, cairn_client_run(client, keep_and_cancel, &canceller, NULL, NULL));
  cairn_tx_canceller_cancel(canceller);
  cairn_client_close(client);
  cairn_tx_canceller_cancel(canceller);
  cairn_tx_canceller_free(canceller);
}

static void writes_versionstamps(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  cairn_tx* tx = cairn_client_begin(client, NULL);
  cairn_tx_set(tx, "a", 1, "1", 1, NULL);
  cairn_tx_set_versionstamped_key(tx, "log/\0\0\0\0\0\0\0\0\0\0", 14, "entry", 5, NULL);
  cairn_tx_set_versionstamped_value(tx, "last", 4, "\0\0\0\0\0\0\0\0\0\0", 10, NULL);
  uint64_t version = 0;
  CHECK_OK(cairn_tx_commit(tx, &version));
  cairn_tx_free(tx);
  char key[14] = "log/";
  cairn_versionstamp_make(version, 1, key + 4);
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, key, sizeof key, NULL, &value));
  CHECK(cairn_c_is(value, "entry"));
  char stamp[10];
  cairn_versionstamp_make(version, 2, stamp);
  CHECK_OK(cairn_client_get(client, "last", 4, NULL, &value));
  CHECK(memcmp(cairn_value_data(value, NULL), stamp, 10) == 0);
  cairn_value_free(value);
  cairn_client_close(client);
}

static void options_count(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  uint64_t before = 0;
  CHECK_OK(cairn_client_set(client, "k", 1, "1", 1, NULL, &before));
  set(client, "k", "2");
  CHECK_OK(cairn_client_create_column_family(client, "other", NULL, NULL));
  cairn_tx_options options;
  memset(&options, 0, sizeof options);
  options.read_version = before;
  cairn_tx* tx = cairn_client_begin(client, &options);
  CHECK(tx_has(tx, "k", "1"));
  cairn_value* value = NULL;
  cairn_tx_cancel(tx);
  CHECK_CODE(CAIRN_CANCELLED, cairn_tx_get(tx, "k", 1, NULL, &value));
  cairn_tx_reset(tx);
  cairn_tx_set(tx, "k", 1, "there", 5, "other");
  cairn_tx_read_options read;
  memset(&read, 0, sizeof read);
  read.column_family = "other";
  CHECK_OK(cairn_tx_get(tx, "k", 1, &read, &value));
  CHECK(cairn_c_is(value, "there"));
  CHECK_OK(cairn_tx_commit(tx, NULL));
  CHECK_CODE(CAIRN_FAILED_PRECONDITION, cairn_tx_get(tx, "k", 1, NULL, &value));
  cairn_tx_free(tx);
  CHECK(has(client, "k", "2"));

  memset(&options, 0, sizeof options);
  options.timeout_ms = 1;
  options.read_level = CAIRN_LEVEL_LOCAL;
  tx = cairn_client_begin(client, &options);
  /* The deadline of a transaction counts from its beginning. */
  cairn_status* status = NULL;
  while ((status = cairn_tx_get(tx, "k", 1, NULL, &value)) == NULL) cairn_value_free(value);
  CHECK_CODE(CAIRN_TIMEOUT, status);
  cairn_tx_free(tx);
  cairn_client_close(client);
}

typedef struct came {
  sem_t done;
  int32_t code;
  uint64_t version;
  cairn_value* value;
  cairn_pairs* pairs;
} came;
static void end(came* call, cairn_status* status) {
  call->code = cairn_status_code(status);
  cairn_status_free(status);
  sem_post(&call->done);
}
static void on_version(void* argument, cairn_status* status, uint64_t version) {
  ((came*)argument)->version = version;
  end((came*)argument, status);
}
static void on_value(void* argument, cairn_status* status, cairn_value* value) {
  ((came*)argument)->value = value;
  end((came*)argument, status);
}
static void on_pairs(void* argument, cairn_status* status, cairn_pairs* pairs) {
  ((came*)argument)->pairs = pairs;
  end((came*)argument, status);
}
static void await(came* call, cairn_operation* operation) {
  while (sem_wait(&call->done) != 0) {
  }
  CHECK(call->code == CAIRN_OK);
  cairn_operation_free(operation);
}

static void calls_back(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  set(client, "k", "1");
  came call;
  memset(&call, 0, sizeof call);
  sem_init(&call.done, 0, 0);
  cairn_tx* tx = cairn_client_begin(client, NULL);
  cairn_tx_set(tx, "l", 1, "2", 1, NULL);
  await(&call, cairn_tx_get_async(tx, "k", 1, NULL, on_value, &call));
  CHECK(cairn_c_is(call.value, "1"));
  await(&call, cairn_tx_get_async(tx, "l", 1, NULL, on_value, &call));
  CHECK(cairn_c_is(call.value, "2"));
  const cairn_range range = cairn_range_all();
  cairn_tx_read_options options;
  memset(&options, 0, sizeof options);
  options.snapshot = 1;
  await(&call, cairn_tx_range_async(tx, &range, &options, on_pairs, &call));
  CHECK(cairn_pairs_size(call.pairs) == 2);
  cairn_pairs_free(call.pairs);
  const cairn_selector after_k = cairn_selector_first_greater_than("k", 1);
  for (options.snapshot = 0; options.snapshot < 2; ++options.snapshot) {
    await(&call, cairn_tx_get_key_async(tx, &after_k, &options, on_value, &call));
    CHECK(cairn_c_is(call.value, "l"));
  }
  uint64_t version = 0;
  CHECK_OK(cairn_tx_read_version(tx, &version));
  await(&call, cairn_tx_read_version_async(tx, on_version, &call));
  CHECK(version > 0 && call.version == version);
  cairn_operation* commit = cairn_tx_commit_async(tx, on_version, &call);
  cairn_tx_free(tx); /* before it ends, maybe */
  await(&call, commit);
  CHECK(call.version > 0 && has(client, "l", "2"));

  tx = cairn_client_begin(client, NULL);
  const cairn_tx_options none = {0};
  cairn_tx* other = cairn_client_begin(client, &none);
  cairn_value* value = NULL;
  CHECK_OK(cairn_tx_get(tx, "k", 1, NULL, &value));
  cairn_value_free(value);
  cairn_tx_set(other, "k", 1, "2", 1, NULL);
  CHECK_OK(cairn_tx_commit(other, NULL));
  cairn_tx_free(other);
  cairn_tx_set(tx, "k", 1, "3", 1, NULL);
  cairn_status* conflict = cairn_tx_commit(tx, NULL);
  CHECK(cairn_status_code(conflict) == CAIRN_CONFLICT);
  await(&call, cairn_tx_on_error_async(tx, conflict, on_version, &call));
  CHECK(call.version == 1 && cairn_tx_pending_writes(tx) == 0);
  cairn_status_free(conflict);
  CHECK_OK(cairn_tx_get(tx, "k", 1, NULL, &value));
  CHECK(cairn_c_is(value, "2"));
  cairn_tx_free(tx);
  cairn_client_close(client);
}

const cairn_c_test cairn_c_tx_tests[] = {
    {"TransactionsSeeTheirOwnWrites", sees_its_own_writes},
    {"TransactionsFindConflicts", finds_conflicts},
    {"RunsUntilItIsDone", runs_until_it_is_done},
    {"TransactionCancellersOutliveThem", cancellers_outlive_transactions},
    {"TransactionsWriteVersionstamps", writes_versionstamps},
    {"TransactionOptionsCount", options_count},
    {"TransactionsCallBack", calls_back},
    {NULL, NULL},
};
