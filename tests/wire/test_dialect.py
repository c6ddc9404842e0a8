"""What the pure rooms rely on in MicroPython, probed in the real interpreter; and that they keep to it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
WIRE_MAY_IMPORT = {"struct", "binascii", "hashlib", "micropython", "firmware.wire"}
NODE_MAY_IMPORT = {"firmware.wire", "firmware.node"}

# Each line must print True: what the code uses, or a gap that it works around.
PROBE = """
import struct, sys
from micropython import const
print(bytes((1, 2)) + b"" == b"\\x01\\x02")
print((5).to_bytes(16, "big")[15] == 5 and int.from_bytes(b"\\x01\\x00", "big") == 256)
print(int.from_bytes(bytes([255] * 16), "big") == 2 ** 128 - 1)
print(b"a\\x00\\x00".rstrip(b"\\x00") == b"a" and b"xSx".find(b"S", 1) == 1)
def annotated(a: int, *, b: "list" = None) -> tuple: return a, b
print(annotated(1, b=2) == (1, 2))
class Base(Exception):
    def __init__(self, reason, detail=0):
        super().__init__(reason, detail)
        self.reason = reason
class Leaf(Base): pass
try:
    raise Leaf("x")
except Base as error:
    print(error.reason == "x")
class WithProperty:
    @property
    def answer(self): return 42
    @staticmethod
    def decode(x): return x
print(WithProperty().answer == 42 and WithProperty.decode(1) == 1)
def outer():
    seen = 0
    def inner():
        nonlocal seen
        seen = 7
    inner()
    return seen
print(outer() == 7)
missing = []
for name in ("typing", "dataclasses", "enum", "__future__"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
print(missing == ["typing", "dataclasses", "enum", "__future__"])
print(vars is None if "vars" in dir() else True)
"""


def test_the_interpreter_can_do_what_the_code_uses() -> None:
    done = subprocess.run([MICROPYTHON, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines == ["True"] * len(lines)
    assert len(lines) == 10


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize(("room", "allowed"), [("wire", WIRE_MAY_IMPORT), ("node", NODE_MAY_IMPORT)])
def test_the_pure_rooms_import_only_what_they_may(room: str, allowed: set[str]) -> None:
    files = sorted((ROOT / "firmware" / room).glob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            assert any(name == ok or name.startswith(ok + ".") for ok in allowed), f"{path.name} imports {name}"


def test_annotations_are_builtins_so_that_both_interpreters_take_them() -> None:
    builtin = {"int", "bytes", "bool", "str", "list", "tuple", "dict", "None"}
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for hint in [getattr(node, "annotation", None), getattr(node, "returns", None)]:
                assert not isinstance(hint, ast.Subscript), f"{path}:{node.lineno}: {ast.unparse(hint)}"  # type: ignore[attr-defined]
                if isinstance(hint, ast.Name) and hint.id.islower():
                    assert hint.id in builtin, f"{path}: {hint.id}"
