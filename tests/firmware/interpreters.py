"""Run the same lines in CPython and in MicroPython's Unix build: what both must print alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
INTERPRETERS = {"cpython": [sys.executable], "micropython": [str(MICROPYTHON), "-X", "heapsize=192k"]}


def printed(interpreter: str, script: str, folder: Path = ROOT) -> list[str]:
    """The lines that the script prints; its failure is the test's. Modules are found in the repository."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MICROPYPATH": f"{ROOT}:.frozen",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [*INTERPRETERS[interpreter], "-c", script], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
