// The Thrift interface of a Cairn node: service TransactionalKV.
//
// Two layers share this file.
//   * Fields below id 100 and the first twenty methods are the interface of the earlier single-node
//     service. Its clients work unchanged, so nothing there may move: no id, name, type,
//     requiredness or default.
//   * Fields from id 100 up, and the methods after `getNodeInfo`, are Cairn's own. They are all
//     optional: a client that does not know them gets the earlier behaviour.
//
// Transport: TCP. Unframed strict binary is the common case; framed binary, unframed compact and
// framed compact are recognised on the same port. Requests on one connection are answered in order.
//
// Failures are reported in the response (`error`, `error_code`), never as exceptions; only `ping`
// has no place for one. On success `error` is unset.
//
// Fields of Cairn's own, which mean the same wherever they stand:
//   100 read_level         "local", "leader" or "read_index"; unset: as the node is configured.
//                          "leader" and "read_index" are linearizable.
//   101 min_version        wait until the node has applied this version, so that a client reads its
//                          own writes on any node.
//   102 no_forwarding      true: a node that is not the leader answers NOT_LEADER with `leader_hint`
//                          instead of sending the request on.
//   103 deadline_ms        how long the client waits, in milliseconds from when the request arrives;
//                          then it gets TIMEOUT.
//   104 session_id         of openSession. With it, a write is applied at most once, however often
//   105 session_sequence   it is sent with the same sequence number (counted from 1).
//   106 session_first_outstanding  the client has the answers to all sequence numbers below.
// and of responses:
//   100 leader_hint        "host:port" of the leader, with NOT_LEADER, if known.
//   101 error_code         where the earlier response has none.
//   102 version            of the commit (writes), of the value that was found (point reads), or
//                          that the whole answer was read at (ranges).
//   103 maybe_applied      true on a failed write that may have been applied all the same. Sending
//                          it again is safe only under a session.
//
// There is no Python namespace: the generated module is `kvstore`.

namespace cpp cairn.thrift_api

// ---- Point reads and writes

struct GetRequest {
  1: required binary key
  2: optional string column_family   // unset or "": the default family
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

// Not found: `value` empty, `found` false, `error` unset.
struct GetResponse {
  1: required binary value
  2: required bool found
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
}

struct SetRequest {
  1: required binary key
  2: required binary value
  3: optional string column_family
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

struct SetResponse {
  1: required bool success
  2: optional string error
  3: optional string error_code
  100: optional string leader_hint
  102: optional i64 version
  103: optional bool maybe_applied
}

struct DeleteRequest {
  1: required binary key
  2: optional string column_family
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

// Deleting a key that does not exist succeeds.
struct DeleteResponse {
  1: required bool success
  2: optional string error
  3: optional string error_code
  100: optional string leader_hint
  102: optional i64 version
  103: optional bool maybe_applied
}

// ---- Ranges

struct KeyValue {
  1: required binary key
  2: required binary value
}

// A position among the keys: find the last key < `key` (<= with `or_equal`), then move `offset` keys
// onwards. The first key >= k is {k, false, 1}.
struct KeySelector {
  1: required binary key
  2: required bool or_equal
  3: required i32 offset
}

// The keys from `begin_key` (unset: "") to `end_key` (unset: the single byte 0xFF). Each bound is
// included if its `or_equal` is true. `begin_offset` skips that many results (negative: none);
// `end_offset` moves the end by whole keys. A `limit` of 0 or less is bounded by bytes alone.
//
// Cairn's own fields give FoundationDB's meaning instead: if `begin_selector` is set, the range is
// from the key it stands for up to but not including that of `end_selector` (unset: to the end of
// the family), and the fields 1 to 6 are not used. `reverse`: from the end backwards. `max_bytes`
// bounds keys and values of the answer; unset or 0: as the node is configured.
struct GetRangeRequest {
  1: optional binary begin_key
  2: optional binary end_key
  3: optional i32 begin_offset = 0
  4: optional bool begin_or_equal = true
  5: optional i32 end_offset = 0
  6: optional bool end_or_equal = false
  7: optional i32 limit = 1000
  8: optional string column_family
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  110: optional KeySelector begin_selector
  111: optional KeySelector end_selector
  112: optional bool reverse
  113: optional i64 max_bytes
}

// `has_more` only if a further key of the range exists.
struct GetRangeResponse {
  1: required list<KeyValue> key_values
  2: required bool success
  3: optional string error
  4: required bool has_more = false
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
}

// ---- Reads at a version

struct SnapshotReadRequest {
  1: required binary key
  2: required i64 read_version
  3: optional string column_family
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

struct SnapshotReadResponse {
  1: required binary value
  2: required bool found
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
}

struct SnapshotGetRequest {
  1: required binary key
  2: required i64 read_version
  3: optional string column_family
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

struct SnapshotGetResponse {
  1: required binary value
  2: required bool found
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
}

struct SnapshotGetRangeRequest {
  1: optional binary begin_key
  2: optional binary end_key
  3: optional i32 begin_offset = 0
  4: optional bool begin_or_equal = true
  5: optional i32 end_offset = 0
  6: optional bool end_or_equal = false
  7: required i64 read_version
  8: optional i32 limit = 1000
  9: optional string column_family
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  110: optional KeySelector begin_selector
  111: optional KeySelector end_selector
  112: optional bool reverse
  113: optional i64 max_bytes
}

struct SnapshotGetRangeResponse {
  1: required list<KeyValue> key_values
  2: required bool success
  3: optional string error
  4: required bool has_more = false
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
}

// ---- Transactions

struct GetReadVersionRequest {
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

// At least 1 on a new store; grows with every write; never repeats, not even after a restart.
struct GetReadVersionResponse {
  1: required i64 read_version
  2: required bool success
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
}

struct GetCommittedVersionRequest {
  100: optional string read_level
  101: optional i64 min_version
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

struct GetCommittedVersionResponse {
  1: required i64 version
  2: required bool success
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
}

// `type` is exactly one of: set, delete, SET_VERSIONSTAMPED_KEY, SET_VERSIONSTAMPED_VALUE. The last
// two replace the last 10 bytes of the key (of the value) with the versionstamp of the commit:
// 8 bytes version and 2 bytes order within it, both big-endian.
struct Operation {
  1: required string type
  2: required binary key
  3: optional binary value
  4: optional string column_family
}

// [begin_key, end_key); an empty end_key is the end of the family. begin_key > end_key is refused.
struct ConflictRange {
  1: required binary begin_key
  2: required binary end_key
  3: optional string column_family
}

// A conflict key of one family. Those of `read_conflict_keys` are checked in every family.
struct ConflictKey {
  1: required binary key
  2: optional string column_family
}

// Applied in order, all at one version, if nothing in the conflict sets was changed after
// `read_version`; CONFLICT otherwise. `timeout_seconds` bounds the wait: TIMEOUT.
struct AtomicCommitRequest {
  1: required i64 read_version
  2: required list<Operation> operations
  3: required list<binary> read_conflict_keys
  4: optional i64 timeout_seconds = 60
  102: optional bool no_forwarding
  103: optional i64 deadline_ms      // if both are given, the shorter of this and timeout_seconds
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
  110: optional list<ConflictRange> read_conflict_ranges
  111: optional list<ConflictKey> scoped_read_conflict_keys
}

// `committed_version` only on success.
struct AtomicCommitResponse {
  1: required bool success
  2: optional string error
  3: optional string error_code
  4: optional i64 committed_version
  100: optional string leader_hint
  103: optional bool maybe_applied
}

// Three calls of the earlier service that never had a connection to keep their state in: they
// answer `success` false with a text, always.
struct AddReadConflictRequest {
  1: required binary key
  2: optional string column_family
}

struct AddReadConflictResponse {
  1: required bool success
  2: optional string error
}

struct AddReadConflictRangeRequest {
  1: required binary start_key
  2: required binary end_key
  3: optional string column_family
}

struct AddReadConflictRangeResponse {
  1: required bool success
  2: optional string error
}

struct SetReadVersionRequest {
  1: required i64 version
}

struct SetReadVersionResponse {
  1: required bool success
  2: optional string error
}

// ---- Versionstamped writes outside a transaction

// If the last 10 bytes of `key_prefix` are all zero they are replaced by the versionstamp; anything
// else is stored as given.
struct SetVersionstampedKeyRequest {
  1: required binary key_prefix
  2: required binary value
  3: optional string column_family
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

struct SetVersionstampedKeyResponse {
  1: required binary generated_key
  2: required bool success
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
  103: optional bool maybe_applied
}

struct SetVersionstampedValueRequest {
  1: required binary key
  2: required binary value_prefix
  3: optional string column_family
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

struct SetVersionstampedValueResponse {
  1: required binary generated_value
  2: required bool success
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
  103: optional bool maybe_applied
}

// ---- Diagnostics

// A `probability` above 0 arms the fault, else it is cleared. `fault_type` comes back as the
// `error_code` of the operations that fail, `duration_ms` later. Refused unless the node was started
// with fault injection allowed.
struct FaultInjectionRequest {
  1: required string fault_type
  2: optional double probability = 0.0
  3: optional i32 duration_ms = 0
  4: optional string target_operation   // unset: every operation
}

struct FaultInjectionResponse {
  1: required bool success
  2: optional string error
  101: optional string error_code
}

struct PingRequest {
  1: optional binary message
  2: optional i64 timestamp
}

// Echoes; a missing message is "pong", a missing timestamp 0. `server_timestamp` in microseconds.
struct PingResponse {
  1: required binary message
  2: required i64 timestamp
  3: required i64 server_timestamp
}

struct NodeStatus {
  1: required i32 node_id
  2: required string endpoint
  3: required string status              // healthy, degraded, unreachable or unknown
  4: required bool is_leader
  5: required i64 last_seen_timestamp    // seconds since the Unix epoch
  6: required i64 term
  7: optional i64 uptime_seconds
  101: optional string grpc_endpoint     // "host:port" of its gRPC service, if it is known to serve it
}

struct ClusterHealth {
  1: required list<NodeStatus> nodes
  2: required i32 healthy_nodes_count
  3: required i32 total_nodes_count
  4: optional NodeStatus leader
  5: required string cluster_status      // healthy (all nodes), degraded (a majority of the voters) or unhealthy
  6: required i64 current_term
}

// Measured since the node started; the first two are the engine's estimates.
struct DatabaseStats {
  1: required i64 total_keys
  2: required i64 total_size_bytes
  3: required i64 write_operations_count
  4: required i64 read_operations_count
  5: required double average_response_time_ms
  6: required i64 active_transactions
  7: required i64 committed_transactions
  8: required i64 aborted_transactions
  9: optional i64 cache_hit_rate_percent       // with include_detailed_stats, if measured
  10: optional i64 compaction_pending_bytes    // the same
}

struct GetClusterHealthRequest {
  1: optional string auth_token
}

struct GetClusterHealthResponse {
  1: required bool success
  2: optional ClusterHealth cluster_health
  3: optional string error
}

struct GetDatabaseStatsRequest {
  1: optional string auth_token
  2: optional bool include_detailed_stats = false
}

struct GetDatabaseStatsResponse {
  1: required bool success
  2: optional DatabaseStats database_stats
  3: optional string error
}

struct GetNodeInfoRequest {
  1: optional string auth_token
  2: optional i32 node_id       // unset: the node that answers
}

struct GetNodeInfoResponse {
  1: required bool success
  2: optional NodeStatus node_info
  3: optional string error
  101: optional string error_code
}

// ---- Cairn's own: column families and sessions

struct CreateColumnFamilyRequest {
  1: required string name
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

struct DropColumnFamilyRequest {
  1: required string name
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
  104: optional i64 session_id
  105: optional i64 session_sequence
  106: optional i64 session_first_outstanding
}

struct ListColumnFamiliesRequest {
}

// "default" first, then in byte order.
struct ListColumnFamiliesResponse {
  1: required list<string> names
  2: required bool success
  3: optional string error
  101: optional string error_code
}

struct OpenSessionRequest {
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

// A session expires when it is not used for a while; then its writes get SESSION_EXPIRED.
struct OpenSessionResponse {
  1: required i64 session_id
  2: required bool success
  3: optional string error
  100: optional string leader_hint
  101: optional string error_code
}

struct CloseSessionRequest {
  1: required i64 session_id
  102: optional bool no_forwarding
  103: optional i64 deadline_ms
}

// Of createColumnFamily, dropColumnFamily and closeSession.
struct AdminResponse {
  1: required bool success
  2: optional string error
  100: optional string leader_hint
  101: optional string error_code
  102: optional i64 version
  103: optional bool maybe_applied
}

service TransactionalKV {
  GetReadVersionResponse getReadVersion(1: GetReadVersionRequest request)
  SnapshotReadResponse snapshotRead(1: SnapshotReadRequest request)
  AtomicCommitResponse atomicCommit(1: AtomicCommitRequest request)

  GetResponse get(1: GetRequest request)
  SetResponse setKey(1: SetRequest request)
  DeleteResponse deleteKey(1: DeleteRequest request)

  GetRangeResponse getRange(1: GetRangeRequest request)
  SnapshotGetResponse snapshotGet(1: SnapshotGetRequest request)
  SnapshotGetRangeResponse snapshotGetRange(1: SnapshotGetRangeRequest request)

  AddReadConflictResponse addReadConflict(1: AddReadConflictRequest request)
  AddReadConflictRangeResponse addReadConflictRange(1: AddReadConflictRangeRequest request)
  SetReadVersionResponse setReadVersion(1: SetReadVersionRequest request)
  GetCommittedVersionResponse getCommittedVersion(1: GetCommittedVersionRequest request)

  SetVersionstampedKeyResponse setVersionstampedKey(1: SetVersionstampedKeyRequest request)
  SetVersionstampedValueResponse setVersionstampedValue(1: SetVersionstampedValueRequest request)

  FaultInjectionResponse setFaultInjection(1: FaultInjectionRequest request)
  PingResponse ping(1: PingRequest request)
  GetClusterHealthResponse getClusterHealth(1: GetClusterHealthRequest request)
  GetDatabaseStatsResponse getDatabaseStats(1: GetDatabaseStatsRequest request)
  GetNodeInfoResponse getNodeInfo(1: GetNodeInfoRequest request)

  AdminResponse createColumnFamily(1: CreateColumnFamilyRequest request)
  AdminResponse dropColumnFamily(1: DropColumnFamilyRequest request)
  ListColumnFamiliesResponse listColumnFamilies(1: ListColumnFamiliesRequest request)
  OpenSessionResponse openSession(1: OpenSessionRequest request)
  AdminResponse closeSession(1: CloseSessionRequest request)
}
