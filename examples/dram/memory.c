/* The memory plane from C: a server and a client of it, in one process to make the example short.
 *
 *   example_memory_c
 */
#include <cairn/c.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program if something went wrong. */
static void check(cairn_status* status, const char* what) {
  if (status == NULL) return;
  fprintf(stderr, "%s: reason %d: %s\n", what, (int)cairn_status_code(status),
          cairn_status_message(status));
  cairn_status_free(status);
  exit(1);
}

static void show(const char* what, const cairn_read_result* read) {
  if (read->state != CAIRN_READ_VALUE) {
    printf("%s: no value\n", what);
    return;
  }
  printf("%s: %.*s\n", what, (int)cairn_buffer_size(read->value),
         (const char*)cairn_buffer_data(read->value));
  cairn_buffer_free(read->value);
}

int main(void) {
  cairn_dram* server = NULL;
  check(
      cairn_dram_open("{\"listen_addr\": \"127.0.0.1:0\", \"capacity_bytes\": \"64MiB\"}", &server),
      "open the server");
  char spec[256];
  snprintf(spec, sizeof(spec), "{\"remote_addr\": \"%s\"}", cairn_dram_listen_address(server));
  cairn_dram* client = NULL;
  check(cairn_dram_open(spec, &client), "open the client");

  /* Write, and read all of it and a part. */
  cairn_generation first;
  check(cairn_dram_write(client, "fruit/apple", 11, "red apple", 9, NULL, &first), "write");
  cairn_read_result read;
  check(cairn_dram_read(client, "fruit/apple", 11, NULL, &read), "read");
  show("fruit/apple", &read);
  cairn_read_options part = CAIRN_READ_OPTIONS_INIT;
  part.inclusive_min = -5;
  check(cairn_dram_read(client, "fruit/apple", 11, &part, &read), "read a part");
  show("its last five bytes", &read);

  /* Only if nobody has written it since. */
  cairn_write_options options = CAIRN_WRITE_OPTIONS_INIT;
  options.if_equal = first;
  cairn_generation second;
  check(cairn_dram_write(client, "fruit/apple", 11, "green", 5, &options, &second), "write again");
  cairn_generation third;
  check(cairn_dram_write(client, "fruit/apple", 11, "blue", 4, &options, &third),
        "write once more");
  printf("the third write %s\n",
         third.boot_id == 0 && third.counter == 0 ? "came too late" : "won");

  /* What there is. */
  check(cairn_dram_write(client, "fruit/pear", 10, "", 0, NULL, NULL), "write nothing");
  cairn_list* list = NULL;
  check(cairn_dram_list(client, "fruit/", 6, "fruit0", 6, 6, &list), "list");
  for (size_t i = 0; i < cairn_list_size(list); ++i) {
    size_t size = 0;
    const char* key = (const char*)cairn_list_key(list, i, &size);
    printf("%.*s: %lu bytes\n", (int)size, key, (unsigned long)cairn_list_value_bytes(list, i));
  }
  cairn_list_free(list);
  uint64_t deleted = 0;
  check(cairn_dram_delete_range(client, "fruit/", 6, "", 0, &deleted), "delete");
  printf("deleted %lu\n", (unsigned long)deleted);

  cairn_dram_close(client);
  cairn_dram_close(server);
  return 0;
}
