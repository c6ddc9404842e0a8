#!/usr/bin/env bash
# Build or refresh .venv from the locked versions: `setup/venv.sh run` (what users need) or `setup/venv.sh dev`
# (the same and the tools of tests and checks). Quick where nothing changed; an interrupted run is repaired by the next.
# PYTHON=/path/to/python chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-}
if [[ $kind != run && $kind != dev ]]; then
  echo "usage: setup/venv.sh run|dev" >&2
  exit 2
fi
venv=.venv
unfinished=$venv/.zhian-unfinished

say() { echo "zhian: $*" >&2; }

# What an installed .venv depends on: where it lies (its scripts hold that path), the lock, the metadata, this script, and
# the list of top-level packages (an editable install fixes it).
fingerprint() { # run|dev
  { pwd; ls -- */__init__.py; cat "requirements/$1.txt" pyproject.toml setup/venv.sh; } | sha256sum | cut -d' ' -f1
}

is_current() {
  [[ -x $venv/bin/python && ! -e $unfinished && -f $venv/.zhian-$kind ]] || return 1
  [[ $(<"$venv/.zhian-$kind") == $(fingerprint "$kind") ]] || return 1
  [[ -z ${PYTHON:-} ]] || same_version "$PYTHON"
}

same_version() { # whether .venv was made with the same Python as "$1"
  local ask='import sys; print(sys.version_info[:2])'
  [[ $("$1" -c "$ask" 2>&1) == $("$venv/bin/python" -c "$ask" 2>&1) ]]
}

# Prints the interpreter to use. 3.11 goes first: on it every test can run (libosdp has no build for later ones).
choose_python() {
  local candidate reason='' said status
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    command -v "$candidate" >/dev/null || continue
    status=0
    said=$("$candidate" setup/check_platform.py 2>&1) || status=$?
    if ((status == 0)); then
      command -v "$candidate"
      return
    fi
    if ((status == 3)); then reason=$said; fi # anything else is an interpreter that does not even start
  done
  echo "${reason:-zhian: no working Python found${PYTHON:+ at $PYTHON}; install CPython 3.11, 3.12 or 3.13 (Debian 12:\
 apt-get install python3 python3-venv) or name it: make venv PYTHON=/path/to/python3.11}" >&2
  return 1
}

create() {
  local python=$1
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    local version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "$python cannot make virtual environments; run: sudo apt-get install python$version-venv"
    exit 1
  fi
  say "creating $venv with $("$python" --version 2>&1) ($python)"
  rm -rf "$venv"
  "$python" -m venv "$venv"
}

usable() { # an existing .venv that can be brought up to date in place
  [[ -x $venv/bin/python && ! -e $unfinished ]] || return 1
  "$venv/bin/python" setup/check_platform.py >/dev/null 2>&1 || return 1
  "$venv/bin/python" -c 'import pip' 2>/dev/null || return 1
  # Its scripts start the interpreter by absolute path: a moved or copied folder is made anew.
  grep -qF "$PWD/$venv" "$venv/bin/activate" || return 1
  [[ -z ${PYTHON:-} ]] || same_version "$PYTHON"
}

pip_install() {
  # A constraint or `user = true` of the machine's own pip configuration must not change what the lock says; its
  # index (a mirror, say) is welcome, since every file is checked against the lock's sha256.
  PIP_CONSTRAINT=/dev/null PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONWARNINGS=ignore \
    "$venv/bin/python" -m pip install --no-input --progress-bar off "$@"
}

install_locked() { # run|dev
  local count=0 line
  say "installing the versions of requirements/$1.txt, each file checked by its sha256 (a minute or so)"
  # Wheels only: building a source archive would run code, and fetch build tools, that no hash covers.
  # No dependency is resolved: the lock is complete (`pip check` below).
  if ! pip_install --require-hashes --no-deps --only-binary=:all: -r "requirements/$1.txt" 2>"$words" |
    while IFS= read -r line; do
      case $line in
        Collecting* | Processing*)
          read -r _ line _ <<<"$line"
          line=${line##*/}
          count=$((count + 1))
          echo "  $count  ${line%-*-*-*.whl}" >&2
          ;;
        "Installing collected"*) echo "  unpacking ..." >&2 ;;
      esac
    done; then
    cat "$words" >&2
    say "the packages could not be installed (pip's words are above); check the network, then run the same command again"
    exit 1
  fi
}

exec 9<"requirements/$kind.txt"
if command -v flock >/dev/null; then flock 9; fi # two makes at once take turns
is_current && exit 0

started=$SECONDS
words=$(mktemp)
trap 'rm -f "$words"' EXIT
if ! usable; then
  python=$(choose_python)
  create "$python"
fi
: >"$unfinished" # a run that is cut short leaves this behind, and the next one starts from nothing
install_locked "$kind"
pip_install --quiet --no-deps --no-build-isolation --editable .
if ! report=$("$venv/bin/python" -m pip check 2>&1); then
  say "the locked versions do not fit together; recompute them with make lock: $report"
  exit 1
fi
fingerprint "$kind" >"$venv/.zhian-$kind"
if [[ $kind == dev ]]; then fingerprint run >"$venv/.zhian-run"; fi # dev.txt contains run.txt (tested)
rm -f "$unfinished"
say "$venv is ready ($((SECONDS - started)) s)"
