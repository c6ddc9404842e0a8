"""`zhian profile` as a person and as a script use it: the installed command, its output, its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from device_profiles import names, shipped


def zhian(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "zhian", *args], capture_output=True, text=True, timeout=60)


def test_list_has_every_shipped_profile() -> None:
    said = zhian("profile", "list", "--json")
    assert said.returncode == 0
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert [row["name"] for row in rows] == names()
    assert all(row["ok"] and row["errors"] == [] for row in rows)
    assert {row["kind"] for row in rows} == {"osdp-device", "barrier", "camera"}


def test_check_of_good_and_bad_files(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(
        shipped("zhian-door-node").read_text(encoding="utf-8").replace('fail = "secure"', ""), encoding="utf-8"
    )
    good = shipped("folder-camera")

    assert zhian("profile", "check", str(good)).returncode == 0

    said = zhian("profile", "check", str(good), str(bad), str(tmp_path / "none.toml"), "--json")
    assert said.returncode == 1
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert [row["ok"] for row in rows] == [True, False, False]
    assert set(rows[1]) == {"file", "ok", "status", "errors"}
    assert "outputs.lock.fail" in rows[1]["errors"][0]
    assert "there is no such file" in rows[2]["errors"][0]


def test_check_without_a_file_is_wrong_usage() -> None:
    assert zhian("profile", "check").returncode == 2
