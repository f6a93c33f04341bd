/* The client from C: two accounts, and transfers between them that can't lose money, whoever else
 * transfers at the same time.
 *
 *   example_accounts_c localhost:9090                  over Thrift
 *   example_accounts_c grpc://localhost:50051          over gRPC
 *   example_accounts_c node1:9090,node2:9091,...       a cluster
 */
#include <cairn/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program if something went wrong. */
static void check(cairn_status* status, const char* what) {
  if (status == NULL) return;
  fprintf(stderr, "%s: %s: %s\n", what, cairn_status_code_name(cairn_status_code(status)),
          cairn_status_message(status));
  cairn_status_free(status);
  exit(1);
}

typedef struct transfer {
  const char* from;
  const char* to;
  long amount;
} transfer;

/* What an account holds; nothing if there is none. */
static cairn_status* balance(cairn_tx* tx, const char* account, long* amount) {
  cairn_value* value = NULL;
  cairn_status* status = cairn_tx_get(tx, account, strlen(account), NULL, &value);
  if (status != NULL) return status;
  /* A zero stands behind the bytes of a value, so text can be read as it is. */
  *amount = strtol((const char*)cairn_value_data(value, NULL), NULL, 10);
  cairn_value_free(value);
  return NULL;
}

static void set_balance(cairn_tx* tx, const char* account, long amount) {
  char text[24];
  const int size = snprintf(text, sizeof text, "%ld", amount);
  cairn_tx_set(tx, account, strlen(account), text, (size_t)size, NULL);
}

/* The body of a transaction. It may run several times, so it does nothing but read and write in the
 * transaction. */
static cairn_status* do_transfer(void* argument, cairn_tx* tx) {
  const transfer* order = (const transfer*)argument;
  long from = 0;
  long to = 0;
  cairn_status* status = balance(tx, order->from, &from);
  if (status == NULL) status = balance(tx, order->to, &to);
  if (status != NULL) return status; /* as it is: some are worth another try */
  if (from < order->amount) return cairn_status_new(CAIRN_CONDITION_FAILED, "not enough money");
  set_balance(tx, order->from, from - order->amount);
  set_balance(tx, order->to, to + order->amount);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s ENDPOINTS\n", argv[0]);
    return 2;
  }
  cairn_client* client = NULL;
  check(cairn_client_open(argv[1], NULL, &client), "open");
  check(cairn_client_set(client, "account/ann", 11, "100", 3, NULL, NULL), "set");
  check(cairn_client_set(client, "account/bob", 11, "20", 2, NULL, NULL), "set");

  transfer order = {"account/ann", "account/bob", 30};
  check(cairn_client_run(client, do_transfer, &order, NULL, NULL), "transfer");
  order.amount = 1000;
  cairn_status* refused = cairn_client_run(client, do_transfer, &order, NULL, NULL);
  printf("1000 more: %s\n", cairn_status_message(refused));
  cairn_status_free(refused);

  /* Every account: the keys that begin with "account/". */
  const char* prefix = "account/";
  char end[8];
  const size_t end_size = cairn_range_prefix_end(prefix, strlen(prefix), end);
  const cairn_range range = cairn_range_between(prefix, strlen(prefix), end, end_size);
  cairn_pairs* pairs = NULL;
  check(cairn_client_range(client, &range, NULL, &pairs), "range");
  for (size_t i = 0; i < cairn_pairs_size(pairs); ++i) {
    printf("%s: %s\n", (const char*)cairn_pairs_key(pairs, i, NULL),
           (const char*)cairn_pairs_value(pairs, i, NULL));
  }
  cairn_pairs_free(pairs);
  cairn_client_close(client);
  return 0;
}
