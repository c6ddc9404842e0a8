"""Whatever a TOML file holds, the answer is a Profile or sentences: never a traceback, never half a profile."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles import examine_file, names, shipped
from device_profiles.loading import Examined, examine

SCALARS = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.datetimes()
    | st.sampled_from(["low", "high", "up", "held", "pulse", "barrier", "camera", "osdp-device", "from-manual"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
)
GOOD = {name: tomllib.loads(shipped(name).read_text(encoding="utf-8")) for name in names()}


def paths(table: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in table.items():
        found.append((*prefix, key))
        if isinstance(value, dict):
            found += paths(value, (*prefix, key))
    return found


def assert_answered(found: Examined) -> None:
    assert (found.profile is None) == bool(found.errors)
    for sentence in found.errors:
        assert sentence.startswith(f"{found.source}: ")
        assert "\n" not in sentence
        assert len(sentence) < 700


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_good_profile_with_one_value_replaced(data: st.DataObject) -> None:
    plain = copy.deepcopy(GOOD[data.draw(st.sampled_from(sorted(GOOD)))])
    *folders, last = data.draw(st.sampled_from(paths(plain)))
    table = plain
    for key in folders:
        table = table[key]
    table[last] = data.draw(VALUES)
    assert_answered(examine(plain, "mine.toml"))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(["kind", "format", "inputs"]), VALUES, max_size=6))
def test_any_table(plain: dict[str, Any]) -> None:
    assert_answered(examine(plain, "mine.toml"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(tmp_path_factory: Any, raw: bytes) -> None:
    file: Path = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(raw)
    assert_answered(examine_file(file))


def test_nesting_and_numbers_beyond_the_parser(tmp_path: Path) -> None:
    for name, text in (("deep", "a = " + "[" * 50_000), ("long", "a = 1" + "0" * 5_000)):
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        assert_answered(examine_file(file))
