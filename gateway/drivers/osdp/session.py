"""One conversation with one device, from the control panel's side: sequence, handshake, secure channel. No I/O.

Exactly one frame is pending at a time. Sending the pending bytes again is always safe: the device answers a repeated
frame with the same reply and does nothing twice. A frame that is no proper answer is ignored, as noise would be.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from firmware.wire import codes, frame
from firmware.wire.commands import Challenge, ServerCryptogram
from firmware.wire.errors import MessageError, SecureError
from firmware.wire.replies import ClientCryptogram, Identity, InitialMac
from firmware.wire.secure import RANDOM_BYTES, SecureChannel, SessionKeys, equal
from gateway.drivers.aes import aes

Random = Callable[[int], bytes]

BAD_KEY = "bad-key"
PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Request:
    """A command and its plain payload; `scb` is the handshake's security block, type and data."""

    code: int
    payload: bytes = b""
    scb: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply and its plain payload; `scb` is type and data of the handshake's security block."""

    code: int
    payload: bytes
    scb: bytes = b""


class SessionRefusedError(Exception):
    """The device did not pass the handshake; `cause` is bad-key or protocol."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Session:
    """`address` 0..126, `scbk` the device's own 16-byte key, `random(n)` n unpredictable bytes.

    `also`: a second key that the device may have by now, because it was told to take it. `key_type`: KEY_DEFAULT only
    where `scbk` is SCBK-D, to give a device in install mode a key of its own.
    """

    def __init__(
        self, address: int, scbk: bytes, random: Random, also: bytes | None = None, key_type: int = codes.KEY_SCBK
    ) -> None:
        self._address = address
        self._keys = [scbk] if also is None else [scbk, also]
        self._key_type = bytes((key_type,))
        self._key: bytes | None = None
        self._random = random
        self._sequence = 0
        self._channel: SecureChannel | None = None
        self._disowned = False

    @property
    def secure(self) -> bool:
        """Both sides proved that they know the key."""
        return self._channel is not None

    @property
    def key(self) -> bytes | None:
        """The base key that the present session was made with."""
        return self._key if self.secure else None

    def offer(self, also: bytes | None) -> None:
        """From the next handshake on the device may have this key, too (None: only the first)."""
        self._keys = self._keys[:1] if also is None else [self._keys[0], also]

    def settle(self, key: bytes) -> None:
        """From the next handshake on the device has this key and no other."""
        self._keys = [key]

    @property
    def disowned(self) -> bool:
        """The device answered the pending frame in plain text with a NAK: it has no session (it restarted)."""
        return self._disowned

    def begin(self) -> None:
        """Forget everything; the next frame carries sequence 0 and ends whatever session the device still has."""
        self._sequence = 0
        self._channel = None
        self._disowned = False

    def encode(self, request: Request) -> bytes:
        """The bytes of the next frame; it is pending until `accept` returns its reply or `begin` is called."""
        if self._channel is not None:
            return self._channel.seal(self._address, self._sequence, request.code, request.payload)
        return frame.encode(self._address, self._sequence, request.code, request.payload, scb=request.scb)

    def accept(self, answer: frame.Frame) -> Reply | None:
        """The reply to the pending frame, or None where this frame is none (late, damaged, somebody else's, forged).

        BUSY is returned too; the frame stays pending then.
        """
        if not answer.reply or answer.address != self._address:
            return None
        if answer.code == codes.BUSY and answer.scb_type == 0:  # by the standard: sequence 0, in plain text
            return Reply(codes.BUSY, b"")
        if answer.sequence != self._sequence:
            return None
        if self._channel is None:
            payload = answer.payload
            if answer.scb_type >= codes.SCS_MAC:
                return None
        else:
            try:
                payload = self._channel.open(answer)
            except SecureError:
                self._disowned = self._disowned or (answer.code == codes.NAK and answer.scb_type == 0)
                return None
        self._sequence = self._sequence % 3 + 1
        scb = bytes((answer.scb_type,)) + answer.scb_data if answer.scb_type else b""
        return Reply(answer.code, payload, scb)

    def handshake(self) -> Generator[Request, Reply, Identity]:
        """Yields requests, is sent their replies, returns who the device is, learnt over the secure channel.

        Raises SessionRefusedError.
        """
        self.begin()
        yield Request(codes.ID, b"\x00")  # says only that somebody is there: nothing of it is authentic
        rnd_a = self._random(RANDOM_BYTES)
        reply = yield Request(codes.CHLNG, Challenge(rnd_a).encode(), bytes((codes.SCS_CHLNG,)) + self._key_type)
        keys, rnd_b = self._check_client(reply, rnd_a)
        proof = keys.server_cryptogram(rnd_a, rnd_b)
        reply = yield Request(
            codes.SCRYPT, ServerCryptogram(proof).encode(), bytes((codes.SCS_SCRYPT,)) + self._key_type
        )
        mac = keys.initial_mac(proof)
        self._check_initial_mac(reply, mac)
        self._channel = SecureChannel(keys, mac, True)
        reply = yield Request(codes.ID, b"\x00")
        if reply.code != codes.PDID:
            raise SessionRefusedError(PROTOCOL)
        try:
            return Identity.decode(reply.payload)  # type: ignore[no-any-return]
        except MessageError:
            raise SessionRefusedError(PROTOCOL) from None

    def _check_client(self, reply: Reply, rnd_a: bytes) -> tuple[SessionKeys, bytes]:
        if reply.code != codes.CCRYPT or reply.scb != bytes((codes.SCS_CCRYPT,)) + self._key_type:
            raise SessionRefusedError(PROTOCOL)
        try:
            client = ClientCryptogram.decode(reply.payload)
        except MessageError:
            raise SessionRefusedError(PROTOCOL) from None
        for key in self._keys:
            keys = SessionKeys(aes, key, rnd_a)
            if equal(client.cryptogram, keys.client_cryptogram(rnd_a, client.rnd_b)):
                self._key = key
                return keys, client.rnd_b
        raise SessionRefusedError(BAD_KEY)

    @staticmethod
    def _check_initial_mac(reply: Reply, mac: bytes) -> None:
        if reply.code != codes.RMAC_I or reply.scb[:1] != bytes((codes.SCS_RMAC_I,)):
            raise SessionRefusedError(PROTOCOL)
        try:
            theirs = InitialMac.decode(reply.payload).mac
        except MessageError:
            raise SessionRefusedError(PROTOCOL) from None
        if reply.scb[1:] != b"\x01" or not equal(theirs, mac):
            raise SessionRefusedError(BAD_KEY)
