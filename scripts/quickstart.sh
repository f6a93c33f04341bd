#!/usr/bin/env bash
# From nothing to a running cluster: installs what is missing, builds, starts three nodes on this
# machine, writes, reads, runs a transaction that conflicts and is retried, kills the node that leads,
# shows that the others go on, and reads everything back. Leaves three nodes running.
#
#   scripts/quickstart.sh              all of it; again: goes on with the nodes that run
#   scripts/quickstart.sh --port N     the first node's port, and N + 1, N + 2 (default: 9090, or the
#                                      next three that are free)
#   scripts/quickstart.sh --no-setup   does not look for missing packages
#   scripts/quickstart.sh --no-build   takes the programs as they are, without setup or build
#   scripts/quickstart.sh --folder DIR data, logs and process ids (default: build/run/quickstart)
#   scripts/quickstart.sh --stop       ends the nodes; their data stays
#
# Everything it makes lies under build/, programs in bin/. scripts/cluster.sh does the work with the
# nodes.
source "$(dirname "$0")/common.sh"

cd "$CAIRN_ROOT"
folder=build/run/quickstart
peer_distance=2000

# Members know each other by their ports: each first port has a cluster and a folder of its own.
cluster() { scripts/cluster.sh --folder "$folder/$first_port" --first-port "$first_port" "$@"; }

port_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether nobody listens on the three ports from $1 on, nor on those for peers below them.
ports_free() {
  local port
  for port in "$1" $(($1 + 1)) $(($1 + 2)); do
    if port_taken "$port" || port_taken $((port - peer_distance)); then return 1; fi
  done
}

# Prints the first port: the one asked for, or the first of three that are free.
choose_port() {
  local port
  if [ -n "$wanted_port" ]; then
    ports_free "$wanted_port" || die "one of the ports $wanted_port to $((wanted_port + 2)), or of \
those $peer_distance below, is taken; choose others with --port"
    echo "$wanted_port"
    return
  fi
  for port in $(seq 9090 3 9390); do
    if ports_free "$port"; then
      echo "$port"
      return
    fi
  done
  die "no three ports from 9090 to 9392 are free; choose them with --port"
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

write_and_read() {
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

fail_over() {
  local led
  led=$(cluster leader)
  say "killing node $led, which leads; the others elect a leader and lose nothing"
  cluster kill "$led"
  show put after-the-kill "written while node $led was down"
  say "node $(cluster leader) leads now. Everything is there, read linearizably:"
  show --read-level leader range
  [ "$(build/bin/cairn --read-level leader get counter)" = 11 ] || die "the counter was lost"
  say "starting node $led again"
  cluster start
}

setup=true
build=true
stop=false
wanted_port=
while [ $# -gt 0 ]; do
  case "$1" in
    --stop) stop=true ;;
    --no-setup) setup=false ;;
    --no-build) build=false ;;
    --folder)
      shift
      folder=${1:?--folder needs a path}
      ;;
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

port_file=$folder/first_port
if $stop; then
  first_port=$(cat "$port_file" 2>/dev/null) || die "no nodes were started from here"
  cluster stop
  exit 0
fi
if $build; then
  if $setup; then scripts/setup.sh; fi
  say "building build/bin/cairnd and build/bin/cairn (a few minutes the first time)"
  cmake --preset release >/dev/null
  cmake --build --preset release -j "$(jobs_default)" --target cairnd cairn
fi
mkdir -p "$folder"
first_port=$(cat "$port_file" 2>/dev/null || true)
if [ -n "$first_port" ] && cluster leader >/dev/null 2>&1; then
  say "nodes of an earlier run are still there; going on with them"
elif [ -n "$first_port" ] && [ -z "$wanted_port" ] && ports_free "$first_port"; then
  say "going on with the data of an earlier run"
else
  first_port=$(choose_port)
  echo "$first_port" >"$port_file"
fi
cluster start
CAIRN_ENDPOINTS="127.0.0.1:$first_port,127.0.0.1:$((first_port + 1)),127.0.0.1:$((first_port + 2))"
export CAIRN_ENDPOINTS
write_and_read
fail_over

say "done. The three nodes go on running:"
cat <<TEXT
   export CAIRN_ENDPOINTS=$CAIRN_ENDPOINTS
   build/bin/cairn --help          # what else it can do
   build/bin/cairn status
   scripts/quickstart.sh --stop    # ends them; their data stays in $folder/$first_port
TEXT
