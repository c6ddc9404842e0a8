#!/usr/bin/env bash
# The nodes' firmware: compile it with mpy-cross, check its drivers by MicroPython's type stubs, write what goes onto each
# board into build/firmware/BOARD, print sizes and memory against the budgets in firmware/boards.
# `setup/firmware.sh check` leaves out the measurement of memory.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python setup/firmware_build.py "${1:-all}"
