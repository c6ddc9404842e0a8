"""The catalogue is complete and its wire numbers stay; events look the same to everybody outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest
from event_strategies import events, plain
from hypothesis import given

from center.contract.catalogue import CATALOGUE, AnyEventData, Event, PortalClosed, entry
from center.contract.cloudevents import rfc3339, to_cloudevent
from center.contract.descriptions import as_markdown, described, examples_as_markdown
from center.contract.examples import EXAMPLES, example_event
from center.contract.frame import decode_frame, encode_frame

REPOSITORY = Path(__file__).resolve().parents[2]
EPOCH = "00112233445566aa"


def test_every_class_has_an_entry_and_a_tag_of_its_own() -> None:
    kinds = get_args(AnyEventData)
    assert set(kinds) == set(CATALOGUE)
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert tags == sorted(set(tags)), "tags are wire numbers: append, never renumber or use one twice"
    assert tags[:35] == list(range(1, 36)), "what was released keeps its number"
    types = [one.type for one in CATALOGUE.values()]
    assert len(set(types)) == len(types)
    assert all(re.fullmatch(r"zhian(\.[a-z]+){2}", one) for one in types)
    for kind, one in CATALOGUE.items():
        assert not one.subject or one.subject in kind.__struct_fields__
        assert one.title_zh
        assert one.title_en


@given(events)
def test_cloudevents_attributes(event: Event) -> None:
    document = to_cloudevent(event, "east", "garden", "gw-1", EPOCH, True)
    again = json.loads(json.dumps(document))
    assert again == document
    assert document["specversion"] == "1.0"
    assert document["id"] == f"{EPOCH}-{event.seq}"
    assert document["source"] == "/east/garden/gw-1"
    assert document["type"] == entry(event.data).type
    assert document["subject"]
    assert document["simulated"] is True
    assert list(document["data"]) == list(type(event.data).__struct_fields__)
    assert list(document["data"].values()) == plain(event.data)[1:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["time"])
    # CloudEvents 1.0, 3.1: attribute names are lower-case letters and digits only.
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in document)


def test_an_event_as_others_see_it() -> None:
    event = Event(42, 1_790_000_000_007, False, PortalClosed("lobby", 1500))
    assert to_cloudevent(event, "east", "garden", "gw-1", EPOCH, False) == {
        "specversion": "1.0",
        "id": "00112233445566aa-42",
        "source": "/east/garden/gw-1",
        "type": "zhian.portal.closed",
        "time": "2026-09-21T14:13:20.007Z",
        "subject": "lobby",
        "datacontenttype": "application/json",
        "severity": "info",
        "clock": "uncertain",
        "data": {"portal": "lobby", "open_ms": 1500},
    }


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_790_000_000_999, 253_402_300_799_999])
def test_times_keep_their_milliseconds(time_ms: int) -> None:
    moment = datetime.fromisoformat(rfc3339(time_ms))
    assert round(moment.timestamp() * 1000) == time_ms


def test_times_beyond_the_calendar_stay_writable() -> None:
    assert rfc3339(1 << 53) == "9999-12-31T23:59:59.999Z"


def test_descriptions_name_every_event_and_field() -> None:
    table = as_markdown()
    for kind, one in zip(CATALOGUE, described(), strict=True):
        assert [field["name"] for field in one["fields"]] == list(kind.__struct_fields__)
        assert f"| `{one['type']}` |" in table
        assert one["meaning"]
    assert (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8").count(table) == 1, (
        "docs/events.md: put the output of `zhian events catalogue --markdown` in place of its table"
    )


def test_the_page_of_examples_is_in_step() -> None:
    assert (REPOSITORY / "docs" / "event-examples.md").read_text(encoding="utf-8") == examples_as_markdown(), (
        "run `zhian events catalogue --examples > docs/event-examples.md`"
    )


def test_every_event_has_an_example_that_follows_the_catalogue() -> None:
    assert set(EXAMPLES) == set(CATALOGUE)
    for kind, one in EXAMPLES.items():
        event = example_event(kind)
        assert decode_frame(encode_frame(EPOCH, [event], False)).events == (event,)
        assert re.search("[\u4e00-\u9fff]", one.zh)
        assert one.en.isascii()
        assert one.zh.endswith("。")
        assert one.en.endswith(".")


COUNTS = {"attempts", "count", "portals", "references", "version", "recorded_late", "overflowed"}


def test_every_number_has_a_unit_or_counts_something() -> None:
    for event in described():
        for field in event["fields"]:
            kinds = {one.get("type") for one in field["schema"].get("anyOf", [field["schema"]])}
            if "integer" in kinds:
                assert field["unit"] or field["name"] in COUNTS, f"{event['type']} {field['name']}: end it with a unit"
            else:
                assert not field["unit"], f"{event['type']} {field['name']} is no number"


@pytest.mark.parametrize(
    ("option", "start"),
    [("--json", "["), ("--markdown", "| type"), ("--examples", "# Every"), ("--asyncapi", "{"), (None, "zhian.access")],
)
def test_the_command_prints_the_catalogue(option: str | None, start: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "zhian", "events", "catalogue", *([option] if option else [])],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(start)
    assert said.stderr == ""
    if option == "--json":
        assert json.loads(said.stdout) == described()
