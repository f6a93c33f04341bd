/* The memory plane from C: ranges with deadlines and callbacks, batches, what a pool tells of
 * itself. */
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "cairn/c.h"
#include "src/dram/library/c_dram_test_util.h"

/* A server that is not there. */
static const char kNowhere[] = "{\"remote_addr\": \"127.0.0.1:1\"}";
/* Longer than any of these tests takes. */
enum { kLongMs = 60000 };

static void put(cairn_dram* store, const char* key, const char* value) {
  CHECK_OK(cairn_dram_write(store, key, strlen(key), value, strlen(value), NULL, NULL));
}

static cairn_dram* open_store(const char* spec) {
  cairn_dram* store = NULL;
  CHECK_OK(cairn_dram_open(spec, &store));
  if (store == NULL) abort();
  return store;
}

/* What a callback was given. */
typedef struct ended {
  sem_t semaphore;
  int32_t code;
  uint64_t deleted;
  cairn_list* list;
  cairn_dram_stat_list* stats;
} ended;

static void begin(ended* e) {
  memset(e, 0, sizeof *e);
  CHECK(sem_init(&e->semaphore, 0, 0) == 0);
}

static void await(ended* e) {
  while (sem_wait(&e->semaphore) != 0) {
  }
  CHECK(sem_destroy(&e->semaphore) == 0);
}

static void end(ended* e, cairn_status* status) {
  e->code = cairn_status_code(status);
  cairn_status_free(status);
  sem_post(&e->semaphore);
}

static void on_deleted(void* argument, cairn_status* status, uint64_t deleted) {
  ((ended*)argument)->deleted = deleted;
  end((ended*)argument, status);
}

static void on_listed(void* argument, cairn_status* status, cairn_list* list) {
  ((ended*)argument)->list = list;
  end((ended*)argument, status);
}

static void on_stat(void* argument, cairn_status* status, cairn_dram_stat_list* stats) {
  ((ended*)argument)->stats = stats;
  end((ended*)argument, status);
}

static void on_reads(void* argument, cairn_dram_read_item* items, size_t count) {
  CHECK(items != NULL && count > 0);
  end((ended*)argument, NULL);
}

static void on_writes(void* argument, cairn_dram_write_item* items, size_t count) {
  (void)items;
  ((ended*)argument)->deleted = count;
  end((ended*)argument, NULL);
}

static void ranges_without_waiting(cairn_dram* server, cairn_dram* client) {
  (void)server;
  put(client, "a/1", "one");
  put(client, "a/2", "two");
  put(client, "b", "");
  ended e;
  begin(&e);
  cairn_operation_free(cairn_dram_list_async(client, "a/", 2, "a0", 2, 2, kLongMs, on_listed, &e));
  await(&e);
  CHECK(e.code == CAIRN_OK && cairn_list_size(e.list) == 2);
  size_t size = 0;
  CHECK(memcmp(cairn_list_key(e.list, 1, &size), "2", 1) == 0 && size == 1);
  CHECK(cairn_list_value_bytes(e.list, 1) == 3);
  cairn_list_free(e.list);

  begin(&e);
  cairn_operation* operation =
      cairn_dram_delete_range_async(client, "a/", 2, "a0", 2, 0, on_deleted, &e);
  await(&e);
  CHECK(e.code == CAIRN_OK && e.deleted == 2);
  cairn_operation_cancel(operation); /* too late, and harmless */
  cairn_operation_free(operation);

  cairn_list* list = NULL;
  CHECK_OK(cairn_dram_list_within(client, "", 0, "", 0, 0, kLongMs, &list));
  CHECK(cairn_list_size(list) == 1);
  cairn_list_free(list);
  uint64_t deleted = 0;
  CHECK_OK(cairn_dram_delete_range_within(client, "", 0, "", 0, kLongMs, &deleted));
  CHECK(deleted == 1);
}

static void ranges_end_by_their_deadline_or_cancelled(cairn_dram* server, cairn_dram* client) {
  (void)server;
  (void)client;
  cairn_dram* nowhere = open_store(kNowhere);
  cairn_list* list = NULL;
  CHECK_CODE(CAIRN_UNAVAILABLE, cairn_dram_list_within(nowhere, "", 0, "", 0, 0, 20, &list));
  CHECK(list == NULL);
  CHECK_CODE(CAIRN_UNAVAILABLE, cairn_dram_delete_range_within(nowhere, "", 0, "", 0, 20, NULL));
  ended listed;
  ended deleted;
  ended told;
  begin(&listed);
  begin(&deleted);
  begin(&told);
  cairn_operation* operations[3];
  operations[0] = cairn_dram_list_async(nowhere, "", 0, "", 0, 0, kLongMs, on_listed, &listed);
  operations[1] =
      cairn_dram_delete_range_async(nowhere, "", 0, "", 0, kLongMs, on_deleted, &deleted);
  operations[2] = cairn_dram_stat_async(nowhere, kLongMs, on_stat, &told);
  for (int i = 0; i < 3; ++i) {
    cairn_operation_cancel(operations[i]);
    cairn_operation_free(operations[i]);
  }
  await(&listed);
  await(&deleted);
  await(&told);
  CHECK(listed.code == CAIRN_CANCELLED && listed.list == NULL);
  CHECK(deleted.code == CAIRN_CANCELLED && deleted.deleted == 0);
  CHECK(told.code == CAIRN_CANCELLED && told.stats == NULL);
  cairn_dram_close(nowhere);
}

static void batches(cairn_dram* server, cairn_dram* client) {
  (void)server;
  cairn_write_options absent = CAIRN_WRITE_OPTIONS_INIT;
  absent.if_equal.counter = 1;
  cairn_dram_write_item writes[3];
  memset(writes, 0, sizeof writes);
  writes[0].key = "a";
  writes[0].key_size = 1;
  writes[0].value = "first";
  writes[0].value_size = 5;
  writes[1].key = ""; /* no key */
  writes[2].key = "b";
  writes[2].key_size = 1;
  writes[2].options = &absent;
  cairn_dram_write_batch(client, writes, 3);
  CHECK(writes[0].status == NULL && writes[0].generation.boot_id != 0);
  /* After 2020. */
  CHECK(writes[0].time_ns / 1000000000 > 1577836800);
  CHECK(cairn_status_code(writes[1].status) == CAIRN_INVALID_ARGUMENT);
  CHECK(writes[1].generation.counter == 0 && writes[1].time_ns == 0);
  cairn_status_free(writes[1].status);
  CHECK(writes[2].status == NULL && writes[2].generation.boot_id != 0);

  cairn_read_options part = CAIRN_READ_OPTIONS_INIT;
  part.inclusive_min = -2;
  cairn_dram_read_item reads[3];
  memset(reads, 0, sizeof reads);
  reads[0].key = "a";
  reads[0].key_size = 1;
  reads[0].options = &part;
  reads[1].key = "none";
  reads[1].key_size = 4;
  reads[2].key = "b";
  reads[2].key_size = 1;
  reads[2].options = &part; /* beyond the value, which is empty */
  cairn_dram_read_batch(client, reads, 3);
  CHECK(reads[0].status == NULL && reads[0].result.state == CAIRN_READ_VALUE);
  CHECK(reads[0].result.value_bytes == 5 && cairn_buffer_size(reads[0].result.value) == 2);
  CHECK(memcmp(cairn_buffer_data(reads[0].result.value), "st", 2) == 0);
  CHECK(reads[0].result.generation.counter == writes[0].generation.counter);
  CHECK(reads[0].time_ns >= writes[0].time_ns);
  cairn_buffer_free(reads[0].result.value);
  CHECK(reads[1].status == NULL && reads[1].result.state == CAIRN_READ_MISSING);
  CHECK(reads[1].result.value == NULL);
  CHECK(cairn_status_code(reads[2].status) == CAIRN_OUT_OF_RANGE);
  CHECK(reads[2].result.value == NULL);
  cairn_status_free(reads[2].status);
  /* Nothing to do is fine. */
  cairn_dram_read_batch(client, NULL, 0);
  cairn_dram_write_batch(client, NULL, 0);
}

static void batches_without_waiting(cairn_dram* server, cairn_dram* client) {
  (void)server;
  cairn_dram_write_item write;
  memset(&write, 0, sizeof write);
  write.key = "k";
  write.key_size = 1;
  write.value = "v";
  write.value_size = 1;
  ended e;
  begin(&e);
  cairn_operation_free(cairn_dram_write_batch_async(client, &write, 1, on_writes, &e));
  await(&e);
  CHECK(write.status == NULL && write.generation.boot_id != 0 && e.deleted == 1);
  begin(&e);
  cairn_operation_free(cairn_dram_write_batch_async(client, NULL, 0, on_writes, &e));
  await(&e);
  CHECK(e.deleted == 0);

  cairn_dram* nowhere = open_store(kNowhere);
  cairn_dram_read_item reads[2];
  memset(reads, 0, sizeof reads);
  for (int i = 0; i < 2; ++i) {
    reads[i].key = "k";
    reads[i].key_size = 1;
  }
  begin(&e);
  cairn_operation* operation = cairn_dram_read_batch_async(nowhere, reads, 2, on_reads, &e);
  cairn_operation_cancel(operation);
  cairn_operation_free(operation);
  await(&e);
  for (int i = 0; i < 2; ++i) {
    CHECK(cairn_status_code(reads[i].status) == CAIRN_CANCELLED);
    cairn_status_free(reads[i].status);
  }
  cairn_dram_close(nowhere);
  begin(&e);
  cairn_operation_free(cairn_dram_read_batch_async(client, reads, 2, on_reads, &e));
  await(&e);
  for (int i = 0; i < 2; ++i) {
    CHECK(reads[i].status == NULL && reads[i].result.value_bytes == 1);
    cairn_buffer_free(reads[i].result.value);
  }
}

static void figures(cairn_dram* server, cairn_dram* client) {
  put(client, "k", "value");
  cairn_dram_stat_list* stats = NULL;
  CHECK_OK(cairn_dram_stat(client, 0, &stats));
  CHECK(cairn_dram_stat_list_size(stats) == 1);
  CHECK(strcmp(cairn_dram_stat_list_address(stats, 0), cairn_dram_listen_address(server)) == 0);
  CHECK(cairn_dram_stat_list_status(stats, 0) == NULL);
  uint64_t keys = 0;
  uint64_t bytes = 0;
  CHECK(cairn_dram_stat_list_find(stats, 0, "keys", &keys) == 1 && keys == 1);
  CHECK(cairn_dram_stat_list_find(stats, 0, "no such figure", &keys) == 0);
  for (size_t j = 0; j < cairn_dram_stat_list_figures(stats, 0); ++j) {
    uint64_t value = 0;
    if (strcmp(cairn_dram_stat_list_figure(stats, 0, j, &value), "value_bytes") == 0) bytes = value;
  }
  CHECK(bytes == 5);

  cairn_dram_stat_list* own = cairn_dram_local_stat(server);
  CHECK(cairn_dram_stat_list_size(own) == 1);
  CHECK(cairn_dram_stat_list_boot_id(own, 0) == cairn_dram_stat_list_boot_id(stats, 0));
  cairn_dram_stat_list_free(own);
  cairn_dram_stat_list_free(stats);
  own = cairn_dram_local_stat(client); /* which does not serve */
  CHECK(cairn_dram_stat_list_size(own) == 0);
  cairn_dram_stat_list_free(own);

  ended e;
  begin(&e);
  cairn_operation_free(cairn_dram_stat_async(client, kLongMs, on_stat, &e));
  await(&e);
  CHECK(e.code == CAIRN_OK && cairn_dram_stat_list_size(e.stats) == 1);
  cairn_dram_stat_list_free(e.stats);

  cairn_dram* nowhere = open_store(kNowhere);
  CHECK_OK(cairn_dram_stat(nowhere, 20, &stats));
  CHECK(cairn_status_code(cairn_dram_stat_list_status(stats, 0)) == CAIRN_UNAVAILABLE);
  CHECK(cairn_dram_stat_list_boot_id(stats, 0) == 0 && cairn_dram_stat_list_figures(stats, 0) == 0);
  cairn_dram_stat_list_free(stats);
  cairn_dram_close(nowhere);
}

static void routes_and_peers(cairn_dram* server, cairn_dram* client) {
  put(client, "k", "v"); /* so that it is connected */
  cairn_dram_peer_list* peers = cairn_dram_peers(client);
  CHECK(cairn_dram_peer_list_size(peers) == 1);
  CHECK(strcmp(cairn_dram_peer_list_address(peers, 0), cairn_dram_listen_address(server)) == 0);
  CHECK(cairn_dram_peer_list_connected(peers, 0) == 1 && cairn_dram_peer_list_local(peers, 0) == 0);
  cairn_dram_peer_list_free(peers);
  peers = cairn_dram_peers(server);
  CHECK(cairn_dram_peer_list_local(peers, 0) == 1 && cairn_dram_peer_list_connected(peers, 0) == 1);
  CHECK(cairn_dram_peer_list_last_error(peers, 0) == NULL);
  cairn_dram_peer_list_free(peers);
  CHECK(strcmp(cairn_dram_routing_table(client), "") == 0);
  CHECK(cairn_dram_poll(client) == 0); /* it does not poll */

  cairn_dram* pool = open_store(
      "{\"remote_addrs\": [\"127.0.0.1:1\", \"127.0.0.1:2\"], \"key_routing\": \"explicit\", "
      "\"prefix_to_server_mapping\": {\"raw/\": \"127.0.0.1:2\"}}");
  cairn_dram_way* way = NULL;
  CHECK_OK(cairn_dram_route(pool, "raw/1", 5, &way));
  CHECK(strcmp(cairn_dram_way_server(way), "127.0.0.1:2") == 0);
  CHECK(cairn_dram_way_local(way) == 0);
  CHECK(strstr(cairn_dram_way_reason(way), "raw/") != NULL);
  cairn_dram_way_free(way);
  CHECK_CODE(CAIRN_NOT_FOUND, cairn_dram_route(pool, "other", 5, &way));
  CHECK(strstr(cairn_dram_routing_table(pool), "127.0.0.1:2") != NULL);
  /* Each of these waits for the connections, which fail. */
  int failed = 0;
  for (int i = 0; i < 200 && !failed; ++i) {
    CHECK_CODE(CAIRN_UNAVAILABLE, cairn_dram_delete_range_within(pool, "", 0, "", 0, 50, NULL));
    peers = cairn_dram_peers(pool);
    CHECK(cairn_dram_peer_list_size(peers) == 2 && cairn_dram_peer_list_connected(peers, 1) == 0);
    failed = cairn_status_code(cairn_dram_peer_list_last_error(peers, 1)) == CAIRN_UNAVAILABLE;
    cairn_dram_peer_list_free(peers);
  }
  CHECK(failed);
  cairn_dram_close(pool);
}

static void specs_are_checked(cairn_dram* server, cairn_dram* client) {
  (void)server;
  (void)client;
  CHECK_OK(cairn_dram_check_spec(kNowhere));
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_dram_check_spec("{}"));
}

static void prefixes(cairn_dram* server, cairn_dram* client) {
  (void)server;
  put(client, "a", "");
  put(client, "a/1", "");
  put(client, "a/\xFF", "");
  put(client, "b", "");
  char end[2];
  const size_t size = cairn_dram_prefix_end("a/", 2, end);
  CHECK(size == 2 && memcmp(end, "a0", 2) == 0);
  uint64_t deleted = 0;
  CHECK_OK(cairn_dram_delete_range(client, "a/", 2, end, size, &deleted));
  CHECK(deleted == 2);
  CHECK(cairn_dram_prefix_end("a\xFF", 2, end) == 1 && end[0] == 'b');
  CHECK(cairn_dram_prefix_end("\xFF\xFF", 2, end) == 0);
  CHECK(cairn_dram_prefix_end("", 0, end) == 0);
}

static void nodes_and_their_peers(cairn_dram* server, cairn_dram* client) {
  (void)client;
  cairn_dram_node* one = NULL;
  CHECK_OK(cairn_dram_node_open("127.0.0.1:0", NULL, 0, 1 << 20, &one));
  if (one == NULL) abort();
  const char* peers[2];
  peers[0] = cairn_dram_node_listen_address(one);
  peers[1] = "127.0.0.1:1"; /* nobody is there */
  cairn_dram_node* two = NULL;
  CHECK_OK(cairn_dram_node_open("127.0.0.1:0", peers, 2, 1 << 20, &two));
  if (two == NULL) abort();

  cairn_dram* to_one = cairn_dram_node_store(two, peers[0]);
  put(to_one, "k", "value");
  cairn_read_result read;
  CHECK_OK(cairn_dram_read(cairn_dram_node_store(one, NULL), "k", 1, NULL, &read));
  CHECK(read.state == CAIRN_READ_VALUE && cairn_buffer_size(read.value) == 5);
  cairn_buffer_free(read.value);
  CHECK_OK(cairn_dram_read(cairn_dram_node_store(two, NULL), "k", 1, NULL, &read));
  CHECK(read.state == CAIRN_READ_MISSING);
  cairn_write_options soon = CAIRN_WRITE_OPTIONS_INIT;
  soon.timeout_ms = 20;
  CHECK_CODE(CAIRN_UNAVAILABLE,
             cairn_dram_write(cairn_dram_node_store(two, peers[1]), "k", 1, "v", 1, &soon, NULL));

  const char* own = cairn_dram_node_listen_address(two);
  CHECK(cairn_dram_node_store(two, own) == cairn_dram_node_store(two, NULL));
  CHECK(strcmp(cairn_dram_listen_address(cairn_dram_node_store(two, NULL)), own) == 0);
  CHECK(cairn_dram_node_store(two, "elsewhere:1") == NULL);
  cairn_dram_peer_list* status = cairn_dram_node_peers(two);
  CHECK(cairn_dram_peer_list_size(status) == 2);
  CHECK(strcmp(cairn_dram_peer_list_address(status, 0), peers[0]) == 0);
  CHECK(cairn_dram_peer_list_connected(status, 0) == 1);
  CHECK(cairn_dram_peer_list_connected(status, 1) == 0);
  cairn_dram_peer_list_free(status);

  cairn_dram_node* none = NULL;
  CHECK_CODE(CAIRN_IO_ERROR,
             cairn_dram_node_open(cairn_dram_listen_address(server), NULL, 0, 0, &none));
  peers[1] = "nonsense";
  CHECK_CODE(CAIRN_INVALID_ARGUMENT, cairn_dram_node_open("127.0.0.1:0", peers, 2, 0, &none));
  CHECK(none == NULL);
  cairn_dram_node_close(two);
  cairn_dram_node_close(one);
  cairn_dram_node_close(NULL);
}

const cairn_c_dram_test cairn_c_dram_tests[] = {
    {"RangesWithoutWaiting", ranges_without_waiting},
    {"RangesEndByTheirDeadlineOrCancelled", ranges_end_by_their_deadline_or_cancelled},
    {"Batches", batches},
    {"BatchesWithoutWaiting", batches_without_waiting},
    {"Figures", figures},
    {"RoutesAndPeers", routes_and_peers},
    {"SpecsAreChecked", specs_are_checked},
    {"Prefixes", prefixes},
    {"NodesAndTheirPeers", nodes_and_their_peers},
    {NULL, NULL}};
