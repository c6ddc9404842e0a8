"""Events at egress, read by the CloudEvents project's own SDK: attributes, extensions and data are as we mean them."""

from __future__ import annotations

import json

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from center.contract.catalogue import CATALOGUE, EventData
from center.contract.descriptions import EXAMPLE_PLACE, example_document


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_the_sdk_reads_every_event(kind: type[EventData]) -> None:
    document = example_document(kind)
    event = JSONFormat().read(CloudEvent, json.dumps(document))
    assert event.get_specversion() == "1.0"
    assert event.get_id() == document["id"]
    assert event.get_source() == "/" + "/".join(EXAMPLE_PLACE)
    assert event.get_type() == CATALOGUE[kind].type
    assert event.get_subject() == document["subject"]
    assert event.get_datacontenttype() == "application/json"
    moment = event.get_time()
    assert moment is not None
    assert moment.isoformat(timespec="milliseconds") == "2026-09-21T14:13:20.007+00:00"
    assert event.get_extension("severity") == CATALOGUE[kind].severity
    assert event.get_extension("clock") == "synced"
    assert event.get_data() == document["data"]


def test_the_sdk_writes_what_it_read() -> None:
    for kind in CATALOGUE:
        document = example_document(kind)
        again = json.loads(JSONFormat().write(JSONFormat().read(CloudEvent, json.dumps(document))))
        again["time"] = again["time"].replace("000Z", "Z")  # the SDK writes microseconds
        assert again == document
