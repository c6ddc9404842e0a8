"""An unsupported interpreter or machine is told so in one sentence, before anything is installed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[2] / "setup"


def test_this_interpreter_is_supported() -> None:
    said = subprocess.run([sys.executable, SETUP / "check_platform.py"], capture_output=True, text=True, timeout=30)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("sys.platform = 'darwin'; platform.system = lambda: 'Darwin'", "Linux on x86-64 or 64-bit ARM is needed"),
        ("platform.machine = lambda: 'riscv64'", "this is Linux on riscv64"),
        ("sys.maxsize = 2**31 - 1", "a 64-bit system is needed"),
        ("sys.version_info = (3, 10, 2)", "CPython 3.11, 3.12 or 3.13 is needed"),
        ("sys.version_info = (3, 14, 0)", "CPython 3.11, 3.12 or 3.13 is needed"),
        ("sys.implementation.name = 'pypy'", "CPython 3.11, 3.12 or 3.13 is needed"),
        ("os.confstr = lambda name: 'glibc 2.27'", "glibc 2.28 or newer is needed, found glibc 2.27"),
        ("os.confstr = lambda name: None", "glibc 2.28 or newer is needed, found another C library"),
    ],
)
def test_anything_else_is_one_sentence(change: str, expected: str) -> None:
    program = f"import os, platform, sys\nsys.path.insert(0, {str(SETUP)!r})\nimport check_platform\n{change}\n"
    said = subprocess.run(
        [sys.executable, "-c", program + "check_platform.main()"], capture_output=True, text=True, timeout=30
    )
    assert said.returncode == 3
    assert said.stderr.startswith("zhian: ")
    assert expected in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_missing_venv_module_names_the_package(tmp_path: Path) -> None:
    """As on Debian without python3-venv: the interpreter works, `ensurepip` is not there."""
    clone = tmp_path / "clone"
    for name in ("setup", "requirements"):
        (clone / name).mkdir(parents=True)
        for file in (SETUP.parent / name).iterdir():
            if file.is_file():
                (clone / name / file.name).write_bytes(file.read_bytes())
                (clone / name / file.name).chmod(0o755)
    (clone / "zhian").mkdir()
    (clone / "zhian/__init__.py").touch()
    (clone / "pyproject.toml").touch()
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    said = subprocess.run(
        [clone / "setup/venv.sh", "run"],
        env=os.environ | {"PYTHON": str(bare)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    version = ".".join(platform.python_version_tuple()[:2])
    assert said.returncode == 1
    assert f"sudo apt-get install python{version}-venv" in said.stderr
    assert not (clone / ".venv").exists()
