"""Published and recorded vectors, the same files through CPython and through the real MicroPython."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import wire_vectors

from gateway.drivers.aes import aes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
FILES = sorted((HERE / "vectors").glob("*.toml"))


def load(path: Path) -> dict[str, object]:
    vectors = tomllib.loads(path.read_text())
    assert vectors["source"], "every vector says where it comes from"
    return vectors


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vectors_hold_in_cpython(path: Path) -> None:
    assert wire_vectors.check(load(path), aes) + wire_vectors.check_errors() == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vectors_hold_in_micropython(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "vectors.json"
    plain.write_text(json.dumps(load(path)))
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=192k", HERE / "wire_vectors.py", plain],
        env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == []


def test_a_wrong_vector_is_noticed() -> None:
    vectors = load(HERE / "vectors" / "session_libosdp.toml")
    frames = vectors["frames"]
    assert isinstance(frames, list)
    assert wire_vectors.check({**vectors, "frames": frames[:8]}, aes), "a recording without a session must not pass"
    assert wire_vectors.check({"crc": [{"data": "00", "sent": "0000"}]}, aes)
