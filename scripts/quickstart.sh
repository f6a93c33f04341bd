#!/usr/bin/env bash
# From nothing to a running node: installs what is missing, builds, starts one node on this machine,
# writes, reads, and runs a transaction that conflicts and is retried. Leaves the node running.
#
#   scripts/quickstart.sh              all of it; again: goes on with the node that runs
#   scripts/quickstart.sh --port N     the node's port (default: 9090, or the next one that is free)
#   scripts/quickstart.sh --no-setup   does not look for missing packages
#   scripts/quickstart.sh --stop       ends the node; its data stays
#
# Everything it makes lies under build/: programs in bin/, the node's data, log and process id in run/.
source "$(dirname "$0")/common.sh"

cd "$CAIRN_ROOT"
run=build/run
pid_file=$run/cairnd.pid
endpoint_file=$run/cairnd.endpoint
data=$run/quickstart
first_port=9090
start_timeout_s=60
stop_timeout_s=60

# Prints the process id of our node; fails if it does not run. A stale file names no cairnd.
running_node() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = cairnd ] || return 1
  echo "$pid"
}

stop_node() {
  local pid tries
  if ! pid=$(running_node); then
    rm -f "$pid_file" "$endpoint_file"
    say "no node is running"
    return
  fi
  say "asking the node (process $pid) to stop"
  kill -TERM "$pid"
  for ((tries = 0; tries < stop_timeout_s * 10; ++tries)); do
    if ! running_node >/dev/null; then
      rm -f "$pid_file" "$endpoint_file"
      say "the node has stopped; its data stays in $data"
      return
    fi
    sleep 0.1
  done
  die "the node did not stop within $stop_timeout_s s; its log is in $data/log"
}

port_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the port to serve on: the one asked for, or the first that nobody listens on.
choose_port() {
  local port
  if [ -n "$wanted_port" ]; then
    if port_taken "$wanted_port"; then die "port $wanted_port is taken; choose another with --port"; fi
    echo "$wanted_port"
    return
  fi
  for ((port = first_port; port < first_port + 100; ++port)); do
    if ! port_taken "$port"; then
      echo "$port"
      return
    fi
  done
  die "ports $first_port to $((first_port + 99)) are all taken; choose one with --port"
}

start_node() {
  local pid port tries
  port=$(choose_port)
  mkdir -p "$data/log"
  say "starting a node on 127.0.0.1:$port, its data in $data"
  setsid build/bin/cairnd --data-dir "$data/data" --log-dir "$data/log" --port "$port" \
    </dev/null >"$data/output.txt" 2>&1 &
  pid=$!
  echo "$pid" >"$pid_file"
  echo "127.0.0.1:$port" >"$endpoint_file"
  for ((tries = 0; tries < start_timeout_s * 10; ++tries)); do
    if build/bin/cairn --endpoints "127.0.0.1:$port" status >/dev/null 2>&1; then return; fi
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$pid_file" "$endpoint_file"
      tail -n 20 "$data/output.txt" >&2
      die "the node ended; what it said is above, its log is in $data/log"
    fi
    sleep 0.1
  done
  die "the node does not answer after $start_timeout_s s; its log is in $data/log"
}

# show ARGUMENTS...: prints a call of the command line, and makes it.
show() {
  local word line='   $ build/bin/cairn'
  for word in "$@"; do
    if [[ $word == *' '* ]]; then word="\"$word\""; fi
    line+=" $word"
  done
  printf '%s\n' "$line"
  build/bin/cairn "$@" | sed 's/^/   /'
}

demonstrate() {
  say "writing and reading a key"
  show put greeting "hello from Cairn"
  show get greeting

  say "a transaction that conflicts: it adds 1 to a counter, and before it commits someone else sets"
  say "the counter to 10. Its first attempt is refused, the second one starts from 10"
  show put counter 1
  local script
  script='add counter 1
exec-once build/bin/cairn put counter 10'
  sed 's/^/   | /' <<<"$script"
  printf '   $ build/bin/cairn txn\n'
  build/bin/cairn txn <<<"$script" 2>&1 | sed 's/^/   /'
  show get counter
  [ "$(build/bin/cairn get counter)" = 11 ] || die "the counter should be 11: the transaction was not isolated"
}

setup=true
wanted_port=
while [ $# -gt 0 ]; do
  case "$1" in
    --stop)
      stop_node
      exit 0
      ;;
    --no-setup) setup=false ;;
    --port)
      shift
      wanted_port=${1:?--port needs a number}
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
  shift
done

if $setup; then scripts/setup.sh; fi
say "building build/bin/cairnd and build/bin/cairn (a few minutes the first time)"
cmake --preset release >/dev/null
cmake --build --preset release -j "$(jobs_default)" --target cairnd cairn
mkdir -p "$run"
if pid=$(running_node); then
  say "the node of an earlier run is still there (process $pid); going on with it"
else
  start_node
fi
CAIRN_ENDPOINTS=$(cat "$endpoint_file")
export CAIRN_ENDPOINTS
demonstrate

say "done. The node goes on running:"
cat <<TEXT
   export CAIRN_ENDPOINTS=$CAIRN_ENDPOINTS
   build/bin/cairn --help          # what else it can do
   build/bin/cairn status
   scripts/quickstart.sh --stop    # ends the node; its data stays in $data
TEXT
