"""No event names anybody: no plate, no name, no number of a card or telephone, no picture.

The scan is over every example of the catalogue and over any value that a field's type lets through; every scenario that
is run (zhian/scenario_runs.py) is scanned the same way, and fails where its events name somebody.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))  # events of every kind are shared with tests/contract
from event_strategies import events

from center.contract.catalogue import CATALOGUE, AccessGranted, Event, GatewayStarted
from center.contract.cloudevents import to_cloudevent
from center.contract.examples import EXAMPLES
from center.contract.frame import decode_frame, encode_frame
from sim.privacy_scan import found_in
from sim.scenario import listed, load

EPOCH = "00112233445566aa"
CAST = sorted({text for file in listed() for person in load(file).people for text in (person.name.zh, person.name.en)})


def documents() -> list[dict]:
    return [
        to_cloudevent(Event(i, 1_790_000_000_000, True, example.data), "east", "garden", "gw-1", EPOCH, True)
        for i, example in enumerate(EXAMPLES.values(), 1)
    ]


def test_every_kind_of_event_has_an_example_that_names_nobody() -> None:
    made = documents()
    assert {document["type"] for document in made} == {entry.type for entry in CATALOGUE.values()}
    for document in made:
        assert found_in(document, CAST) == [], document["type"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("京A12345", "plate"),
        ("苏E·D12345", "plate"),
        ("粤B 12345D", "plate"),
        ("沪AF12345", "plate"),
        ("使014578", "plate"),
        ("13812345678", "telephone"),
        ("+86 138 1234 5678", "telephone"),
        ("tel13812345678", "telephone"),
        ("11010519491231002X", "identity card"),
        ("张伟来了", "name"),
        ("Zhang Wei was here", "name"),
        ("data:image/jpeg;base64,/9j/4AAQ", "picture"),
        ("iVBORw0KGgoAAAANSUhEUg", "picture"),
        ("/9j/4AAQSkZJRgABAQ", "picture"),
        ("k7q2m5xw3nz4taub" * 20, "long text"),
    ],
)
def test_the_scan_finds_what_it_looks_for(text: str, what: str) -> None:
    document = {"type": "zhian.portal.opened", "data": {"portal": ["lobby", {"deep": text}]}}
    assert what in {found.what for found in found_in(document, ["张伟", "Zhang Wei"])}


def test_raw_bytes_are_found() -> None:
    assert [found.what for found in found_in({"data": {"face": b"\xff\xd8\xff\xe0"}}, [])] == ["bytes"]


@pytest.mark.parametrize(
    "text",
    [
        "k7q2m5xw3nz4taub",
        "lobby",
        "00112233445566aa-7",
        "2026-09-21T14:13:20.007Z",
        "阳光花园",
        "a13812345678bcde",  # a digest, among whose digits a telephone number happens to stand
        "f13812345678abcd-42",
    ],
)
def test_what_may_be_in_an_event_is_not_found(text: str) -> None:
    assert found_in({"data": {"x": text}, "n": 1_790_000_000_007}, ["张伟"]) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_no_frame_carries_chinese_text_or_bytes_whatever_the_fields_hold(event: Event) -> None:
    """The types leave no room for a name or a plate: only machine words, tokens, numbers, and a program's version."""
    decoded = decode_frame(encode_frame(EPOCH, [event], False)).events[0]
    if isinstance(decoded.data, GatewayStarted):
        return  # its version is free text of 32 characters; the gateway sends its own release
    text = json.dumps(msgspec.to_builtins(decoded.data), ensure_ascii=False)
    assert text.isascii()
    assert "bytes" not in {found.what for found in found_in({"data": msgspec.structs.asdict(decoded.data)}, [])}


@given(st.sampled_from(["京A12345", "张伟", "13812345678@", "Zhang Wei"]))
def test_the_contract_refuses_a_name_or_plate_in_a_field(text: str) -> None:
    for data in (
        AccessGranted(text, "east", "card", "permitted"),
        AccessGranted("lobby", "east", text, "permitted"),
        AccessGranted("lobby", "east", "card", "permitted", text),
    ):
        with pytest.raises(Exception, match=r"catalogue|Expected"):
            encode_frame(EPOCH, [Event(1, 0, True, data)], False)
