"""The import contracts (.importlinter) hold, and cover every package that is shipped."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

from source_tree import PACKAGES, REPOSITORY


def test_contracts_are_kept() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run([tool, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said.stdout


def test_contracts_cover_every_package() -> None:
    listed = configparser.ConfigParser()
    listed.read(REPOSITORY / ".importlinter")
    assert set(listed["importlinter"]["root_packages"].split()) == set(PACKAGES)
    top_level = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}
    assert top_level - {"training", "tests"} == set(PACKAGES)
