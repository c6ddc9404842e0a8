"""Topics: one spelling, parsed strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.contract import topics
from center.contract.errors import TopicError
from center.contract.topics import GatewayName, Kind

segments = st.from_regex(r"\A[a-z0-9-]{1,32}\Z")
names = st.builds(GatewayName, segments, segments, segments)


@given(names, st.sampled_from(Kind))
def test_round_trip(name: GatewayName, kind: Kind) -> None:
    assert topics.parse(topics.topic(name, kind)) == (name, kind)


@given(st.text(max_size=250))
def test_any_text_is_a_topic_or_an_error(text: str) -> None:
    try:
        name, kind = topics.parse(text)
    except TopicError as e:
        said = str(e)
    else:
        said = ""
        assert topics.topic(name, kind) == text
    assert said.isprintable()
    assert len(said) < 400


@pytest.mark.parametrize(
    "text",
    [
        "zhian/v1/east/garden/gw-1/up/event/x",
        "zhian/v1/east/garden/gw-1/up",
        "zhian/v1/east/garden/gw-1/up/other",
        "zhian/v1/east/garden/gw-1/up/EVENT",
        "zhian/v2/east/garden/gw-1/up/event",
        "/zhian/v1/east/garden/gw-1/up/event",
        "zhian/v1/east/garden//up/event",
        "zhian/v1/east/garden/gw.1/up/event",
        "zhian/v1/east/garden/+/up/event",
        "zhian/v1/east/garden/*/up/event",
        "zhian/v1/east/garden/gw-1\n/up/event",
        f"zhian/v1/east/garden/{'g' * 33}/up/event",
        "zhian/v1/" + "x" * 300,
    ],
)
def test_what_is_not_exactly_ours_is_refused(text: str) -> None:
    with pytest.raises(TopicError):
        topics.parse(text)


def test_names_that_could_be_wildcards_cannot_be_made() -> None:
    for wrong in ("+", "#", "*", ">", "a.b", "a/b", "", "A", "é", "a\n"):
        with pytest.raises(TopicError):
            GatewayName("east", "garden", wrong)


def test_spelling() -> None:
    name = GatewayName("east", "garden", "gw-1")
    assert topics.topic(name, Kind.EVENT) == "zhian/v1/east/garden/gw-1/up/event"
    assert topics.topic(name, Kind.ACK) == "zhian/v1/east/garden/gw-1/down/ack"
    assert topics.every_gateway(Kind.STATE) == "zhian/v1/+/+/+/up/state"
    assert topics.nats_subject(topics.every_gateway(Kind.STATE)) == "zhian.v1.*.*.*.up.state"
    assert set(topics.UP) | set(topics.DOWN) == set(Kind)
