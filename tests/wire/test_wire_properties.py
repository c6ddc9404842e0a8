"""Laws of the codec, searched for counterexamples."""

from __future__ import annotations

import binascii
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.wire import codes, commands, frame, replies
from firmware.wire.crc import crc16
from firmware.wire.errors import MessageError, SecureError, WireError
from firmware.wire.secure import SecureChannel, SessionKeys, equal
from gateway.drivers.aes import aes

byte = st.integers(0, 255)
word = st.integers(0, 65535)
blob = st.binary(max_size=600)
look = st.tuples(byte, byte, byte, byte)
bits = st.lists(st.booleans(), min_size=1, max_size=16).map(tuple)


@st.composite
def cards(draw: st.DrawFn) -> replies.RawCard:
    size = draw(st.integers(1, replies.MAX_CARD_BITS))
    number = draw(st.integers(0, (1 << size) - 1))
    return replies.RawCard(draw(byte), draw(byte), size, (number << -size % 8).to_bytes((size + 7) // 8, "big"))


dword = st.integers(0, 2**32 - 1)
vendor = st.binary(min_size=3, max_size=3)


@st.composite
def pieces(draw: st.DrawFn) -> commands.FileFragment:
    data, before, after = draw(st.binary(max_size=200)), draw(st.integers(0, 2**20)), draw(st.integers(0, 2**20))
    return commands.FileFragment(draw(byte), before + len(data) + after, before, data)


MESSAGES = st.one_of(
    st.builds(
        commands.Text, byte, byte, byte, byte, byte,
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=64).map(str.encode),
    ),
    st.builds(commands.KeySet, st.binary(min_size=16, max_size=16)),
    st.builds(commands.CommunicationSet, byte, dword),
    pieces(),
    st.builds(commands.Manufacturer, vendor, st.binary(max_size=100)),
    st.builds(replies.Communication, byte, dword),
    st.builds(replies.FileStatus, byte, word, st.integers(-(2**15), 2**15 - 1), word),
    st.builds(replies.ManufacturerReply, vendor, st.binary(max_size=100)),
    st.builds(commands.Output, byte, byte, word),
    st.builds(commands.Led, byte, byte, byte, look, word, byte, look),
    st.builds(commands.Buzzer, byte, byte, byte, byte, byte),
    st.builds(commands.Challenge, st.binary(min_size=8, max_size=8)),
    st.builds(commands.ServerCryptogram, st.binary(min_size=16, max_size=16)),
    st.builds(replies.Nak, byte),
    st.builds(
        replies.Identity, st.binary(min_size=3, max_size=3), byte, byte, st.integers(0, 2**32 - 1),
        st.tuples(byte, byte, byte),
    ),
    st.builds(replies.Capabilities, st.lists(st.tuples(byte, byte, byte), min_size=1, max_size=12)),
    st.builds(replies.LocalStatus, st.booleans(), st.booleans()),
    st.builds(replies.Inputs, bits),
    st.builds(replies.Outputs, bits),
    cards(),
    st.builds(replies.Keys, byte, st.binary(min_size=1, max_size=replies.MAX_KEYS)),
    st.builds(replies.InitialMac, st.binary(min_size=16, max_size=16)),
    st.builds(
        replies.ClientCryptogram, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8),
        st.binary(min_size=16, max_size=16),
    ),
)  # fmt: skip
KINDS = [
    commands.Text, commands.KeySet, commands.CommunicationSet, commands.FileFragment, commands.Manufacturer,
    replies.Communication, replies.FileStatus, replies.ManufacturerReply,
    commands.Output, commands.Led, commands.Buzzer, commands.Challenge, commands.ServerCryptogram, replies.Nak,
    replies.Identity, replies.Capabilities, replies.LocalStatus, replies.Inputs, replies.Outputs, replies.RawCard,
    replies.Keys, replies.ClientCryptogram, replies.InitialMac,
]  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    return frame.encode(
        draw(st.integers(0, 127)),
        draw(st.integers(0, 3)),
        draw(byte),
        draw(st.binary(max_size=100)),
        draw(st.booleans()),
    )


@given(MESSAGES)
def test_decoding_an_encoded_message_gives_it_back(message: object) -> None:
    decoded = type(message).decode(message.encode())  # type: ignore[attr-defined]
    assert (decoded[0] if isinstance(decoded, list) else decoded) == message


@given(st.sampled_from(KINDS), blob)
def test_any_payload_is_a_message_or_a_message_error(kind: type, payload: bytes) -> None:
    with contextlib.suppress(MessageError):
        kind.decode(payload)  # type: ignore[attr-defined]


@given(st.integers(0, 127), st.integers(0, 3), byte, st.binary(max_size=240), st.booleans())
def test_a_frame_comes_back_as_it_was(address: int, sequence: int, code: int, payload: bytes, reply: bool) -> None:
    raw = frame.encode(address, sequence, code, payload, reply)
    got = frame.decode(raw[1:])
    assert (got.address, got.sequence, got.code, got.payload, got.reply, got.scb_type, got.mac) == (
        address, sequence, code, payload, reply, 0, b"",
    )  # fmt: skip


@given(frames(), st.data())
def test_any_flipped_bit_of_a_plain_frame_is_noticed(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw[1:])
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError):
        frame.decode(bytes(damaged))


@given(blob)
def test_any_bytes_are_a_frame_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        frame.decode(data)


@given(st.lists(st.one_of(blob, frames()), max_size=6), st.data())
def test_feeding_in_pieces_equals_feeding_at_once(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = frame.FrameParser()
    at_once = [f.raw for f in whole.feed(stream)]
    pieces = frame.FrameParser()
    single = [f.raw for n in range(len(stream)) for f in pieces.feed(stream[n : n + 1])]
    assert single == at_once
    assert pieces.damaged == whole.damaged
    cut = data.draw(st.integers(0, len(stream)))
    halves = frame.FrameParser()
    assert [f.raw for f in halves.feed(stream[:cut]) + halves.feed(stream[cut:])] == at_once


@given(st.binary(max_size=80).filter(lambda noise: b"\x53" not in noise), frames())
def test_a_frame_behind_noise_is_found(noise: bytes, raw: bytes) -> None:
    assert [f.raw for f in frame.FrameParser().feed(noise + raw)] == [raw[1:]]


@given(st.binary(max_size=3000))
def test_the_parser_never_holds_more_than_a_frame(data: bytes) -> None:
    parser = frame.FrameParser()
    parser.feed(data)
    assert len(parser._buffer) <= codes.MAX_FRAME_BYTES


@given(st.binary(max_size=300))
def test_the_checksum_is_the_one_of_the_standard_library(data: bytes) -> None:
    assert crc16(data) == binascii.crc_hqx(data, 0x1D0F)


def channels(key: bytes = bytes(range(16))) -> tuple[SecureChannel, SecureChannel]:
    keys = SessionKeys(aes, key, b"ABCDEFGH")
    mac = keys.initial_mac(keys.server_cryptogram(b"ABCDEFGH", b"abcdefgh"))
    return SecureChannel(keys, mac, True), SecureChannel(keys, mac, False)


@given(st.lists(st.tuples(byte, st.binary(max_size=200)), min_size=1, max_size=8))
def test_what_was_sealed_opens_on_the_other_side_in_order(exchanges: list[tuple[int, bytes]]) -> None:
    panel, device = channels()
    for n, (code, payload) in enumerate(exchanges):
        command = frame.decode(panel.seal(5, n % 3 + 1, code, payload)[1:])
        assert (device.open(command), command.code) == (payload, code)
        reply = frame.decode(device.seal(5, n % 3 + 1, code, payload[::-1])[1:])
        assert panel.open(reply) == payload[::-1]


@given(st.binary(max_size=60), st.data())
@settings(max_examples=200)
def test_any_flipped_bit_of_an_authenticated_frame_is_refused(payload: bytes, data: st.DataObject) -> None:
    panel, device = channels()
    raw = bytearray(panel.seal(5, 1, codes.OUT, payload)[1:])
    bit = data.draw(st.integers(0, 8 * (len(raw) - 2) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    crc = crc16(bytes(raw[:-2]))
    raw[-2:] = bytes((crc & 0xFF, crc >> 8))  # an attacker mends the checksum, noise would not
    before = vars(device).copy()
    with pytest.raises(WireError):
        device.open(frame.decode(bytes(raw)))
    assert vars(device) == before, "a refused frame must leave the session as it was"


def test_a_replayed_frame_is_refused() -> None:
    panel, device = channels()
    command = frame.decode(panel.seal(5, 1, codes.OUT, b"\x00\x05\x32\x00")[1:])
    device.open(command)
    panel.open(frame.decode(device.seal(5, 1, codes.ACK)[1:]))
    with pytest.raises(SecureError):
        device.open(command)


def test_a_frame_of_another_session_is_refused() -> None:
    panel, _ = channels()
    _, stranger = channels(bytes(range(1, 17)))
    with pytest.raises(SecureError):
        stranger.open(frame.decode(panel.seal(5, 1, codes.POLL)[1:]))


def test_the_directions_cannot_be_swapped() -> None:
    panel, _ = channels()
    other_panel, _ = channels()
    with pytest.raises(SecureError):
        other_panel.open(frame.decode(panel.seal(5, 1, codes.POLL)[1:]))


def test_a_frame_that_would_not_fit_is_refused_before_it_is_sent() -> None:
    with pytest.raises(WireError):
        frame.encode(5, 1, codes.OUT, bytes(codes.MAX_FRAME_BYTES))


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_equal_is_equality(a: bytes, b: bytes) -> None:
    assert equal(a, b) == (a == b)
    assert equal(a, a)
