"""What was said on a line, frame by frame, decrypted where the device's key is known. Pure; changes nothing it reads.

Keys are never shown; card numbers, keys pressed and other payloads only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from firmware.wire import codes
from firmware.wire.commands import Buzzer, CommunicationSet, FileFragment, Led, Output
from firmware.wire.errors import MessageError, SecureError, WireError
from firmware.wire.frame import Frame, FrameParser
from firmware.wire.replies import (
    ClientCryptogram,
    Communication,
    FileStatus,
    Identity,
    Inputs,
    Keys,
    LocalStatus,
    Nak,
    RawCard,
)
from firmware.wire.secure import SecureChannel, SessionKeys, equal
from gateway.drivers.aes import aes
from gateway.drivers.osdp.names import REFUSALS, described, name_of
from gateway.drivers.osdp.ring import Heard

PLAIN = "plain"
HANDSHAKE = "handshake"
SEALED = "sealed"  # a secure channel whose key is not known here, or whose beginning was not heard
OPENED = "opened"
FORGED = "forged"  # the key is known and the frame does not fit: damaged, replayed or made by somebody else
REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Told:
    """One frame. `security` is one of the words above; `detail` is for people, without secrets unless asked for."""

    time_ns: int
    from_panel: bool
    address: int
    sequence: int
    code: int
    name: str
    security: str
    detail: str
    size: int
    raw: bytes


@dataclass(slots=True)
class _Talk:
    """What is known of one address' session."""

    rnd_a: bytes = b""
    rnd_b: bytes = b""
    keys: SessionKeys | None = None
    panel: SecureChannel | None = None
    device: SecureChannel | None = None
    last: dict[bool, bytes] = field(default_factory=dict)


def frames_of(heard: Iterable[Heard]) -> Iterator[tuple[Heard, Frame]]:
    """The good frames, each with its time (of the bytes that completed it) and direction; `data` is the frame alone."""
    parsers = {True: FrameParser(), False: FrameParser()}
    for record in heard:
        for frame in parsers[record.from_panel].feed(record.data):
            yield Heard(record.time_ns, not frame.reply, frame.raw), frame


class Decoder:
    """Follows the sessions of a line. `keys`: base keys that devices on it may have; `show` also what is private."""

    def __init__(self, keys: Sequence[bytes] = (), *, show: bool = False) -> None:
        self._keys = [*keys, codes.SCBK_D]
        self._show = show
        self._talks: dict[int, _Talk] = {}

    def told(self, heard: Iterable[Heard]) -> Iterator[Told]:
        """Every good frame in order."""
        for record, frame in frames_of(heard):
            yield self._one(record, frame)

    def _one(self, record: Heard, frame: Frame) -> Told:
        talk = self._talks.setdefault(frame.address, _Talk())
        payload: bytes | None
        if talk.last.get(frame.reply) == frame.raw and (frame.scb_type or frame.sequence):
            security, payload = REPEATED, None
        else:
            security, payload = self._opened(talk, frame)
            talk.last[frame.reply] = frame.raw
        name = name_of(frame.code, frame.reply)
        detail = "" if payload is None else self._detail(frame, payload)
        return Told(
            record.time_ns, not frame.reply, frame.address, frame.sequence, frame.code, name, security, detail,
            len(frame.raw), frame.raw,
        )  # fmt: skip

    def _opened(self, talk: _Talk, frame: Frame) -> tuple[str, bytes | None]:
        if not frame.scb_type:
            if frame.sequence == 0 and not frame.reply:
                talk.panel = talk.device = talk.keys = None
            return PLAIN, frame.payload
        if frame.scb_type < codes.SCS_MAC:
            self._follow(talk, frame)
            return HANDSHAKE, frame.payload
        receiver = talk.panel if frame.reply else talk.device
        sender = talk.device if frame.reply else talk.panel
        if receiver is None or sender is None:
            return SEALED, None
        try:
            payload = receiver.open(frame)
        except SecureError:
            return FORGED, None
        sender.overheard(receiver)
        return OPENED, bytes(payload)

    def _follow(self, talk: _Talk, frame: Frame) -> None:
        """Take what a handshake's frame says of the session."""
        try:
            if frame.scb_type == codes.SCS_CHLNG:
                talk.rnd_a, talk.keys, talk.panel, talk.device = frame.payload, None, None, None
            elif frame.scb_type == codes.SCS_CCRYPT and len(talk.rnd_a) == 8:
                client = ClientCryptogram.decode(frame.payload)
                for key in self._keys:
                    keys = SessionKeys(aes, key, talk.rnd_a)
                    if equal(client.cryptogram, keys.client_cryptogram(talk.rnd_a, client.rnd_b)):
                        talk.keys = keys
            elif frame.scb_type == codes.SCS_RMAC_I and talk.keys is not None and len(frame.payload) == 16:
                talk.panel = SecureChannel(talk.keys, frame.payload, True)
                talk.device = SecureChannel(talk.keys, frame.payload, False)
        except MessageError:
            talk.keys = None

    def _detail(self, frame: Frame, payload: bytes) -> str:
        try:
            return _reply(frame.code, payload, self._show) if frame.reply else _command(frame.code, payload, self._show)
        except (WireError, ValueError):
            return f"makes no sense ({len(payload)} bytes)"


def _command(code: int, payload: bytes, show: bool) -> str:
    if code == codes.OUT:
        return ", ".join(
            f"output {o.number} control {o.control} for {o.timer / 10:g} s" for o in Output.decode(payload)
        )
    if code == codes.LED:
        return ", ".join(_led(led) for led in Led.decode(payload))
    if code == codes.BUZ:
        buzzer = Buzzer.decode(payload)
        return f"tone {buzzer.tone}, {buzzer.count} times"
    if code == codes.KEYSET:
        return "a key, not shown"
    if code == codes.COMSET:
        wanted = CommunicationSet.decode(payload)
        return f"address {wanted.address}, {wanted.baud} baud"
    if code == codes.FILETRANSFER:
        piece = FileFragment.decode(payload)
        return f"file type {piece.kind}, {piece.offset}..{piece.offset + len(piece.data)} of {piece.total} bytes"
    return _bytes(payload, show)


def _led(led: Led) -> str:
    looks = []
    if led.temporary_control == codes.LED_SET_TEMPORARY:
        looks.append(f"colour {led.temporary[2]} for {led.timer / 10:g} s")
    if led.permanent_control == codes.LED_SET_PERMANENT:
        looks.append(f"colour {led.permanent[2]} from then on")
    return f"LED {led.led}: " + (", ".join(looks) or "unchanged")


def _reply(code: int, payload: bytes, show: bool) -> str:
    if code == codes.NAK:
        reason = Nak.decode(payload).reason
        return f"{reason}: {REFUSALS.get(reason, 'for reasons of its own')}"
    if code == codes.PDID:
        told = Identity.decode(payload)
        version = ".".join(str(part) for part in told.firmware)
        return f"vendor {told.vendor.hex()} model {told.model} serial {told.serial} firmware {version}"
    if code == codes.PDCAP:
        return f"{len(described(_entries(payload)))} functions"
    if code == codes.LSTATR:
        status = LocalStatus.decode(payload)
        return f"tamper {_on(status.tamper)}, on battery {_on(status.power)}"
    if code == codes.ISTATR:
        return "inputs " + "".join("1" if state else "0" for state in Inputs.decode(payload).states)
    if code == codes.RAW:
        card = RawCard.decode(payload)
        return f"card of {card.bits} bits" + (f" {card.data.hex()}" if show else "")
    if code == codes.KEYPPAD:
        pressed = Keys.decode(payload).keys
        return f"{len(pressed)} keys" + (f" {pressed!r}" if show else "")
    if code == codes.COM:
        now = Communication.decode(payload)
        return f"address {now.address}, {now.baud} baud"
    if code == codes.FTSTAT:
        status = FileStatus.decode(payload)
        return f"file status {status.status}, wait {status.delay_ms} ms"
    return _bytes(payload, show)


def _entries(payload: bytes) -> list[tuple[int, int, int]]:
    return [(payload[at], payload[at + 1], payload[at + 2]) for at in range(0, len(payload) - 2, 3)]


def _on(state: bool) -> str:
    return "yes" if state else "no"


def _bytes(payload: bytes, show: bool) -> str:
    if not payload:
        return ""
    return payload.hex() if show else f"{len(payload)} bytes"
