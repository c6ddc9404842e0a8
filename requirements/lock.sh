#!/usr/bin/env bash
# Recompute the locked versions: `make lock`. The result is reviewed like code.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v uv >/dev/null; then
  echo "zhian: make lock needs uv, which is not on PATH; run: pip install uv" >&2
  exit 1
fi
compile() { # output file, extras, further options
  local out=$1 extra=$2
  shift 2
  # One lock for every supported Python and CPU; no index is named, so that a mirror can serve it.
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --custom-compile-command "make lock" "${@}" $(printf -- '--extra=%s ' $extra) pyproject.toml -o "$out"
}
compile requirements/run.txt "gateway center sim models postgresql"
# dev.txt contains run.txt at the same versions: what is tested is what users get.
compile requirements/dev.txt "dev" --constraint requirements/run.txt
