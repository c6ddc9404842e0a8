"""Check the drivers against what MicroPython really has on each board, by the published type stubs of its ports.

The stubs lie in build/firmware-stubs, one folder each, never beside the checker: they replace the standard library.
What the checker says of the stubs themselves is not ours and is left out.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from firmware_board import Board

STUBS = Path("build/firmware-stubs")
LOCK = Path("setup/firmware-stubs.txt")
CHECKED = "firmware/drivers/"
# Attributes that are None at first and something else later cannot be annotated in this dialect.
_CONFIG = """[mypy]
python_version = 3.11
platform = linux
custom_typeshed_dir = {stdlib}
mypy_path = {port}:{stdlib}
no_site_packages = True
check_untyped_defs = True
disable_error_code = assignment, var-annotated
cache_dir = {cache}
"""


def locked() -> dict[str, str]:
    """Package -> its line of the lock, `name==version --hash=sha256:...`."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]
    return {line.split("==")[0]: line for line in lines}


def fetch() -> None:
    """Install every locked stub package into a folder of its own; nothing where all are there. Raises on failure."""
    for name, line in locked().items():
        folder = STUBS / name
        stamp = folder / "locked.txt"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == line:
            continue
        STUBS.mkdir(parents=True, exist_ok=True)
        wanted = STUBS / f"{name}.txt"
        wanted.write_text(line + "\n", encoding="utf-8")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
             "--no-deps", "--only-binary=:all:", "--require-hashes", "--upgrade",
             "--target", str(folder), "-r", str(wanted)],
            check=True,
        )  # fmt: skip
        stamp.write_text(line, encoding="utf-8")


def complaints(board: Board) -> list[str]:
    """What the checker says of our drivers on this board, a line each."""
    stdlib = (STUBS / "micropython-stdlib-stubs").resolve()
    config = STUBS / f"{board.name}.ini"
    config.write_text(
        _CONFIG.format(
            stdlib=stdlib, port=(STUBS / board.stubs).resolve(), cache=(STUBS / "cache" / board.name).resolve()
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(config), "-p", "firmware.drivers.mcu",
         "-p", f"firmware.drivers.{board.port}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout.splitlines()
    if done.returncode not in (0, 1) or not said:
        return [f"the checker did not finish on {board.name}: {done.stdout}{done.stderr}"]
    if not said[-1].startswith(("Found", "Success")):
        return said[-3:]
    return [line for line in said if line.startswith(CHECKED) and ": error:" in line]
