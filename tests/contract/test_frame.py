"""Frames: what goes in comes out, any bytes are a Frame or a FrameError, and no limit is found by running over it."""

from __future__ import annotations

import struct
import tracemalloc

import msgspec
import pytest
import zstandard
from event_strategies import epochs, events
from hypothesis import given
from hypothesis import strategies as st

from center.contract import frame as module
from center.contract.catalogue import Event, GatewayStarted, OutboxLost, PortalOpened, VisionReturned
from center.contract.errors import FrameError
from center.contract.frame import Frame, FrameDecoder, decode_frame, encode_frame

EPOCH = "00112233445566aa"
ONE = Event(1, 1_790_000_000_000, True, PortalOpened("lobby"))
HEADER = bytes((module.CODEC_ZSTD_MSGPACK, module.NO_DICTIONARY))
_decoder = FrameDecoder()


def packed(body: bytes) -> bytes:
    return HEADER + zstandard.ZstdCompressor().compress(body)


@given(epochs, st.lists(events, min_size=1, max_size=20), st.booleans())
def test_round_trip(epoch: str, made: list[Event], simulated: bool) -> None:
    assert decode_frame(encode_frame(epoch, made, simulated)) == Frame(epoch, simulated, tuple(made))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    for raw in (data, HEADER + data, packed(data)):
        try:
            assert isinstance(_decoder.decode(raw), Frame)
        except FrameError as e:
            said = str(e)
        else:
            said = ""
        assert said.isprintable()
        assert len(said) < 400


@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_one_changed_byte_is_an_error_or_the_same_frame(made: list[Event], data: st.DataObject) -> None:
    whole = encode_frame(EPOCH, made, False)
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255))
    changed = whole[:at] + bytes((value,)) + whole[at + 1 :]
    try:
        assert _decoder.decode(changed) == _decoder.decode(whole)  # the checksum leaves no other way
    except FrameError:
        assert changed != whole


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "ends"),
        (b"\x01\x00", "ends"),
        (b"\x02\x00x", "codec 2"),
        (b"\x01\x07x", "dictionary 7"),
        (b"\x01\x00not zstd", "zstd"),
        (packed(b""), "body"),
        (packed(b"\xc1"), "body"),
        (b"\x01\x00" + bytes(module.MAX_FRAME_BYTES), "at most"),
        (encode_frame(EPOCH, [ONE], False) + b"x", "zstd"),
        (encode_frame(EPOCH, [ONE], False)[:-1], "zstd"),
    ],
)
def test_refusals_say_why(data: bytes, word: str) -> None:
    with pytest.raises(FrameError, match=word):
        decode_frame(data)


BOMB_BYTES = 1 << 30


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """A gibibyte of zeros in about 33 kB; once with the size announced, once without."""

    def pieces(announce: int) -> bytes:
        made = zstandard.ZstdCompressor(level=1).compressobj(size=announce)
        block = bytes(1 << 24)
        return b"".join([*(made.compress(block) for _ in range(BOMB_BYTES >> 24)), made.flush()])

    return {"announced": HEADER + pieces(BOMB_BYTES), "not announced": HEADER + pieces(-1)}


@pytest.mark.parametrize("kind", ["announced", "not announced"])
def test_a_zip_bomb_is_refused_before_it_takes_memory(bombs: dict[str, bytes], kind: str) -> None:
    bomb = bombs[kind]
    assert len(bomb) < module.MAX_FRAME_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match=r"at most|within"):
            decode_frame(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * module.MAX_BODY_BYTES


def array_of(count: int) -> bytes:
    return b"\xdd" + struct.pack(">I", count)


@pytest.mark.parametrize(
    "body",
    [
        b"\x93" + msgspec.msgpack.encode(EPOCH) + b"\xc2" + array_of(0xFFFFFFFF),
        array_of(0xFFFFFFFF) + msgspec.msgpack.encode(EPOCH) + b"\xc2",
        b"\x94" + msgspec.msgpack.encode(EPOCH) + b"\xc2\x91" + msgspec.msgpack.encode(ONE) + b"\x91" * 1_000_000,
        b"\x94" + msgspec.msgpack.encode(EPOCH) + b"\xc2\x91" + msgspec.msgpack.encode(ONE) + array_of(0xFFFFFFFF),
        b"\x93" + msgspec.msgpack.encode(EPOCH) + b"\xc2\x90",  # no event
        b"\x93" + msgspec.msgpack.encode(EPOCH) + b"\xc2" + b"\xdc\x03\xe9" + msgspec.msgpack.encode(ONE) * 1001,
        b"\x93\xb0" + b"\xff" * 16 + b"\xc2\x91" + msgspec.msgpack.encode(ONE),
    ],
    ids=["announced events", "announced fields", "nested", "announced extra", "none", "too many", "not utf-8"],
)
def test_a_hostile_body_is_refused_before_it_takes_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            decode_frame(packed(body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * module.MAX_BODY_BYTES


def test_the_largest_frame_there_can_be_and_one_more() -> None:
    full = [Event(i, 1, True, VisionReturned()) for i in range(1, module.MAX_EVENTS + 1)]
    assert len(decode_frame(encode_frame(EPOCH, full, True)).events) == module.MAX_EVENTS
    with pytest.raises(FrameError, match="1000 events, got 1001"):
        encode_frame(EPOCH, [*full, full[0]], True)
    with pytest.raises(FrameError, match="got 0"):
        encode_frame(EPOCH, [], True)
    ranges = tuple((i << 40, (i << 40) + 1) for i in range(1, 257))
    heavy = [Event(i, 1, True, OutboxLost(EPOCH, ranges, "disk")) for i in range(1, 1001)]
    with pytest.raises(FrameError, match="split the batch"):
        encode_frame(EPOCH, heavy, False)


@pytest.mark.parametrize(
    "data",
    [PortalOpened("Lobby East"), GatewayStarted("v" * 33, "start"), OutboxLost("not hex", ((1, 2),), "disk")],
)
def test_what_the_center_would_refuse_is_not_sent(data: PortalOpened | GatewayStarted | OutboxLost) -> None:
    with pytest.raises(FrameError, match="catalogue"):
        encode_frame(EPOCH, [ONE, Event(2, 1, True, data)], False)


def test_fields_that_a_later_release_appends_are_left_aside() -> None:
    body = msgspec.msgpack.encode(
        [EPOCH, False, [[1, 2, True, [4, "lobby", "a later field"], {"later": 1}]], "a later field"]
    )
    assert decode_frame(packed(body)).events == (Event(1, 2, True, PortalOpened("lobby")),)


def test_frames_of_the_first_release_still_decode() -> None:
    """Bytes made by release 0.1.0, kept as they were: they must decode for ever."""
    first = bytes.fromhex(RELEASE_0_1_0)
    assert decode_frame(first) == Frame(
        EPOCH,
        True,
        (
            Event(7, 1_790_000_000_123, True, PortalOpened("lobby")),
            Event(8, 1_790_000_000_123, False, OutboxLost(EPOCH, ((1, 3), (5, 5)), "full")),
        ),
    )


RELEASE_0_1_0 = (
    "010028b52ffd24531d0200940393b030303131323233333434353536366161c3929407cf000001a0c4506c7bc39204a5"
    "6c6f6262799408c2940f92920103920505a466756c6c020058cda1d3661924218fa5"
)
