"""The JSON documents: acknowledgement and state. What goes in comes out; any bytes are one or an error."""

from __future__ import annotations

import pytest
from event_strategies import epochs
from hypothesis import given
from hypothesis import strategies as st

from center.contract.acknowledgement import (
    MAX_MISSING_RANGES,
    Ack,
    Refused,
    decode_ack,
    decode_answer,
    encode_ack,
)
from center.contract.errors import AcknowledgementError, StateError
from center.contract.ranges import Ranges
from center.contract.state import LAST_WILL, GatewayState, decode_state, encode_state

EPOCH = "00112233445566aa"


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    spans = draw(st.lists(st.tuples(st.integers(2, 1 << 40), st.integers(0, 99)), max_size=MAX_MISSING_RANGES))
    missing = tuple(Ranges((first, first + more) for first, more in spans))
    below = missing[0][0] - 1 if missing else 1 << 53
    return Ack(epoch=draw(epochs), stored_upto=draw(st.integers(0, below)), missing=missing)


@given(acks())
def test_acknowledgement_round_trip(ack: Ack) -> None:
    assert decode_ack(encode_ack(ack)) == ack
    assert decode_answer(encode_ack(ack)) == ack


@given(st.builds(Refused, refused=st.from_regex(r"\A[a-z-]{1,48}\Z"), codec=st.integers(0, 255)))
def test_refusal_round_trip(refused: Refused) -> None:
    assert decode_answer(encode_ack(refused)) == refused
    with pytest.raises(AcknowledgementError):  # as a gateway of before sees it
        decode_ack(encode_ack(refused))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    for decode, kind, error in (
        (decode_ack, Ack, AcknowledgementError),
        (decode_answer, Ack | Refused, AcknowledgementError),
        (lambda raw: decode_answer(b'{"refused":' + raw), Refused, AcknowledgementError),
        (decode_state, GatewayState, StateError),
    ):
        try:
            assert isinstance(decode(data), kind)
        except error as e:
            said = str(e)
        else:
            said = ""
        assert said.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"epoch":"00112233445566aa"}',
        '{"epoch":"00112233445566AA","stored_upto":1}',
        '{"epoch":"00112233445566aa","stored_upto":-1}',
        '{"epoch":"00112233445566aa","stored_upto":1.5}',
        '{"epoch":"00112233445566aa","stored_upto":5,"missing":[[5,6]]}',
        '{"epoch":"00112233445566aa","stored_upto":5,"missing":[[7,6]]}',
        '{"epoch":"00112233445566aa","stored_upto":5,"missing":[[8,9],[7,7]]}',
        '{"epoch":"00112233445566aa","stored_upto":5,"missing":[[8]]}',
        '{"epoch":"00112233445566aa","stored_upto":0,"missing":[' + ",".join(["[1,1]"] * 65) + "]}",
        '{"epoch":"00112233445566aa","stored_upto":1,"x":' + "[" * 5000,
        " " * 9000,
    ],
)
def test_wrong_acknowledgements_are_refused(text: str) -> None:
    with pytest.raises(AcknowledgementError):
        decode_ack(text.encode())


def test_what_an_acknowledgement_says_is_stored() -> None:
    ack = Ack(epoch=EPOCH, stored_upto=10, missing=((11, 12), (20, 20)), seen_upto=30)
    assert ack.stores(1, 10)
    assert ack.stores(13, 19)
    assert ack.stores(21, 30)
    for first, last in ((10, 11), (12, 13), (19, 21), (20, 20), (30, 31), (40, 50)):
        assert not ack.stores(first, last)
    assert not Ack(epoch=EPOCH, stored_upto=10).stores(11, 11)


@given(
    st.builds(GatewayState, online=st.booleans(), version=st.from_regex(r"\A[ -~]{0,32}\Z"), epoch=st.none() | epochs)
)
def test_state_round_trip(state: GatewayState) -> None:
    assert decode_state(encode_state(state)) == state


def test_the_last_will_is_a_state() -> None:
    assert decode_state(LAST_WILL) == GatewayState(online=False)


@pytest.mark.parametrize(
    "text", ["{}", '{"online":1}', '{"online":true,"version":"\\n"}', '{"online":true,"last_seq":-1}', " " * 3000]
)
def test_wrong_states_are_refused(text: str) -> None:
    with pytest.raises(StateError):
        decode_state(text.encode())
