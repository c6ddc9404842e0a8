#!/usr/bin/env bash
# Everything that can be said of the source without running it as a whole. All steps run; the end says which failed.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=()
step() { # name, command...
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}
step lint "$bin/ruff" check .
step formatting "$bin/ruff" format --check .
step types "$bin/mypy"
step "import contracts" "$bin/lint-imports"
step firmware setup/firmware.sh check
step "architecture and documents" "$bin/pytest" -q tests/architecture
if ((${#failed[@]} > 0)); then
  printf -v list '%s, ' "${failed[@]}"
  echo "zhian: make check failed in: ${list%, }" >&2
  exit 1
fi
