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
from center.contract.catalogue import (
    CATALOGUE,
    Event,
    EventData,
    GatewayStarted,
    OutboxLost,
    PortalOpened,
    VisionReturned,
)
from center.contract.columns import to_columns
from center.contract.errors import FrameError
from center.contract.examples import example_event
from center.contract.frame import Frame, FrameDecoder, FrameEncoder, decode_frame, encode_frame

EPOCH = "00112233445566aa"
ONE = Event(1, 1_790_000_000_000, True, PortalOpened("lobby"))
HEADER = bytes((module.CODEC_ROWS, module.NO_DICTIONARY))
COLUMNS = bytes((module.CODEC_COLUMNS, module.NO_DICTIONARY))
LIVE = bytes((module.CODEC_LIVE, module.NO_DICTIONARY))
_decoder = FrameDecoder()


def packed(body: bytes, header: bytes = HEADER) -> bytes:
    return header + zstandard.ZstdCompressor().compress(body)


def rows(*events: Event) -> bytes:
    return FrameEncoder(oldest=True).encode(EPOCH, events, False)


@given(epochs, st.lists(events, min_size=2, max_size=20), st.booleans())
def test_a_batch_comes_out_as_it_went_in_by_either_codec(epoch: str, made: list[Event], simulated: bool) -> None:
    for encoder, codec in ((FrameEncoder(oldest=True), module.CODEC_ROWS), (FrameEncoder(), module.CODEC_COLUMNS)):
        frame = encoder.encode(epoch, made, simulated)
        assert frame[0] == codec
        assert _decoder.decode(frame) == Frame(epoch, simulated, tuple(made))


@given(epochs, events, st.booleans())
def test_a_live_event_comes_out_as_it_went_in(epoch: str, made: Event, simulated: bool) -> None:
    frame = encode_frame(epoch, [made], simulated)
    assert frame[0] == module.CODEC_LIVE
    assert _decoder.decode(frame) == Frame(epoch, simulated, (made,))
    assert len(frame) <= len(rows(made)) + 8


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_the_example_of_every_event_survives_each_codec(kind: type[EventData]) -> None:
    event = example_event(kind)
    for frame in (encode_frame(EPOCH, [event], True), encode_frame(EPOCH, [event, event], True), rows(event)):
        assert set(_decoder.decode(frame).events) == {event}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_an_error(data: bytes) -> None:
    dictionary = bytes((module.CODEC_LIVE, 1))
    for raw in (data, HEADER + data, packed(data), packed(data, COLUMNS), LIVE + data, dictionary + bytes(15) + data):
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
    whole = encode_frame(EPOCH, [ONE, *made], False)
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
        (b"\x09\x00x", "codec 9"),
        (b"\x00\x00x", "codec 0"),
        (b"\x01\x07x", "dictionary 7"),
        (b"\x01\x01x", "dictionary 1"),
        (b"\x02\x01x", "dictionary 1"),
        (b"\x03\xffx", "dictionary 255"),
        (LIVE + bytes(14), "ends"),
        (LIVE + bytes(8) + b"\x08" + bytes(20), "flags"),
        (LIVE + bytes(9) + b"\xff" * 20, "number"),
        (LIVE + bytes(9) + b"\x01" + bytes(5) + b"\x92\xcd\x27\x10\xc0", "tag"),
        (LIVE + bytes(9) + b"\x01" + bytes(5) + b"\x80", "catalogue"),
        (LIVE + bytes(9) + b"\x00" + bytes(5) + b"\x92\x04\xa5lobby", "catalogue"),
        (bytes((module.CODEC_LIVE, 1)) + bytes(9) + b"\x01" + bytes(5) + b"not zstd", "zstd"),
        (LIVE + bytes(module.MAX_FRAME_BYTES - 2), "at most"),
        (packed(b"\x9b", COLUMNS), "body"),
        (b"\x01\x00not zstd", "zstd"),
        (packed(b""), "body"),
        (packed(b"\xc1"), "body"),
        (b"\x01\x00" + bytes(module.MAX_FRAME_BYTES), "at most"),
        (rows(ONE) + b"x", "zstd"),
        (rows(ONE)[:-1], "zstd"),
        (encode_frame(EPOCH, [ONE, ONE], False)[:-1], "zstd"),
        (encode_frame(EPOCH, [ONE], False)[:-1], "body"),
        (encode_frame(EPOCH, [ONE], False) + b"x", "body"),
    ],
)
def test_refusals_say_why(data: bytes, word: str) -> None:
    with pytest.raises(FrameError, match=word):
        decode_frame(data)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x09\x00x", "unknown-codec"),
        (b"\x03\x09x", "unknown-dictionary"),
        (b"\x01\x00" + bytes(module.MAX_FRAME_BYTES), "too-large"),
        (b"\x01\x00x", "not-a-frame"),
        (LIVE + bytes(8) + b"\x08" + bytes(20), "unknown-codec"),
        (LIVE + bytes(9) + b"\x01" + bytes(5) + b"\x92\xcd\x27\x10\xc0", "unknown-event"),
    ],
)
def test_what_the_sender_is_told(data: bytes, cause: str) -> None:
    with pytest.raises(FrameError) as e:
        decode_frame(data)
    assert e.value.cause == cause


def columns(**changes: object) -> bytes:
    """A batch of three events with something in it replaced."""
    three = [ONE, Event(2, 1_790_000_000_500, False, PortalOpened("back-door")), Event(9, 5, True, VisionReturned())]
    good = to_columns(EPOCH, three, False)
    return packed(msgspec.msgpack.encode(msgspec.structs.replace(good, **changes)), COLUMNS)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seq_steps": [1]}, "length"),
        ({"time_steps": []}, "length"),
        ({"tags": b"\x04\x04"}, "length|kinds"),
        ({"tags": b"\x04\xff\x11"}, "columns|tag 255|kinds"),
        ({"tags": b""}, "catalogue"),
        ({"tags": b"\x04" * 1001, "time_steps": [0] * 1000}, "catalogue"),
        ({"texts": []}, "table"),
        ({"texts": ["Lobby East", "back-door"]}, "catalogue"),
        ({"columns": []}, "columns for 0"),
        ({"columns": [[], []]}, "lacks its field"),
        ({"columns": [[msgspec.Raw(b"\x91\x01")], []]}, "length"),
        ({"columns": [[msgspec.Raw(b"\x92\x01\xff")], []]}, "catalogue"),
        ({"columns": [[msgspec.Raw(b"\x92\x01\x63")], []]}, "table"),
        ({"tokens": bytes(11)}, "tokens"),
        ({"first_seq": 0}, "catalogue"),
        ({"first_seq": 1 << 53, "seq_steps": [1 << 53, 1 << 53]}, "catalogue"),
        ({"first_time_ms": -1}, "catalogue"),
        ({"epoch": b"short"}, "catalogue"),
    ],
)
def test_columns_that_do_not_fit_one_another_are_refused(changes: dict[str, object], word: str) -> None:
    assert len(decode_frame(columns()).events) == 3
    with pytest.raises(FrameError, match=word):
        decode_frame(columns(**changes))


def test_columns_of_fields_that_a_later_release_appends_are_left_aside() -> None:
    later = [msgspec.Raw(msgspec.msgpack.encode(["a later field", {"later": [1]}]))]
    good = [msgspec.Raw(b"\x92\x01\x02")]
    assert decode_frame(columns(columns=[good + later, later])) == decode_frame(columns())


BOMB_BYTES = 1 << 30


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """A gibibyte of zeros in about 33 kB; once with the size announced, once without."""

    def pieces(announce: int) -> bytes:
        made = zstandard.ZstdCompressor(level=1).compressobj(size=announce)
        block = bytes(1 << 24)
        return b"".join([*(made.compress(block) for _ in range(BOMB_BYTES >> 24)), made.flush()])

    given, silent = pieces(BOMB_BYTES), pieces(-1)
    live = bytes((module.CODEC_LIVE, 1)) + bytes(9) + b"\x01" + bytes(5)
    return {
        "announced": HEADER + given,
        "not announced": HEADER + silent,
        "columns": COLUMNS + given,
        "live": live + given[4:],
        "live, short": live + zstandard.ZstdCompressor(level=19).compress(bytes(8 << 20))[4:],
    }


@pytest.mark.parametrize("kind", ["announced", "not announced", "columns", "live", "live, short"])
def test_a_zip_bomb_is_refused_before_it_takes_memory(bombs: dict[str, bytes], kind: str) -> None:
    bomb = bombs[kind]
    assert len(bomb) < module.MAX_FRAME_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match=r"at most|within|more than"):
            decode_frame(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * module.MAX_BODY_BYTES


BATCH = b"\x9b" + msgspec.msgpack.encode(bytes(8)) + b"\xc2\x01\x01"  # epoch, simulated, first number and time


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


@pytest.mark.parametrize(
    "body",
    [
        array_of(0xFFFFFFFF),
        BATCH + array_of(0xFFFFFFFF),
        BATCH + b"\x90\x90\x90\xc4\x01\x11" + array_of(4_000_000) + b"\xa0" * 4_000_000,
        BATCH + b"\x90\x90\x90\xc4\x01\x04\x90\xc4\x00\x91\x91"
        + array_of(4_000_000) + b"\x90" * 4_000_000,
        BATCH + b"\x90\x90\x90\xc4\x01\x04\x90\xc4\x00\x91\x91" + b"\x91" * 4_000_000,
    ],
    ids=["announced fields", "announced numbers", "texts", "a column of arrays", "nested"],
)  # fmt: skip
def test_hostile_columns_are_refused_before_they_take_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError):
            decode_frame(packed(body, COLUMNS))
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
