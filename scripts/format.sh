#!/usr/bin/env bash
# Formats all C++ files with clang-format and the repository's .clang-format.
#
#   scripts/format.sh           rewrites what needs it
#   scripts/format.sh --check   changes nothing; names the lines that would change and exits 1
source "$(dirname "$0")/common.sh"

mode=(-i)
case "${1:-}" in
  "") ;;
  --check) mode=(--dry-run --Werror) ;;
  -h | --help)
    usage
    exit 0
    ;;
  *) die "unknown argument '$1' (see --help)" ;;
esac
cd "$CAIRN_ROOT"
mapfile -t files < <(list_sources '*.cc' '*.h' '*.c')
[ ${#files[@]} -gt 0 ] || die "no C++ files found"
command -v clang-format >/dev/null || die "clang-format is missing: run scripts/setup.sh"
printf '%s\0' "${files[@]}" |
  xargs -0 -n 8 -P "$(jobs_default)" clang-format --style=file "${mode[@]}"
say "${#files[@]} files are formatted"
