#!/usr/bin/env bash
# Runs clang-tidy with the repository's .clang-tidy; any finding is an error.
#
#   scripts/tidy.sh                   every source file of src, apps, sim and bench but the tests
#   scripts/tidy.sh --changed [REV]   those that differ from REV (default: HEAD) or are new
#   scripts/tidy.sh FILE...           the given files
#   scripts/tidy.sh --build DIR ...   takes the compile commands of DIR (default: build)
#
# Files that the build folder does not compile are left out. Configure it first (scripts/test.sh).
source "$(dirname "$0")/common.sh"

build=build
changed=
files=()
while [ $# -gt 0 ]; do
  case "$1" in
    --build)
      shift
      build=${1:?--build needs a folder}
      ;;
    --changed)
      changed=HEAD
      if [ $# -gt 1 ] && [[ "$2" != -* ]]; then
        shift
        changed=$1
      fi
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) die "unknown argument '$1' (see --help)" ;;
    *) files+=("$1") ;;
  esac
  shift
done

cd "$CAIRN_ROOT"
commands=$build/compile_commands.json
[ -f "$commands" ] || die "there is no $commands: configure the build first (scripts/test.sh)"
if [ -n "$changed" ]; then
  mapfile -t files < <({
    git diff --name-only --diff-filter=d "$changed"
    git ls-files --others --exclude-standard
  } | grep -E '\.cc$' || true)
elif [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(list_sources '*.cc' | grep -E '^(src|apps|sim|bench)/' | grep -v '_test\.cc$')
fi

# Only what the build compiles has the flags that clang-tidy needs.
compiled=()
for file in "${files[@]}"; do
  if grep -qF "\"$CAIRN_ROOT/$file\"" "$commands"; then compiled+=("$file"); fi
done
if [ ${#compiled[@]} -eq 0 ]; then
  say "nothing to check"
  exit 0
fi
say "clang-tidy over ${#compiled[@]} files"
# GCC's flags that Clang does not know are no finding. The count of warnings in system headers that
# were not shown is noise.
printf '%s\0' "${compiled[@]}" | xargs -0 -n 1 -P "$(jobs_default)" \
  clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
  2> >(grep -vE '^[0-9]+ warnings? (generated|and)|^Suppressed|^Use -header-filter' >&2 || true) ||
  die "findings above are errors; a false one is silenced by NOLINT with its reason"
say "clang-tidy has no findings"
