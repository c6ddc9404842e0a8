"""Reading TOML: a typed value, or one sentence that names file, key, what was expected and what came."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from runtime.errors import ConfigError
from runtime.toml_file import MAX_BYTES, Table, load


class Lamp(Table):
    name: str
    watts: Annotated[int, Meta(ge=1, le=100)] = 5


class House(Table):
    colour: Literal["red", "blue"]
    lamp: tuple[Lamp, ...] = ()
    hall: Lamp | None = None


def sentence(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as e:
        load(path, House)
    return str(e.value)


def test_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_text('colour = "red"\n[[lamp]]\nname = "desk"\n')
    assert load(file, House) == House(colour="red", lamp=(Lamp(name="desk", watts=5),))


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("", "colour", "this key is missing"),
        ('colour = "green"', "colour", "expected one of 'blue', 'red', got 'green'"),
        ('colour = "red"\nsize = 3', "size", "this key is not known"),
        ('colour = "red"\n[hall]\nname = "h"\nwats = 3', "hall.wats", "this key is not known"),
        ('colour = "red"\n[hall]\nwatts = 3', "hall.name", "this key is missing"),
        ('colour = "red"\n[hall]\nname = 3', "hall.name", "got 3"),
        ('colour = "red"\n[hall]\nname = "h"\nwatts = 0', "hall.watts", "got 0"),
        ('colour = "red"\n[hall]\nname = "h"\nwatts = "5"', "hall.watts", "got '5'"),
        ('colour = "red"\n[hall]\nname = "h"\nwatts = 5.0', "hall.watts", "got 5.0"),
        ('colour = "red"\n[[lamp]]\nname = "a"\n[[lamp]]\nname = "b"\nwatts = 900', "lamp[1].watts", "got 900"),
        ('colour = "red"\nlamp = 3', "lamp", "got 3"),
        ("colour = ", "", "not valid TOML"),
        ('colour = "red"\ncolour = "red"', "", "not valid TOML"),
        (b'colour = "\xff"', "", "byte 10 is not UTF-8"),
        ("a" * (MAX_BYTES + 1), "", f"at most {MAX_BYTES}"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, text: str | bytes, key: str, expected: str) -> None:
    file = tmp_path / "house.toml"
    said = sentence(file, text)
    assert said.startswith(f"{file}: {key}")
    assert expected in said
    assert "\n" not in said


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a = 1" + "0" * 5_000], ids=["deep", "long"])
def test_what_the_parser_itself_cannot_take(tmp_path: Path, text: str) -> None:
    said = sentence(tmp_path / "house.toml", text)
    assert "not valid TOML" in said


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    for text in ('colour = "red"\n"a\\nb\\u001b[2J" = 3', 'colour = "\\u001b[2J\\n"'):
        said = sentence(tmp_path / "house.toml", text)
        assert said.isprintable(), repr(said)


def test_a_file_that_is_not_there_or_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; give the path"):
        load(tmp_path / "none.toml", House)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, House)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_value_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(raw)
    try:
        answer: object = load(file, House)
    except ConfigError as e:
        answer = str(e)
    assert isinstance(answer, House) or str(answer).startswith(f"{file}: ")
