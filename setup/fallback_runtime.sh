#!/usr/bin/env bash
# Read the same rendered pictures with LiteRT (.venv) and with tflite_runtime (a virtual environment of its own in
# build/fallback), and compare what was read: `make fallback`. Ends with 1 where they differ.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=build/fallback
venv=$folder/venv
done_with=$venv/.zhian-made-of
main=.venv/bin/python

say() { echo "zhian: $*" >&2; }

if [[ $("$main" -c 'import sys; print("%d.%d" % sys.version_info[:2])') != 3.11 ]]; then
  say "tflite_runtime has no build for the Python of .venv, expected 3.11; run: make fallback PYTHON=/path/to/python3.11"
  exit 1
fi
mkdir -p "$folder"
{
  cat setup/fallback-runtime.txt
  awk '/^(msgspec|structlog)==/ {taken = 1} taken {print} !/\\$/ {taken = 0}' requirements/run.txt
} >"$folder/requirements.txt"
wanted=$(sha256sum <"$folder/requirements.txt")
if [[ ! -f $done_with || $(<"$done_with") != "$wanted" ]]; then
  say "making $venv with tflite-runtime 2.14.0 (about 70 MB)"
  rm -rf "$venv"
  "$main" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
    -r "$folder/requirements.txt"
  echo "$wanted" >"$done_with"
fi
"$main" setup/fallback_reading.py draw "$folder/pictures"
for python in "$main" "$venv/bin/python"; do
  name=$([[ $python == "$main" ]] && echo litert || echo tflite_runtime)
  "$python" setup/fallback_reading.py read "$folder/pictures" "$folder/$name.json"
done
"$main" setup/fallback_reading.py compare "$folder/litert.json" "$folder/tflite_runtime.json"
