#!/usr/bin/env bash
# Builds the release programs and the benchmarks, measures Cairn beside its peers on this machine,
# and rewrites the figures in docs/benchmarks.md. Takes about ten minutes; leave the machine alone.
#
#   scripts/bench.sh                    all of it
#   scripts/bench.sh --no-docs ...      prints the figures, and leaves the page alone
#   scripts/bench.sh --only sets ...    one part: sets, syncs, gets, engine or memory (prints only)
#   scripts/bench.sh --front ...        gRPC beside etcd and Redis, the C++ client, the metrics; with
#                                       --only: sets, gets, scan, client or scrape.
#   scripts/bench.sh --ycsb ...         YCSB A to F beside etcd and Redis. A round takes two minutes,
#                                       and 40 times --seconds.
#   scripts/bench.sh --cluster ...      three nodes beside three etcd nodes; with --only: writes, reads,
#                                       syncs, failover, catch_up or memory. Takes half an hour.
#   scripts/bench.sh --dram ...         the memory plane beside UCX itself, Redis and memcached; with
#                                       --only: small, crowd, large, streams, round_trips, zarr, rest,
#                                       overhead, fragmentation or nodes. Takes about 40 minutes; a part
#                                       with --rounds 5 --seconds 2 at most four.
#   scripts/bench.sh --join --only ...  measures one part, takes the others from the last run of the same
#                                       commit, and writes all of them: a run in pieces
#   scripts/bench.sh --rounds 3 --seconds 5     shorter (default: 5 rounds of 10 s)
#   scripts/bench.sh --note "WORDS"     a sentence about the circumstances, for the page
source "$(dirname "$0")/common.sh"

docs=(--docs docs/benchmarks.md)
options=()
join=()
only=
program=bench/run_bench.py
named=scripts/bench.sh
programs=(cairnd cairn cairn-load cairn-failover fsync_probe
  cairn_python cairn_python_files dram_memory_test engine_bench core_bench thrift_echo_server)
tests=(load_test bench_load_test bench_dram_test) # of the loader itself
while [ $# -gt 0 ]; do
  case "$1" in
    --no-docs) docs=() ;;
    --front)
      program=bench/run_front_bench.py
      programs=(cairnd cairn cairn-load client_overhead kvstore_thrift_py)
      named="scripts/bench.sh --front"
      ;;
    --ycsb)
      program=bench/run_ycsb_bench.py
      programs=(cairnd cairn cairn-load)
      named="scripts/bench.sh --ycsb"
      ;;
    --cluster)
      program=bench/run_cluster_bench.py
      named="scripts/bench.sh --cluster"
      ;;
    --dram)
      program=bench/dram/run_dram_bench.py
      named="scripts/bench.sh --dram"
      ;;
    --join)
      join=(--join)
      ;;
    --only)
      only=yes
      options+=("$1" "${2:?--only needs a part}")
      shift
      ;;
    --rounds | --seconds | --note)
      options+=("$1" "${2:?$1 needs a value}")
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
  shift
done

if [ -n "$only" ] && [ ${#join[@]} -eq 0 ]; then docs=(); fi

cd "$CAIRN_ROOT"
scripts/setup.sh --list apt-packages.txt --list bench/peers/apt-packages.txt \
  --list bench/dram/apt-packages.txt
say "building"
cmake --preset release -DCAIRN_BENCH=ON >/dev/null
cmake --build --preset release --target "${programs[@]}" "${tests[@]}"
for test in "${tests[@]}"; do "build/bin/$test" --gtest_brief=1; done
say "measuring"
/usr/bin/python3 "$program" --bin build/bin --scratch build/bench-run \
  --command "$named${options[*]:+ ${options[*]}}" "${docs[@]}" "${join[@]}" "${options[@]}"
