#!/usr/bin/env bash
# Installs the Debian packages that Cairn needs. Safe to run again: with nothing missing it
# changes nothing and asks the network for nothing.
#
#   scripts/setup.sh                  the packages of apt-packages.txt
#   scripts/setup.sh --list FILE...   the packages of the given lists
#   scripts/setup.sh --check          says what is missing; exit 1 if anything is
#
# Needs root, or sudo. Services that a package brings along are not started and not enabled.
source "$(dirname "$0")/common.sh"

lists=()
check_only=false
while [ $# -gt 0 ]; do
  case "$1" in
    --check) check_only=true ;;
    --list)
      shift
      [ $# -gt 0 ] || die "--list needs a file"
      lists+=("$1")
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown argument '$1' (see --help)" ;;
  esac
  shift
done
[ ${#lists[@]} -gt 0 ] || lists=("$CAIRN_ROOT/apt-packages.txt")

# Prints the packages of the lists that are not installed.
missing_packages() {
  local name status
  for name in $(sed -e 's/#.*//' "${lists[@]}"); do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$status" = installed ] || echo "$name"
  done
}

check_system() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    die "this is no Debian system (no apt-get): Cairn is built from Debian 12 packages"
  local id version
  id=$(. /etc/os-release && echo "${ID:-unknown}")
  version=$(. /etc/os-release && echo "${VERSION_ID:-unknown}")
  [ "$id" = debian ] && [ "$version" = 12 ] ||
    die "this is $id $version: Cairn is built from the packages of Debian 12 (bookworm)." \
      "Use a Debian 12 machine, container or chroot (debootstrap --variant=minbase bookworm DIR)"
}

# Runs a command as root. Environment that apt needs travels along.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# Debian's maintainer scripts ask policy-rc.d before they start a service; 101 means no.
policy=/usr/sbin/policy-rc.d
policy_is_ours=false
forbid_services() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
  policy_is_ours=true
}
allow_services() {
  if $policy_is_ours; then as_root rm -f "$policy"; fi
}
trap allow_services EXIT

# Keeps services of newly installed packages from starting at the next boot.
disable_services() {
  command -v systemctl >/dev/null || return 0
  local name unit
  for name in "$@"; do
    for unit in $(dpkg-query -L "$name" | sed -n 's,^/\(usr/\)\?lib/systemd/system/\([^/@]*\.service\)$,\2,p'); do
      say "leaving the service $unit disabled"
      as_root systemctl disable --quiet "$unit" || say "could not disable $unit; do it by hand"
    done
  done
}

check_system
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -eq 0 ]; then
  say "every needed package is installed"
  exit 0
fi
say "missing: ${missing[*]}"
if $check_only; then exit 1; fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
  die "installing needs root and there is no sudo; as root, run: apt-get install --no-install-recommends ${missing[*]}"
fi

apt=(apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
say "fetching Debian's package lists"
as_root "${apt[@]}" update
say "installing ${#missing[@]} packages and what they depend on"
forbid_services
as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
disable_services "${missing[@]}"
mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -eq 0 ] || die "still missing after the installation: ${missing[*]}"
say "every needed package is installed"
