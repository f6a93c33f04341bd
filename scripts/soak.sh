#!/usr/bin/env bash
# The long run of the simulator, in chunks of seeds. Each chunk that came to its end is one line of a
# log, with the sums of everything it did; the run goes on behind the last of them when it is started
# again, and ends when there are enough seeds and enough simulated hours in the log. Then, and when it
# is interrupted, the sums over all of the log are printed.
#
#   scripts/soak.sh                    20,000 seeds and 1,000 simulated hours, log in build/soak.log
#   scripts/soak.sh --for 9m           begins no further seed after nine minutes
#   scripts/soak.sh --sum              runs nothing: prints the sums of the log
#   scripts/soak.sh --seeds N --hours H --first SEED --chunk N --threads N --log FILE
#
# Exit code 0: enough was run, and nothing failed. 1: something failed; the seeds are printed.
# 3: nothing failed so far, and there is more to run. A log is of one build of cairn-sim: another
# build needs another log.
source "$(dirname "$0")/common.sh"

seeds=20000
hours=1000
first=1
chunk=500
threads=$(jobs_default)
log=$CAIRN_ROOT/build/soak.log
limit=
sum_only=false
sim=${CAIRN_BIN:-$CAIRN_ROOT/build/bin}/cairn-sim

# seconds TEXT: 90, 90s, 9m or 2h in seconds.
seconds() {
  [[ $1 =~ ^([0-9]+)([smh]?)$ ]] || die "--for: '$1' is no time; write 90s, 9m or 2h"
  local factor=1
  case "${BASH_REMATCH[2]}" in
    m) factor=60 ;;
    h) factor=3600 ;;
  esac
  echo $((BASH_REMATCH[1] * factor))
}

# number NAME TEXT: TEXT, which must be a whole number. 0 chunks or threads are none.
number() {
  [[ ${2:-} =~ ^(0|[1-9][0-9]{0,15})$ && (${2:-} != 0 || $1 = --hours || $1 = --first) ]] ||
    die "$1 needs a whole number, not '${2:-}'"
  echo "$2"
}

while [ $# -gt 0 ]; do
  case "$1" in
    --seeds) seeds=$(number "$1" "${2:-}") ;;
    --hours) hours=$(number "$1" "${2:-}") ;;
    --first) first=$(number "$1" "${2:-}") ;;
    --chunk) chunk=$(number "$1" "${2:-}") ;;
    --threads) threads=$(number "$1" "${2:-}") ;;
    --log) log=${2:?--log needs a file} ;;
    --for) limit=$(seconds "${2:-}") ;;
    --sum)
      sum_only=true
      shift
      continue
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
  shift 2
done

[ -x "$sim" ] || die "$sim is not there; build it first: scripts/test.sh, or ninja -C build cairn-sim"
program=$(sha256sum "$sim" | cut -c1-16)
commit=$(git -c safe.directory='*' -C "$CAIRN_ROOT" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)

# ---- The log: "chunk FIRST..LAST NAME=NUMBER... program=HASH commit=COMMIT", and what failed.
declare -A total=()
names=()
next=$first

# load: adds up the chunks of the log. 64-bit whole numbers: the sums are exact.
load() {
  total=() names=() next=$first
  [ -e "$log" ] || return 0
  local line word name
  while IFS= read -r line; do
    [[ $line =~ ^chunk\ ([0-9]+)\.\.([0-9]+)\ (.*)\ program=([0-9a-f]+)\ commit=([^ ]+)$ ]] || continue
    [ "${BASH_REMATCH[4]}" = "$program" ] || $sum_only ||
      die "$log is of another build of cairn-sim (commit ${BASH_REMATCH[5]}); name another --log"
    [ "${BASH_REMATCH[1]}" = "$next" ] || $sum_only || [ "$next" = "$first" ] ||
      die "$log: chunk ${BASH_REMATCH[1]} does not follow seed $next"
    next=$((BASH_REMATCH[2] + 1))
    for word in ${BASH_REMATCH[3]}; do
      name=${word%%=*}
      [ -n "${total[$name]:-}" ] || names+=("$name")
      total[$name]=$((${total[$name]:-0} + ${word#*=}))
    done
  done <"$log"
}

enough() { [ "${total[seeds]:-0}" -ge "$seeds" ] && [ "${total[simulated_us]:-0}" -ge $((hours * 3600000000)) ]; }

# report: every sum, and what failed.
report() {
  say "seeds up to $((next - 1)), from $log"
  local name
  for name in "${names[@]}"; do printf '%16s  %s\n' "${total[$name]}" "$name"; done
  printf '%13d.%02d  %s\n' $((${total[simulated_us]:-0} / 3600000000)) \
    $((${total[simulated_us]:-0} % 3600000000 / 36000000)) "simulated hours"
  if [ -e "$log" ]; then grep '^FAILED' "$log" || true; fi
}

finish() {
  report
  [ "${total[failed]:-0}" -eq 0 ] || exit 1
  enough || exit 3
  exit 0
}

load
if $sum_only; then finish; fi
work=$(mktemp -d)
stop() {
  # What runs is asked of the shell: a signal may come before a variable could say it.
  local running
  running=$(jobs -p)
  [ -z "$running" ] || kill "$running" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
trap 'say "interrupted; the chunk under way is not counted"; load; report; exit 3' INT TERM

until enough; do
  left=$((${limit:-0} - SECONDS))
  if [ -n "$limit" ] && [ "$left" -le 0 ]; then break; fi
  : >"$work/totals"
  options=(--seeds "$next..$((next + chunk - 1))" --threads "$threads" --shrink-runs 0 --totals "$work/totals")
  if [ -n "$limit" ]; then options+=(--for "${left}s"); fi
  status=0
  "$sim" "${options[@]}" >"$work/out" &
  wait $! || status=$?
  [ -s "$work/totals" ] || die "cairn-sim ended with code $status: $(tail -n 3 "$work/out")"
  # One write a chunk: a line is in the log as a whole or not at all.
  {
    grep -A 1 '^FAILED' "$work/out" | grep -v '^--$' || true
    printf 'chunk %s program=%s commit=%s\n' "$(cat "$work/totals")" "$program" "$commit"
  } >"$work/lines"
  cat "$work/lines" | tee -a "$log"
  load
done
finish
