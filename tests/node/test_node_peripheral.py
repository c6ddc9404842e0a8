"""The node's OSDP session against hostile and clumsy control panels."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.node.door import DoorNode
from firmware.node.peripheral import Peripheral
from firmware.wire import codes, frame
from firmware.wire.commands import Output
from firmware.wire.crc import crc16
from firmware.wire.replies import ClientCryptogram, Identity, RawCard
from firmware.wire.secure import SecureChannel, SessionKeys
from gateway.drivers.aes import aes

KEY = bytes(range(16))
RND_A = b"12345678"
CARD = b"\x01\x02\x03\x40"
RELEASE = Output(0, codes.OUT_TIMED_ON, 30).encode()


class Panel:
    """The least control panel: builds frames, does nothing by itself."""

    def __init__(self, key: bytes = KEY) -> None:
        self.door = DoorNode()
        identity = Identity(b"\x02\x5a\x41", 1, 1, 1001, (0, 1, 0))
        self.pd = Peripheral(5, KEY, aes, secrets.token_bytes, identity, self.door)
        self.key = key
        self.sequence = 0
        self.now_ms = 0
        self.channel: SecureChannel | None = None

    def put(self, raw: bytes) -> frame.Frame | None:
        got = self.pd.receive(frame.decode(raw.lstrip(b"\xff")), self.now_ms)
        return None if got is None else frame.decode(got.lstrip(b"\xff"))

    def plain(self, code: int, payload: bytes = b"", scb: bytes = b"", sequence: int | None = None) -> frame.Frame:
        number = self.sequence if sequence is None else sequence
        got = self.put(frame.encode(5, number, code, payload, scb=scb))
        assert got is not None
        if sequence is None:
            self.sequence = self.sequence % 3 + 1
        return got

    def handshake(self) -> bytes:
        """The status byte of RMAC_I."""
        self.sequence = 0
        self.plain(codes.ID, b"\0")
        client = ClientCryptogram.decode(self.plain(codes.CHLNG, RND_A, b"\x11\x01").payload)
        keys = SessionKeys(aes, self.key, RND_A)
        proof = keys.server_cryptogram(RND_A, client.rnd_b)
        reply = self.plain(codes.SCRYPT, proof, b"\x13\x01")
        self.channel = SecureChannel(keys, keys.initial_mac(proof), True)
        return reply.scb_data

    def seal(self, code: int, payload: bytes = b"") -> bytes:
        assert self.channel is not None
        return self.channel.seal(5, self.sequence, code, payload)

    def ask(self, code: int, payload: bytes = b"") -> tuple[int, bytes]:
        assert self.channel is not None
        got = self.put(self.seal(code, payload))
        assert got is not None
        self.sequence = self.sequence % 3 + 1
        return got.code, self.channel.open(got)


def secured() -> Panel:
    panel = Panel()
    assert panel.handshake() == b"\x01"
    return panel


def refused(got: frame.Frame | None, reason: int) -> bool:
    return got is not None and (got.code, got.payload, got.scb_type) == (codes.NAK, bytes((reason,)), 0)


def test_a_session_reports_and_obeys() -> None:
    panel = secured()
    assert panel.ask(codes.POLL) == (codes.ACK, b"")
    panel.door.card(26, CARD, 0)
    assert panel.ask(codes.POLL) == (codes.RAW, RawCard(0, 1, 26, CARD).encode())
    assert panel.ask(codes.POLL) == (codes.ACK, b"")
    assert panel.ask(codes.ISTAT) == (codes.ISTATR, b"\0\0\0\0")
    assert panel.ask(codes.LSTAT) == (codes.LSTATR, b"\0\0")
    assert panel.ask(codes.OSTAT) == (codes.OSTATR, b"\0\0")
    assert panel.ask(codes.CAP, b"\0")[0] == codes.PDCAP
    assert panel.ask(codes.OUT, RELEASE) == (codes.ACK, b"")
    assert panel.ask(codes.OSTAT) == (codes.OSTATR, b"\1\0")
    assert panel.door.effects() == [("relay", 1)]


@pytest.mark.parametrize("code", [codes.POLL, codes.OUT, codes.LED, codes.BUZ, codes.ISTAT, codes.LSTAT, 0x75, 0x00])
def test_plain_text_is_refused_without_a_session(code: int) -> None:
    panel = Panel()
    panel.door.card(26, CARD, 0)
    assert refused(panel.plain(code, RELEASE if code == codes.OUT else b""), codes.NAK_NOT_SECURE)
    assert panel.door.effects() == []


def test_plain_text_is_refused_within_a_session_and_does_not_end_it() -> None:
    panel = secured()
    for sequence in (1, 2, 3):
        got = panel.put(frame.encode(5, sequence, codes.OUT, RELEASE))
        assert got is not None
        assert got.code == codes.NAK
    assert panel.door.effects() == []
    assert panel.ask(codes.POLL) == (codes.ACK, b"")


def test_a_forged_frame_is_refused_and_does_not_end_the_session() -> None:
    panel = secured()
    forger = SecureChannel(SessionKeys(aes, bytes(16), RND_A), bytes(16), True)
    assert refused(panel.put(forger.seal(5, panel.sequence, codes.OUT, RELEASE)), codes.NAK_NOT_SECURE)
    assert panel.door.effects() == []
    assert panel.ask(codes.POLL) == (codes.ACK, b"")


def test_a_replayed_command_does_nothing() -> None:
    panel = secured()
    recorded = panel.seal(codes.OUT, RELEASE)
    first = panel.put(recorded)
    assert first is not None
    assert panel.channel is not None
    panel.channel.open(first)
    panel.sequence = panel.sequence % 3 + 1
    for _ in range(2):
        panel.ask(codes.POLL)
    panel.door.effects()
    assert refused(panel.put(recorded), codes.NAK_NOT_SECURE)  # its sequence number has come round
    panel.handshake()
    while panel.sequence != frame.decode(recorded[1:]).sequence:
        panel.ask(codes.POLL)
    assert refused(panel.put(recorded), codes.NAK_NOT_SECURE)  # nor in another session
    assert panel.door.effects() == []


def test_a_repeated_frame_gets_the_same_bytes_and_is_done_once() -> None:
    panel = secured()
    panel.door.card(26, CARD, 0)
    poll = panel.seal(codes.POLL)
    answers = {panel.pd.receive(frame.decode(poll[1:]), n) for n in range(5)}
    assert len(answers) == 1
    assert len(panel.door.events) == 1, "not popped before the next sequence number"
    assert panel.pd.repeats == 4


def test_an_event_survives_a_lost_session() -> None:
    panel = secured()
    panel.door.card(26, CARD, 0)
    assert panel.ask(codes.POLL)[0] == codes.RAW
    panel.handshake()
    assert panel.ask(codes.POLL) == (codes.RAW, RawCard(0, 1, 26, CARD).encode())
    assert panel.ask(codes.POLL)[0] == codes.ACK


def test_states_of_an_earlier_session_are_told_as_they_are_now() -> None:
    panel = secured()
    panel.door.card(26, CARD, 0)
    for level, now_ms in ((1, 0), (0, 100)):  # the door was opened and closed
        panel.door.level("contact", level, now_ms)
        panel.door.tick(now_ms + 50)
    assert len(panel.door.events) == 3
    panel.handshake()
    assert panel.ask(codes.POLL)[0] == codes.RAW, "a card keeps its place"
    assert panel.ask(codes.POLL) == (codes.ISTATR, b"\0\0\0\0")
    assert panel.ask(codes.POLL) == (codes.LSTATR, b"\0\0")
    assert panel.ask(codes.POLL) == (codes.ACK, b"")


def test_a_wrong_key_gets_no_session() -> None:
    panel = Panel(key=bytes(16))
    assert panel.handshake() == b"\xff"
    assert panel.pd.secure is False
    assert refused(panel.put(panel.seal(codes.OUT, RELEASE)), codes.NAK_NOT_SECURE)


def test_the_default_key_is_refused() -> None:
    panel = Panel()
    panel.plain(codes.ID, b"\0")
    assert refused(panel.plain(codes.CHLNG, RND_A, b"\x11\x00"), codes.NAK_SECURITY_BLOCK)


def test_a_proof_without_a_challenge_is_refused() -> None:
    panel = Panel()
    panel.plain(codes.ID, b"\0")
    assert refused(panel.plain(codes.SCRYPT, bytes(16), b"\x13\x01"), codes.NAK_SECURITY_BLOCK)


def test_a_challenge_is_good_for_one_proof() -> None:
    panel = Panel()
    panel.plain(codes.ID, b"\0")
    panel.plain(codes.CHLNG, RND_A, b"\x11\x01")
    assert panel.plain(codes.SCRYPT, bytes(16), b"\x13\x01").scb_data == b"\xff"
    assert refused(panel.plain(codes.SCRYPT, bytes(16), b"\x13\x01"), codes.NAK_SECURITY_BLOCK)


def test_a_wrong_sequence_number_is_refused_and_forgotten() -> None:
    panel = secured()
    skipped = panel.sequence % 3 + 1
    assert refused(panel.put(frame.encode(5, skipped, codes.POLL)), codes.NAK_SEQUENCE)
    assert panel.ask(codes.POLL) == (codes.ACK, b"")


def test_a_frame_of_an_earlier_life_is_refused() -> None:
    assert refused(Panel().plain(codes.POLL, sequence=2), codes.NAK_NOT_SECURE)


def test_frames_for_others_are_not_answered() -> None:
    panel = Panel()
    for address, reply in ((6, False), (5, True), (codes.BROADCAST, False)):
        assert panel.put(frame.encode(address, 0, codes.ID, b"\0", reply)) is None


def test_a_session_nobody_uses_ends() -> None:
    panel = secured()
    panel.now_ms = codes.OFFLINE_AFTER_MS + 1
    assert refused(panel.put(panel.seal(codes.OUT, RELEASE)), codes.NAK_NOT_SECURE)
    assert panel.pd.secure is False


@pytest.mark.parametrize(
    ("code", "payload", "reason"),
    [
        (codes.OUT, b"\x00\x05", codes.NAK_LENGTH),
        (codes.OUT, b"\x00\x02\x00\x00", codes.NAK_RECORD),
        (codes.LED, b"\x00", codes.NAK_LENGTH),
        (codes.BUZ, b"", codes.NAK_LENGTH),
        (codes.POLL, b"\x00", codes.NAK_LENGTH),
        (codes.ID, b"\x00\x00", codes.NAK_LENGTH),
        (0x75, b"", codes.NAK_UNKNOWN),
        (codes.CHLNG, RND_A, codes.NAK_UNKNOWN),
    ],
)
def test_what_cannot_be_done_is_refused_within_the_session(code: int, payload: bytes, reason: int) -> None:
    panel = secured()
    assert panel.ask(code, payload) == (codes.NAK, bytes((reason,)))
    assert panel.ask(codes.POLL) == (codes.ACK, b"")
    assert panel.door.effects() == []


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8))
def test_no_bytes_whatever_move_the_lock_or_raise(bodies: list[bytes]) -> None:
    panel = secured()
    for body in bodies:
        raw = bytes((0x53, 5, (len(body) + 6) & 0xFF, 0)) + body
        crc = crc16(raw)
        for got in frame.FrameParser().feed(raw + bytes((crc & 0xFF, crc >> 8))):
            panel.pd.receive(got, 0)
    assert panel.door.effects() == []
    assert panel.handshake() == b"\x01"
    assert panel.ask(codes.POLL)[0] == codes.ACK
