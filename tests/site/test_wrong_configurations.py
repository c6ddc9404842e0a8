"""A wrong file is refused before anything runs: one sentence on stderr, exit 1, no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sim.scenario import listed, load
from zhian import site_files

WRONG = [
    ("gateway.toml", 'kind = "simulated"', 'kind = "real"', 'only with site.kind = "simulated"'),
    ("gateway.toml", 'kind = "simulated"', 'kind = "simulated"\nfire_release = true', "site.fire_release: this key"),
    ("gateway.toml", "unlock_s = ", "unlock_s = -", "door[0].unlock_s: expected"),
    ("gateway.toml", 'timezone = "Asia/Shanghai"', 'timezone = "Peking"', "site.timezone: expected an IANA name"),
    ("gateway.toml", 'profile = "zhian-door-node"', 'profile = "folder-camera"', "is no osdp-device"),
    ("policy.toml", 'kind = "card"', 'kind = "palm"', "credential[0].kind"),
    ("keys/site.key", "", "not hex", "expected 64 hex digits"),
]


@pytest.mark.parametrize(("name", "before", "after", "says"), WRONG, ids=[row[3] for row in WRONG])
def test_core_refuses_a_wrong_file(site_folder, name, before, after, says):
    file = next(path for path in listed() if path.stem == "daily-life")
    site_files.write(load(file), file, site_folder, site_files.Ports(1, 2, 3, 4))
    wrong = site_folder / name
    text = wrong.read_text("utf-8")
    assert before in text
    wrong.write_text(text.replace(before, after, 1) if before else after, "utf-8")
    words = [sys.executable, "-m", "zhian", "gateway", "run", "--config", str(site_folder / "gateway.toml")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    *before_it, sentence = done.stderr.strip().splitlines()
    assert says in sentence, done.stderr
    assert sentence.startswith("zhian: ")
    assert all("[warning" in line or "[info" in line for line in before_it), done.stderr  # of the log, if anything
