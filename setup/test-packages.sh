#!/usr/bin/env bash
# See that the Debian packages of setup/debian-test-packages.txt are installed: as root install what is missing, else
# print the one command and fail. ZHIAN_TEST_PACKAGES=present says that another system has them under other names.
set -euo pipefail
cd "$(dirname "$0")"
mapfile -t wanted < <(grep -v '^#' debian-test-packages.txt)

if [[ ${ZHIAN_TEST_PACKAGES:-} == present ]]; then exit 0; fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "zhian: the tests need ${wanted[*]}; install them with this system's package manager," \
    "then: make test ZHIAN_TEST_PACKAGES=present" >&2
  exit 1
fi
missing=()
for name in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
  if [[ $status != installed ]]; then missing+=("$name"); fi
done
if ((${#missing[@]} == 0)); then exit 0; fi
if ((EUID != 0)); then
  echo "zhian: the tests need system packages; run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  if ! DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "zhian: apt-get $* failed (its words are above); repair that and run make test again" >&2
    exit 1
  fi
}
echo "zhian: installing the Debian packages of the tests: ${missing[*]} (a minute or two)" >&2
apt update
apt install -y --no-install-recommends "${missing[@]}"
