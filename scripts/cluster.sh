#!/usr/bin/env bash
# A cluster of three nodes on this machine, from the files in configs/cluster.
#
#   scripts/cluster.sh start           starts the nodes that don't run, and waits until one leads
#   scripts/cluster.sh status          who runs, who leads
#   scripts/cluster.sh leader          the number of the node that leads; waits for an election
#   scripts/cluster.sh kill N          ends node N at once, as a crash would (SIGKILL)
#   scripts/cluster.sh stop [N]        asks all nodes, or node N, to end; their data stays
#
# Options, before the command:
#   --folder DIR       data, logs and process ids (default: build/run/cluster)
#   --first-port P     Thrift ports P, P + 1, P + 2, peers 2000 below (default: 9090)
#
# Needs build/bin/cairnd and build/bin/cairn: scripts/quickstart.sh builds them.
source "$(dirname "$0")/common.sh"

cd "$CAIRN_ROOT"
folder=build/run/cluster
first_port=9090
nodes="0 1 2"
timeout_s=60

port_of() { echo $((first_port + $1)); }
endpoint_of() { echo "127.0.0.1:$(port_of "$1")"; }
endpoints() { echo "$(endpoint_of 0),$(endpoint_of 1),$(endpoint_of 2)"; }

# Prints the process id of node N; fails if it does not run. A stale file names no cairnd.
running() {
  local pid
  pid=$(cat "$folder/node$1.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = cairnd ] || return 1
  echo "$pid"
}

# until_true SECONDS COMMAND...: waits until the command succeeds; fails after so many seconds.
until_true() {
  local tries=$(($1 * 20))
  shift
  while ! "$@"; do
    [ $((tries -= 1)) -gt 0 ] || return 1
    sleep 0.05
  done
}

# The file of node N, with the ports and the folder of this cluster.
write_config() {
  sed -e "s|\"localhost:909\\([0-9]\\)\"|\"127.0.0.1:@\\1@\"|g" \
    -e "s|base_path = .*|base_path = \"$folder/data\"|" "configs/cluster/node$1.toml" |
    sed -e "s|@0@|$(port_of 0)|; s|@1@|$(port_of 1)|; s|@2@|$(port_of 2)|" >"$folder/node$1.toml"
}

start_node() {
  if running "$1" >/dev/null; then return; fi
  write_config "$1"
  setsid build/bin/cairnd --config "$folder/node$1.toml" --log-dir "$folder/log$1" --grpc-port 0 \
    --http-port 0 </dev/null >"$folder/node$1.out" 2>&1 &
  echo $! >"$folder/node$1.pid"
}

answers() { build/bin/cairn --endpoints "$(endpoint_of "$1")" --timeout-ms 1000 status >/dev/null 2>&1; }

# Prints the number of the node that leads, as node $1 sees it; fails if it knows none.
leader_by() {
  build/bin/cairn --endpoints "$(endpoint_of "$1")" --timeout-ms 1000 --json status 2>/dev/null |
    sed -n 's/.*"leader":{"node_id":\([0-9]*\).*/\1/p' | grep .
}

# Prints the number of the node that leads, as anybody sees it whose word can hold: it must run.
leader() {
  local node led
  for node in $nodes; do
    running "$node" >/dev/null || continue
    led=$(leader_by "$node") || continue
    if running "$led" >/dev/null; then
      echo "$led"
      return
    fi
  done
  return 1
}
has_leader() { leader >/dev/null; }

# Prints the number of the node that leads; waits a while for one, if any node runs: there is none
# during an election.
await_leader() {
  local node
  for node in $nodes; do
    running "$node" >/dev/null || continue
    until_true 30 has_leader && leader
    return
  done
  return 1
}

node_gone() { ! running "$1" >/dev/null; }

check_node() {
  case "$1" in 0 | 1 | 2) ;; *) die "node '$1': the nodes are 0, 1 and 2" ;; esac
}

start() {
  local node
  [ -x build/bin/cairnd ] || die "build/bin/cairnd is missing; scripts/quickstart.sh builds it"
  mkdir -p "$folder"
  for node in $nodes; do start_node "$node"; done
  for node in $nodes; do
    if ! until_true "$timeout_s" answers "$node"; then
      tail -n 5 "$folder/node$node.out" >&2
      die "node $node does not answer after $timeout_s s; its log is in $folder/log$node"
    fi
  done
  until_true "$timeout_s" has_leader || die "nobody leads after $timeout_s s; see $folder/log*"
  say "nodes 0, 1 and 2 run on ports $(port_of 0) to $(port_of 2); node $(leader) leads"
  say "export CAIRN_ENDPOINTS=$(endpoints)"
}

status() {
  local node led
  led=$(leader) || led=
  for node in $nodes; do
    if ! running "$node" >/dev/null; then
      echo "node $node: does not run"
    elif answers "$node"; then
      echo "node $node: process $(running "$node"), $(endpoint_of "$node")$([ "$led" = "$node" ] && echo ', leads')"
    else
      echo "node $node: process $(running "$node"), does not answer"
    fi
  done
}

kill_node() {
  local pid
  check_node "$1"
  pid=$(running "$1") || die "node $1 does not run"
  kill -KILL "$pid"
  until_true 10 node_gone "$1" || die "process $pid does not end"
  rm -f "$folder/node$1.pid"
  say "node $1 (process $pid) was killed"
}

stop_nodes() {
  local node pid
  for node in "$@"; do
    check_node "$node"
    if pid=$(running "$node"); then kill -TERM "$pid"; fi
  done
  for node in "$@"; do
    until_true "$timeout_s" node_gone "$node" || die "node $node did not stop within $timeout_s s"
    rm -f "$folder/node$node.pid"
  done
  say "stopped: node $*; the data stays in $folder/data"
}

while [ $# -gt 0 ]; do
  case "$1" in
    --folder)
      folder=${2:?--folder needs a path}
      shift
      ;;
    --first-port)
      first_port=${2:?--first-port needs a number}
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) die "unknown option '$1' (see --help)" ;;
    *) break ;;
  esac
  shift
done
command=${1:-}
shift || true
case "$command" in
  start) start ;;
  status) status ;;
  leader) await_leader || die "nobody leads" ;;
  kill) kill_node "${1:?kill needs the number of a node}" ;;
  stop)
    if [ $# -eq 0 ]; then set -- 0 1 2; fi
    stop_nodes "$@"
    ;;
  *) die "which command? start, status, leader, kill N or stop (see --help)" ;;
esac
