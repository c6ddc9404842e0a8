"""The node's side of an OSDP session: one frame in, at most one frame out. No I/O, no clock.

Without a session only ID, CAP and the handshake are answered, everything else is refused. A repeated frame gets the
same bytes again and is not carried out twice. An event counts as told once the panel's next command arrives.
"""

from firmware.wire import codes, frame
from firmware.wire.commands import Buzzer, Challenge, Led, Output, ServerCryptogram, need_request
from firmware.wire.errors import MessageError, SecureError
from firmware.wire.replies import Capabilities, ClientCryptogram, InitialMac, Nak
from firmware.wire.secure import RANDOM_BYTES, SecureChannel, SessionKeys, equal

_PLAIN = (codes.ID, codes.CAP, codes.CHLNG, codes.SCRYPT)


class Peripheral:
    """One PD. `device` does what commands ask (see DoorNode); `random(n)` returns n unpredictable bytes.

    `identity` is a replies.Identity. `restarts`, `refused` and `repeats` count sessions, NAKs and repeated frames.
    """

    def __init__(self, address: int, scbk: bytes, aes, random, identity, device):
        self._address = address
        self._scbk = scbk
        self._aes = aes
        self._random = random
        self._identity = identity
        self._device = device
        self._sequence = None
        self._last_raw = b""
        self._last_reply = b""
        self._heard_ms = 0
        self._channel = None
        self._offer = None  # (keys, rnd_a, rnd_b) between CHLNG and SCRYPT
        self.restarts = 0
        self.refused = 0
        self.repeats = 0

    @property
    def secure(self) -> bool:
        """A session is established."""
        return self._channel is not None

    def receive(self, command: frame.Frame, now_ms: int):
        """The bytes to answer with, or None: not for this device."""
        if command.reply or command.address != self._address:
            return None
        if now_ms - self._heard_ms > codes.OFFLINE_AFTER_MS:
            self._forget()
        if command.sequence == 0:
            self._forget()
        elif command.sequence == self._sequence and command.raw == self._last_raw:
            self._heard_ms = now_ms
            self.repeats += 1
            return self._last_reply
        elif self._sequence is None:
            # Another session's traffic after a restart: the panel has to begin anew.
            return self._refuse(command, codes.NAK_NOT_SECURE)
        elif command.sequence != self._sequence % 3 + 1:
            return self._refuse(command, codes.NAK_SEQUENCE)
        if self._channel is not None:
            return self._secured(command, now_ms)
        return self._plain(command, now_ms)

    def _secured(self, command: frame.Frame, now_ms: int) -> bytes:
        """A frame within a session. One that is not authentic is refused and leaves the session as it was."""
        try:
            payload = self._channel.open(command)
        except SecureError:
            return self._refuse(command, codes.NAK_NOT_SECURE)
        self._device.events.confirm()
        code, payload = self._carry_out(command.code, payload, now_ms)
        return self._answered(command, self._channel.seal(self._address, command.sequence, code, payload), now_ms)

    def _plain(self, command: frame.Frame, now_ms: int) -> bytes:
        if command.code not in _PLAIN:
            return self._refuse(command, codes.NAK_NOT_SECURE)
        try:
            if command.code == codes.CHLNG:
                code, payload, scb = self._challenged(command)
            elif command.code == codes.SCRYPT:
                code, payload, scb = self._proved(command)
            else:
                code, payload = self._carry_out(command.code, command.payload, now_ms)
                scb = b""
        except MessageError:
            return self._refuse(command, codes.NAK_LENGTH)
        if code == codes.NAK:
            return self._refuse(command, payload[0])
        reply = frame.encode(self._address, command.sequence, code, payload, True, scb)
        return self._answered(command, reply, now_ms)

    def _challenged(self, command: frame.Frame) -> tuple:
        if command.scb_type != codes.SCS_CHLNG or command.scb_data != bytes((codes.KEY_SCBK,)):
            return codes.NAK, bytes((codes.NAK_SECURITY_BLOCK,)), b""  # also the default key, which is no secret
        rnd_a = Challenge.decode(command.payload).rnd_a
        rnd_b = self._random(RANDOM_BYTES)
        keys = SessionKeys(self._aes, self._scbk, rnd_a)
        self._offer = (keys, rnd_a, rnd_b)
        # cUID: vendor, model, version and serial number as in PDID, cut to its eight bytes.
        reply = ClientCryptogram(self._identity.encode()[:8], rnd_b, keys.client_cryptogram(rnd_a, rnd_b))
        return codes.CCRYPT, reply.encode(), bytes((codes.SCS_CCRYPT, codes.KEY_SCBK))

    def _proved(self, command: frame.Frame) -> tuple:
        if self._offer is None or command.scb_type != codes.SCS_SCRYPT:
            return codes.NAK, bytes((codes.NAK_SECURITY_BLOCK,)), b""
        keys, rnd_a, rnd_b = self._offer
        self._offer = None
        cryptogram = ServerCryptogram.decode(command.payload).cryptogram
        if not equal(cryptogram, keys.server_cryptogram(rnd_a, rnd_b)):
            return codes.RMAC_I, bytes(16), bytes((codes.SCS_RMAC_I, 0xFF))
        mac = keys.initial_mac(cryptogram)
        self._channel = SecureChannel(keys, mac, False)
        self._device.session_began()
        self.restarts += 1
        return codes.RMAC_I, InitialMac(mac).encode(), bytes((codes.SCS_RMAC_I, 1))

    def _carry_out(self, code: int, payload: bytes, now_ms: int) -> tuple:
        """Code and plain payload of the reply."""
        try:
            reply = self._report(code, payload, now_ms)
            if reply is not None:
                return reply
            if code == codes.OUT:
                refusal = self._device.output(Output.decode(payload), now_ms)
            elif code == codes.LED:
                refusal = self._device.led(Led.decode(payload), now_ms)
            elif code == codes.BUZ:
                refusal = self._device.buzzer(Buzzer.decode(payload))
            else:
                refusal = codes.NAK_UNKNOWN
        except MessageError:
            refusal = codes.NAK_LENGTH
        if refusal:
            self.refused += 1
            return codes.NAK, Nak(refusal).encode()
        return codes.ACK, b""

    def _report(self, code: int, payload: bytes, now_ms: int):
        """Code and payload of the answer to a question, None where the command is no question."""
        device = self._device
        if code == codes.POLL:
            need_request(payload, code)
            message = device.poll(now_ms)
            if message is None:
                return codes.ACK, b""
        elif code == codes.ID:
            need_request(payload, code)
            message = self._identity
        elif code == codes.CAP:
            need_request(payload, code)
            message = Capabilities(device.capabilities)
        elif code == codes.LSTAT:
            need_request(payload, code)
            message = device.local_status()
        elif code == codes.ISTAT:
            need_request(payload, code)
            message = device.input_states()
        elif code == codes.OSTAT:
            need_request(payload, code)
            message = device.output_states()
        else:
            return None
        return message.code, message.encode()

    def _answered(self, command: frame.Frame, reply: bytes, now_ms: int) -> bytes:
        self._sequence = command.sequence
        self._last_raw = command.raw
        self._last_reply = reply
        self._heard_ms = now_ms
        return reply

    def _refuse(self, command: frame.Frame, reason: int) -> bytes:
        """A NAK that changes nothing: the next proper frame is still expected."""
        self.refused += 1
        return frame.encode(self._address, command.sequence, codes.NAK, Nak(reason).encode(), True)

    def _forget(self) -> None:
        self._sequence = None
        self._last_raw = b""
        self._last_reply = b""
        self._channel = None
        self._offer = None
        self._device.events.untold()
