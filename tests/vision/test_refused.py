"""The list of what was not read: bounded in rows and time, readable after a power cut, for the site's eyes only."""

import stat
import subprocess
import sys

import pytest

from gateway import refused_plates
from gateway.errors import VisionError
from gateway.vision import refused
from gateway.vision.grammar import Refusal
from gateway.vision.refused import DAY_MS, RefusedList
from gateway.vision.visit import Unread

NOW = 1_795_400_000_000


def unread(text="京A1234", why="length"):
    return Unread(text, "blue", 0.25, 7, why)


def texts(path):
    return [row.text for row in refused_plates.read(path)]


def test_a_row_says_what_was_seen_when_and_why(tmp_path):
    path = tmp_path / "refused.jsonl"
    RefusedList(path, 10, 7).add("lane", unread(), NOW)
    (row,) = refused_plates.read(path)
    assert (row.at_ms, row.camera, row.text, row.why, row.frames) == (NOW, "lane", "京A1234", "length", 7)
    assert "7 characters" in refused.words(row.why)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_reason_has_words():
    for why in (*Refusal, "weak", "torn", "too-few-frames", "behind"):
        assert len(refused.words(why)) > 10, why


def test_only_so_many_rows_are_kept_also_over_restarts(tmp_path):
    path = tmp_path / "refused.jsonl"
    for n in range(40):
        RefusedList(path, 5, 7).add("lane", unread(f"{n}"), NOW + n)
    kept = texts(path)
    assert len(kept) <= 10
    assert kept[-5:] == ["35", "36", "37", "38", "39"]
    one = RefusedList(path, 5, 7)
    for n in range(40, 200):
        one.add("lane", unread(f"{n}"), NOW + n)
    assert len(texts(path)) <= 10
    assert path.stat().st_size < 2000


def test_what_is_too_old_is_forgotten_though_nothing_new_comes(tmp_path):
    path = tmp_path / "refused.jsonl"
    kept = RefusedList(path, 10, 7)
    kept.add("lane", unread("old"), NOW)
    kept.add("lane", unread("new"), NOW + 2 * DAY_MS)
    kept.prune(NOW + 7 * DAY_MS + 1)
    assert texts(path) == ["new"]
    kept.prune(NOW + 20 * DAY_MS)
    assert path.read_bytes() == b""


def test_none_is_kept_where_none_is_wanted(tmp_path):
    path = tmp_path / "refused.jsonl"
    RefusedList(path, 0, 7).add("lane", unread(), NOW)
    assert not path.exists()


def test_a_torn_line_is_passed_over(tmp_path):
    path = tmp_path / "refused.jsonl"
    kept = RefusedList(path, 10, 7)
    kept.add("lane", unread("one"), NOW)
    with path.open("ab") as file:
        file.write(b'{"at_ms":1,"cam\n\xff\xfe\n[]\n')
    RefusedList(path, 10, 7).add("lane", unread("two"), NOW + 1)
    assert texts(path) == ["one", "two"]


def test_a_folder_that_is_not_there_and_a_file_that_is_too_large_are_one_sentence(tmp_path):
    with pytest.raises(VisionError, match="cannot be written"):
        RefusedList(tmp_path / "no" / "refused.jsonl", 10, 7).add("lane", unread(), NOW)
    path = tmp_path / "refused.jsonl"
    with path.open("wb") as file:
        file.truncate(refused_plates.MAX_BYTES + 1)
    with pytest.raises(VisionError, match="larger than"):
        refused_plates.read(path)


CONFIG = """
[site]
district = "qingshan"
site = "garden"
gateway = "gate-1"
label = { zh = "花园", en = "Garden" }
site_key_file = "site.key"
[paths]
data = "data"
run = "run"
[policy]
file = "policy.toml"
"""


def test_the_command_shows_the_newest_first(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG, "utf-8")
    (tmp_path / "data").mkdir()
    kept = RefusedList(tmp_path / "data" / "refused-plates.jsonl", 10, 7)
    kept.add("lane", unread("京A1234", "length"), NOW)
    kept.add("back", unread("京A12345", "weak"), NOW + 60_000)
    command = [sys.executable, "-m", "zhian", "plate", "refused", "--config", str(config)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == 2
    assert "back  京A12345  score 0.25, 7 frames: it could be a number" in told[0]
    assert told[1].endswith("a number has 7 characters, or 8 on a green plate")
    only = subprocess.run([*command, "--camera", "lane"], capture_output=True, text=True, check=True).stdout
    assert len(only.splitlines()) == 1
