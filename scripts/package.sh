#!/usr/bin/env bash
# Makes the Debian packages of this Debian 12: cairn, libcairn0, libcairn-dram0 and libcairn-dev.
#
#   scripts/package.sh                  builds, and leaves the packages in build/packages
#   scripts/package.sh --no-build       packs what is built already
#   scripts/package.sh --build-dir DIR  in this folder instead of build (with --no-build)
#   scripts/package.sh --out FOLDER     leaves them there
#   scripts/package.sh --jobs N         compilers at once (default: all cores)
#
# Install them with apt-get install FOLDER/*.deb, which brings what they depend on.
source "$(dirname "$0")/common.sh"

build=true
build_dir=$CAIRN_ROOT/build
out=
jobs=$(jobs_default)
while [ $# -gt 0 ]; do
  case "$1" in
    --no-build) build=false ;;
    --build-dir)
      shift
      build_dir=$(realpath -m "${1:?--build-dir needs a folder}")
      ;;
    --out)
      shift
      out=$(realpath -m "${1:?--out needs a folder}")
      ;;
    --jobs)
      shift
      jobs=${1:?--jobs needs a number}
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
  shift
done

cd "$CAIRN_ROOT"
if $build; then
  scripts/setup.sh
  cmake --preset release >/dev/null  # errors go to standard error
  cmake --build --preset release -j "$jobs"
fi
out=${out:-$build_dir/packages}
[ -f "$build_dir/CPackConfig.cmake" ] || die "nothing is built in $build_dir: run without --no-build"
say "packing"
# What is packed is readable by everybody, whoever makes it.
umask 022
log=$build_dir/package/cpack.log
(cd "$build_dir" && cpack -G DEB -B "$out" >"$log" 2>&1) ||
  die "cpack failed; $log ends with: $(tail -n 5 "$log")"
rm -rf "$out/_CPack_Packages"
ls -1 "$out"/*.deb
