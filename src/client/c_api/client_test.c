/* The client from C: reads, writes, ranges, column families, errors, asynchronous calls. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "cairn/c.h"
#include "src/client/c_api/c_test_util.h"

static void set(cairn_client* client, const char* key, const char* value) {
  CHECK_OK(cairn_client_set(client, key, strlen(key), value, strlen(value), NULL, NULL));
}

static cairn_value* get(cairn_client* client, const char* key) {
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, key, strlen(key), NULL, &value));
  return value;
}

/* The keys of a range, each followed by a space, and "+" if there are more; ends up in `text`. */
static const char* keys(cairn_client* client, const cairn_range* range, char* text) {
  cairn_pairs* pairs = NULL;
  CHECK_OK(cairn_client_range(client, range, NULL, &pairs));
  text[0] = '\0';
  for (size_t i = 0; i < cairn_pairs_size(pairs); ++i) {
    size_t size = 0;
    strcat(text, (const char*)cairn_pairs_key(pairs, i, &size));
    CHECK(size == strlen((const char*)cairn_pairs_key(pairs, i, NULL)));
    strcat(text, " ");
  }
  if (cairn_pairs_has_more(pairs)) strcat(text, "+");
  CHECK(cairn_pairs_read_version(pairs) > 0);
  cairn_pairs_free(pairs);
  return text;
}

static void reads_what_it_wrote(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  uint64_t version = 0;
  CHECK_OK(cairn_client_set(client, "k\0y", 3, "r\0d", 3, NULL, &version));
  CHECK(version > 0 && cairn_client_last_version(client) >= version);
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, "k\0y", 3, NULL, &value));
  size_t size = 0;
  CHECK(cairn_value_found(value) == 1);
  CHECK(memcmp(cairn_value_data(value, &size), "r\0d", 4) == 0); /* and the zero behind it */
  CHECK(size == 3 && cairn_value_version(value) == version);
  cairn_value_free(value);

  uint64_t deleted = 0;
  CHECK_OK(cairn_client_delete(client, "k\0y", 3, NULL, &deleted));
  CHECK(deleted > version);
  CHECK_OK(cairn_client_get(client, "k\0y", 3, NULL, &value));
  CHECK(cairn_value_found(value) == 0);
  CHECK(strcmp((const char*)cairn_value_data(value, &size), "") == 0 && size == 0);
  CHECK(cairn_value_version(value) == 0);
  cairn_value_free(value);

  cairn_kv_read_options past;
  memset(&past, 0, sizeof past);
  past.at_version = version;
  CHECK_OK(cairn_client_get(client, "k\0y", 3, &past, &value));
  CHECK(cairn_value_found(value) == 1);
  cairn_value_free(value);

  /* Every level reads the newest on a node by itself. */
  set(client, "a", "1");
  cairn_kv_read_options read;
  memset(&read, 0, sizeof read);
  read.min_version = cairn_client_last_version(client);
  for (read.read_level = CAIRN_LEVEL_DEFAULT; read.read_level <= CAIRN_LEVEL_NODE;
       ++read.read_level) {
    CHECK_OK(cairn_client_get(client, "a", 1, &read, &value));
    CHECK(cairn_c_is(value, "1"));
    uint64_t read_version = 0;
    uint64_t committed = 0;
    CHECK_OK(cairn_client_read_version(client, &read, &read_version));
    CHECK_OK(cairn_client_committed_version(client, &read, &committed));
    CHECK(read_version >= read.min_version && committed >= read.min_version);
  }
  cairn_client_close(client);
}

static int until_c(void* argument, const void* key, size_t key_size, const void* value,
                   size_t value_size) {
  strncat((char*)argument, (const char*)key, key_size);
  strncat((char*)argument, (const char*)value, value_size);
  return ((const char*)key)[0] != 'c';
}

static void ranges_follow_selectors(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  char text[100];
  const char* all[] = {"a", "b", "c", "d", "\xFF\xFF"};
  for (size_t i = 0; i < 5; ++i) set(client, all[i], "x");
  cairn_range range = cairn_range_between("b", 1, "d", 1);
  CHECK(strcmp(keys(client, &range, text), "b c ") == 0);
  range.reverse = 1;
  range.limit = 1;
  CHECK(strcmp(keys(client, &range, text), "c +") == 0);
  range = cairn_range_all();
  CHECK(strcmp(keys(client, &range, text), "a b c d \xFF\xFF ") == 0);
  range.max_bytes = 4;
  CHECK(strcmp(keys(client, &range, text), "a b +") == 0);
  range = cairn_range_all();
  range.begin = cairn_selector_last_less_than("c", 1);
  range.end = cairn_selector_first_greater_than("c", 1);
  range.end.offset += 1;
  range.to_end = 0;
  CHECK(strcmp(keys(client, &range, text), "b c d ") == 0);
  range.begin = cairn_selector_last_less_or_equal("c", 1);
  range.end = cairn_selector_first_greater_or_equal("d", 1);
  CHECK(strcmp(keys(client, &range, text), "c ") == 0);

  char end[2];
  CHECK(cairn_range_prefix_end("a\xFF", 2, end) == 1 && end[0] == 'b');
  CHECK(cairn_range_prefix_end("\xFF\xFF", 2, end) == 0);
  CHECK(cairn_range_prefix_end("", 0, end) == 0);

  text[0] = '\0';
  range = cairn_range_all();
  CHECK_OK(cairn_client_scan(client, &range, NULL, until_c, text));
  CHECK(strcmp(text, "axbxcx") == 0);
  cairn_client_close(client);
}

/* Cancels the scan that calls it. */
static int cancelling(void* argument, const void* key, size_t key_size, const void* value,
                      size_t value_size) {
  (void)key, (void)key_size, (void)value, (void)value_size;
  cairn_scan_canceller_cancel((cairn_scan_canceller*)argument);
  return 1;
}

static void scans_are_cancelled(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  set(client, "a", "x");
  set(client, "b", "x");
  cairn_range range = cairn_range_all();
  cairn_scan_canceller* canceller = cairn_scan_canceller_new();
  char text[32] = "";
  CHECK_OK(cairn_client_scan_cancellable(client, &range, NULL, until_c, text, canceller));
  CHECK(strcmp(text, "axbx") == 0);
  CHECK_CODE(CAIRN_CANCELLED,
             cairn_client_scan_cancellable(client, &range, NULL, cancelling, canceller, canceller));
  text[0] = '\0';
  CHECK_CODE(CAIRN_CANCELLED,
             cairn_client_scan_cancellable(client, &range, NULL, until_c, text, canceller));
  CHECK(text[0] == '\0');
  cairn_scan_canceller_free(canceller);
  cairn_scan_canceller_free(NULL);
  CHECK_OK(cairn_client_scan(client, &range, NULL, until_c, text));
  CHECK(strcmp(text, "axbx") == 0);
  cairn_client_close(client);
}

static void writes_versionstamps(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  unsigned char stamp[10];
  unsigned char made[14];
  uint64_t version = 0;
  CHECK_OK(cairn_client_set_versionstamped_key(client, "log/\0\0\0\0\0\0\0\0\0\0", 14, "v", 1, NULL,
                                               &version, made));
  cairn_versionstamp_make(version, 0, stamp);
  CHECK(memcmp(made, "log/", 4) == 0 && memcmp(made + 4, stamp, 10) == 0);
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, made, 14, NULL, &value));
  CHECK(cairn_c_is(value, "v"));
  CHECK_OK(cairn_client_set_versionstamped_value(client, "last", 4, "\0\0\0\0\0\0\0\0\0\0", 10,
                                                 NULL, &version, made));
  cairn_versionstamp_make(version, 0, stamp);
  CHECK(memcmp(made, stamp, 10) == 0);
  value = get(client, "last");
  CHECK(memcmp(cairn_value_data(value, NULL), stamp, 10) == 0);
  cairn_value_free(value);
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_client_set_versionstamped_value(
                                         client, "last", 4, "plain", 5, NULL, NULL, NULL));
  cairn_client_close(client);
}

static void column_families_come_and_go(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  cairn_kv_write_options write;
  memset(&write, 0, sizeof write);
  write.column_family = "other";
  CHECK_CODE(CAIRN_NOT_FOUND, cairn_client_set(client, "k", 1, "v", 1, &write, NULL));
  uint64_t version = 0;
  CHECK_OK(cairn_client_create_column_family(client, "other", NULL, &version));
  CHECK(version > 0);
  CHECK_OK(cairn_client_set(client, "k", 1, "v", 1, &write, NULL));
  CHECK(!cairn_c_is(get(client, "k"), "v"));
  cairn_kv_read_options read;
  memset(&read, 0, sizeof read);
  read.column_family = "other";
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, "k", 1, &read, &value));
  CHECK(cairn_c_is(value, "v"));
  cairn_names* names = NULL;
  CHECK_OK(cairn_client_list_column_families(client, NULL, &names));
  CHECK(cairn_names_size(names) == 2);
  CHECK(strcmp(cairn_names_get(names, 0), "default") == 0);
  CHECK(strcmp(cairn_names_get(names, 1), "other") == 0);
  cairn_names_free(names);
  CHECK_OK(cairn_client_drop_column_family(client, "other", NULL, NULL));
  CHECK_CODE(CAIRN_NOT_FOUND, cairn_client_get(client, "k", 1, &read, &value));
  cairn_client_close(client);
}

static void tells_of_nodes(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  uint64_t nanoseconds = 0;
  CHECK_OK(cairn_client_ping(client, NULL, &nanoseconds));
  CHECK(nanoseconds > 0);
  int leads = 0;
  CHECK_OK(cairn_client_is_leader(client, NULL, &leads));
  CHECK(leads == 1);
  cairn_cluster* cluster = NULL;
  CHECK_OK(cairn_client_cluster(client, NULL, &cluster));
  CHECK(cairn_cluster_size(cluster) == 1);
  CHECK(cairn_cluster_get(cluster, 0).is_leader == 1);
  CHECK(strcmp(cairn_cluster_status(cluster), "healthy") == 0);
  CHECK(strcmp(cairn_cluster_leader(cluster), cairn_cluster_get(cluster, 0).endpoint) == 0);
  CHECK(cairn_cluster_term(cluster) == cairn_cluster_get(cluster, 0).term);
  cairn_cluster_free(cluster);
  cairn_value* leader = NULL;
  CHECK_CODE(CAIRN_FAILED_PRECONDITION, cairn_client_discover_leader(client, &leader));
  cairn_endpoints* endpoints = cairn_client_endpoints(client);
  CHECK(cairn_endpoints_size(endpoints) == 0);
  cairn_endpoints_free(endpoints);
  cairn_client_close(client);

  cairn_client_options options;
  memset(&options, 0, sizeof options);
  options.cluster = 1;
  options.read_strategy = CAIRN_STRATEGY_NEAREST;
  CHECK_OK(cairn_client_open(endpoint, &options, &client));
  CHECK_OK(cairn_client_discover_leader(client, &leader));
  CHECK(cairn_c_is(leader, endpoint));
  CHECK_CODE(CAIRN_FAILED_PRECONDITION, cairn_client_is_leader(client, NULL, &leads));
  endpoints = cairn_client_endpoints(client);
  CHECK(cairn_endpoints_size(endpoints) == 1);
  const cairn_endpoint_state state = cairn_endpoints_get(endpoints, 0);
  CHECK(strcmp(state.endpoint, endpoint) == 0 && state.believed_leader == 1);
  CHECK(state.breaker == CAIRN_BREAKER_CLOSED && state.calls > 0 && state.failures == 0);
  cairn_endpoints_free(endpoints);
  cairn_client_close(client);
}

static void mistakes_are_told(const char* endpoint) {
  cairn_client* client = NULL;
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_client_open("nowhere", NULL, &client));
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_client_open("a:1,grpc://b:2", NULL, &client));
  cairn_client_options options;
  memset(&options, 0, sizeof options);
  options.read_strategy = 9;
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_client_open(endpoint, &options, &client));
  options.read_strategy = CAIRN_STRATEGY_STICKY;
  options.sticky_node = 1;
  options.cluster = 1;
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_client_open(endpoint, &options, &client));
  memset(&options, 0, sizeof options);
  options.connect_timeout_ms = 200;
  /* Port 1 of this machine: nobody listens there. */
  CHECK_CODE(CAIRN_UNAVAILABLE, cairn_client_open("127.0.0.1:1", &options, &client));
  CHECK(client == NULL);

  client = cairn_c_open(endpoint);
  cairn_status* refused = cairn_client_set(client, "", 0, "v", 1, NULL, NULL);
  CHECK(cairn_status_code(refused) == CAIRN_INVALID_ARGUMENT);
  CHECK(strlen(cairn_status_message(refused)) > 0);
  CHECK(cairn_status_maybe_applied(refused) == 0);
  CHECK(strcmp(cairn_status_leader_hint(refused), "") == 0);
  cairn_status_free(refused);
  CHECK(cairn_status_code(NULL) == CAIRN_OK && cairn_status_maybe_applied(NULL) == 0);
  CHECK(strcmp(cairn_status_message(NULL), "") == 0);
  cairn_client_close(client);
  /* What every _free takes. */
  cairn_status_free(NULL);
  cairn_value_free(NULL);
  cairn_pairs_free(NULL);
  cairn_names_free(NULL);
  cairn_cluster_free(NULL);
  cairn_endpoints_free(NULL);
  cairn_operation_free(NULL);
  cairn_tx_free(NULL);
  cairn_client_close(NULL);
}

/* What an asynchronous call came to. */
typedef struct came {
  sem_t done;
  int32_t code;
  int calls;
  uint64_t version;
  cairn_value* value;
  cairn_pairs* pairs;
} came;

static void end(came* call, cairn_status* status) {
  call->code = cairn_status_code(status);
  call->calls += 1;
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

static came begun(void) {
  came call;
  memset(&call, 0, sizeof call);
  sem_init(&call.done, 0, 0);
  return call;
}
/* Waits for the end, which must be with this code, and frees the operation. */
static void await(came* call, cairn_operation* operation, int32_t code) {
  while (sem_wait(&call->done) != 0) {
  }
  CHECK(call->code == code);
  CHECK(call->calls == 1);
  cairn_operation_free(operation);
}

static void calls_back(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  came call = begun();
  await(&call, cairn_client_set_async(client, "a", 1, "1", 1, NULL, on_version, &call), CAIRN_OK);
  const uint64_t version = call.version;
  CHECK(version > 0);
  call = begun();
  await(&call, cairn_client_get_async(client, "a", 1, NULL, on_value, &call), CAIRN_OK);
  CHECK(cairn_c_is(call.value, "1"));
  call = begun();
  const cairn_range range = cairn_range_all();
  await(&call, cairn_client_range_async(client, &range, NULL, on_pairs, &call), CAIRN_OK);
  CHECK(cairn_pairs_size(call.pairs) == 1);
  CHECK(strcmp((const char*)cairn_pairs_value(call.pairs, 0, NULL), "1") == 0);
  cairn_pairs_free(call.pairs);
  call = begun();
  await(&call, cairn_client_delete_async(client, "a", 1, NULL, on_version, &call), CAIRN_OK);
  CHECK(call.version > version);
  call = begun();
  await(&call, cairn_client_read_version_async(client, NULL, on_version, &call), CAIRN_OK);
  CHECK(call.version > version);
  const uint64_t read = call.version;
  call = begun();
  await(&call, cairn_client_committed_version_async(client, NULL, on_version, &call), CAIRN_OK);
  CHECK(call.version >= read);
  char made[11];
  call = begun();
  await(&call,
        cairn_client_set_versionstamped_key_async(client, "e\0\0\0\0\0\0\0\0\0\0", 11, "1", 1, NULL,
                                                  made, on_version, &call),
        CAIRN_OK);
  cairn_value* value = NULL;
  CHECK_OK(cairn_client_get(client, made, 11, NULL, &value));
  CHECK(made[0] == 'e' && cairn_c_is(value, "1"));
  call = begun();
  await(&call,
        cairn_client_set_versionstamped_value_async(client, "e", 1, "v\0\0\0\0\0\0\0\0\0\0", 11,
                                                    NULL, made, on_version, &call),
        CAIRN_OK);
  CHECK_OK(cairn_client_get(client, "e", 1, NULL, &value));
  size_t size = 0;
  const void* const stored = cairn_value_data(value, &size);
  CHECK(size == 11 && memcmp(stored, made, 11) == 0);
  cairn_value_free(value);
  call = begun();
  await(&call, cairn_client_set_async(client, "", 0, "1", 1, NULL, on_version, &call),
        CAIRN_INVALID_ARGUMENT);
  CHECK(call.version == 0);
  cairn_client_close(client);
}

static void calls_end_when_told_to(const char* endpoint) {
  cairn_client* client = cairn_c_open(endpoint);
  cairn_kv_read_options never;
  memset(&never, 0, sizeof never);
  never.min_version = 1000000;
  came call = begun();
  cairn_operation* operation = cairn_client_get_async(client, "k", 1, &never, on_value, &call);
  cairn_operation_cancel(operation);
  cairn_operation_cancel(operation);
  await(&call, operation, CAIRN_CANCELLED);
  CHECK(call.value == NULL);

  never.timeout_ms = 100;
  cairn_value* value = NULL;
  cairn_status* late = cairn_client_get(client, "k", 1, &never, &value);
  /* Whichever is first: the end of the time, or the node's word that it lacks the version. */
  CHECK(cairn_status_code(late) == CAIRN_TIMEOUT || cairn_status_code(late) == CAIRN_STALE);
  cairn_status_free(late);

  /* Closing ends what is under way; freed operations are not cancelled. */
  never.timeout_ms = 0;
  call = begun();
  operation = cairn_client_get_async(client, "k", 1, &never, on_value, &call);
  cairn_operation_free(operation);
  CHECK(call.calls == 0);
  cairn_client_close(client);
  await(&call, NULL, CAIRN_CANCELLED);
}

const cairn_c_test cairn_c_client_tests[] = {
    {"ReadsWhatItWrote", reads_what_it_wrote},
    {"RangesFollowSelectors", ranges_follow_selectors},
    {"ScansAreCancelled", scans_are_cancelled},
    {"WritesVersionstamps", writes_versionstamps},
    {"ColumnFamiliesComeAndGo", column_families_come_and_go},
    {"TellsOfNodes", tells_of_nodes},
    {"MistakesAreTold", mistakes_are_told},
    {"CallsBack", calls_back},
    {"CallsEndWhenToldTo", calls_end_when_told_to},
    {NULL, NULL},
};
