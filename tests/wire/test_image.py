"""What goes onto a board: every file compiles, and the whole stays within its board's budget."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
UNIX = tomllib.loads((FIRMWARE / "boards" / "unix.toml").read_text())

sys.path.insert(0, str(ROOT / "setup"))
from firmware_board import JOURNALS  # noqa: E402
from firmware_build import compile_to  # noqa: E402


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file of the firmware, compiled."""
    folder = tmp_path_factory.mktemp("image")
    for path in sorted(FIRMWARE.rglob("*.py")):
        name = path.relative_to(ROOT)
        compile_to(path, folder / name.with_suffix(".mpy"), str(name))
    return folder


def test_every_file_compiles_within_the_budget(image: Path) -> None:
    sizes = [path.stat().st_size for path in image.rglob("*.mpy")]
    assert len(sizes) > 15
    total, budget = sum(sizes), UNIX["budget"]["mpy_bytes"]
    assert total <= budget, f"{total} bytes compiled; drop something or raise the budget with a reason"


def test_the_compiled_image_starts_without_its_sources(image: Path) -> None:
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=192k", "-c",
         "from firmware.drivers.unix import door_node; import gc; gc.collect(); print(gc.mem_alloc())"],
        cwd=image, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # Of 196608; pointers have 64 bits here, a board 32 (docs/flash-a-node.md).
    assert int(done.stdout) < 130_000


def test_a_computer_keeps_its_journal_as_its_board_file_says(image: Path) -> None:
    script = "from firmware.drivers.unix import door_node; print(' '.join(door_node.JOURNALS))"
    done = subprocess.run(
        [MICROPYTHON, "-c", script], cwd=image, capture_output=True, text=True, timeout=60, check=True
    )
    usual, *others = done.stdout.split()
    assert (usual, {usual, *others}) == (UNIX["board"]["journal"], set(JOURNALS))
