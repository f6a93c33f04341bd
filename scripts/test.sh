#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests.
#
#   scripts/test.sh                     the release build and every test
#   scripts/test.sh --preset asan       another preset: debug, asan, tsan, coverage
#   scripts/test.sh --no-setup          does not look for missing packages
#   scripts/test.sh --jobs N            compilers at once (default: all cores); tests: half as many
#                                       more, as they wait a lot, but as many under a sanitizer
#   scripts/test.sh -- -R journal       what follows -- goes to ctest (-R name, -L label, -N)
#
# The labels are unit, fuzz, conformance, process and tidy; docs/testing.md explains them.
source "$(dirname "$0")/common.sh"

preset=release
setup=true
jobs=$(jobs_default)
while [ $# -gt 0 ]; do
  case "$1" in
    --preset)
      shift
      preset=${1:?--preset needs a name}
      ;;
    --jobs)
      shift
      jobs=${1:?--jobs needs a number}
      ;;
    --no-setup) setup=false ;;
    -h | --help)
      usage
      exit 0
      ;;
    --)
      shift
      break
      ;;
    *) die "unknown argument '$1' (see --help; options for ctest go after --)" ;;
  esac
  shift
done

cd "$CAIRN_ROOT"
if $setup; then scripts/setup.sh; fi
build_dir=build
[ "$preset" = release ] || build_dir=build-$preset
say "configuring the $preset build in $build_dir"
cmake --preset "$preset" >/dev/null  # errors go to standard error
say "building with $jobs jobs"
cmake --build --preset "$preset" -j "$jobs"
tests=$jobs
[ "$preset" != release ] || tests=$((jobs + (jobs + 1) / 2))
say "running the tests, $tests at once"
ctest --test-dir "$build_dir" --output-on-failure --no-tests=error -j "$tests" "$@"
