# Shared by the scripts beside it: where the repository is, and how a script speaks.
# Sourced, never run. Every script runs with `set -euo pipefail` and from any folder.
set -euo pipefail

CAIRN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CAIRN_SCRIPT=$(basename "$0")

# say WORDS...: one line of progress.
say() { printf '== %s\n' "$*"; }

# die WORDS...: the reason on standard error, then exit 1.
die() {
  printf '%s: %s\n' "$CAIRN_SCRIPT" "$*" >&2
  exit 1
}

# usage: prints the comment block at the head of the running script.
usage() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }

# jobs: how many compilers or tests to run at once.
jobs_default() { nproc 2>/dev/null || echo 2; }

# list_sources PATTERN...: the repository's own files of these patterns, new ones too, whether or
# not this is a git checkout.
list_sources() {
  if git -c safe.directory='*' -C "$CAIRN_ROOT" rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory='*' -C "$CAIRN_ROOT" ls-files --cached --others --exclude-standard -- "$@" |
      while IFS= read -r file; do
        if [ -f "$CAIRN_ROOT/$file" ]; then echo "$file"; fi
      done
  else
    local pattern find_args=()
    for pattern in "$@"; do find_args+=(-o -name "$pattern"); done
    (cd "$CAIRN_ROOT" && find . -path './build*' -prune -o -type f \( "${find_args[@]:1}" \) -print) |
      sed 's,^\./,,' | sort
  fi
}
