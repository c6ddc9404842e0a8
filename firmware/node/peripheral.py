"""The node's side of an OSDP session: one frame in, at most one frame out. No I/O, no clock.

Without a session only ID, CAP and the handshake are answered, everything else is refused. A repeated frame gets the
same bytes again and is not carried out twice; it proves nothing, so it keeps no session alive. An event counts as told
once the panel's next command arrives.

The published default key (SCBK-D) begins a session only while somebody at the device has opened the install window,
and such a session can do nothing but give the device a key of its own.
"""

from firmware.wire import codes, frame
from firmware.wire.cache_file import Blocks
from firmware.wire.commands import (
    Buzzer,
    Challenge,
    CommunicationSet,
    FileFragment,
    KeySet,
    Led,
    Manufacturer,
    Output,
    ServerCryptogram,
    Text,
    need_request,
)
from firmware.wire.errors import MessageError, SecureError
from firmware.wire.replies import (
    Capabilities,
    ClientCryptogram,
    Communication,
    FileStatus,
    InitialMac,
    ManufacturerReply,
    Nak,
)
from firmware.wire.secure import RANDOM_BYTES, SecureChannel, SessionKeys, equal

_PLAIN = (codes.ID, codes.CAP, codes.CHLNG, codes.SCRYPT)
_INSTALLING = (codes.POLL, codes.ID, codes.CAP, codes.KEYSET)
INSTALL_WINDOW_MS = 120000
# A panel that changed the line must be heard at the new setting within this time, or the old one is taken again.
LINE_TRIAL_MS = 10000
BAUDS = (9600, 19200, 38400, 57600, 115200)
MAX_FILE_BYTES = 32768  # a sixth of the heap of the smallest board


class Peripheral:
    """One PD. `device` does what commands ask (see DoorNode); `random(n)` returns n unpredictable bytes.

    `scbk` is None for a device that has no key yet. `identity` is a replies.Identity. A device may have
    `on_file(type, data) -> status` (codes.FT_PROCESSED, or below 0 where it is refused), `on_manufacturer(data) ->
    bytes` (b"" where there is nothing to answer, None where it is refused), `new_key(scbk)` and `text(Text) -> 0 or
    codes.NAK_*`.
    `keeper` has `keep_key(key) -> bool` and `keep_line(address, baud) -> bool`, True once that survives a power cut;
    without one neither can be changed. `restarts`, `refused` and `repeats` count sessions, NAKs and repeated frames.
    """

    def __init__(self, address: int, scbk, aes, random, identity, device, keeper=None, baud: int = 38400):
        self._address = address
        self._baud = baud
        self._keeper = keeper
        self._install_until_ms = None
        self._installing = False
        self._file = None  # [type, Blocks of the whole, how many bytes have arrived]
        self._moving = None  # (address, baud) from after the reply on
        self._trial = None  # (address, baud) to return to and the deadline in ms
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
        self._offer = None  # (keys, rnd_a, rnd_b, whether under SCBK-D, since ms) between CHLNG and SCRYPT
        self.restarts = 0
        self.refused = 0
        self.repeats = 0

    @property
    def secure(self) -> bool:
        """A session is established, with the device's own key."""
        return self._channel is not None and not self._installing

    @property
    def address(self) -> int:
        """Where the device answers now."""
        return self._address

    @property
    def baud(self) -> int:
        """What the line is to be set to now; look at it after each reply was written and after `tick`."""
        return self._baud

    def open_install_window(self, now_ms: int) -> None:
        """Somebody at the device asks for a key: for INSTALL_WINDOW_MS it can be given one under SCBK-D."""
        self._install_until_ms = now_ms + INSTALL_WINDOW_MS

    def installing(self, now_ms: int) -> bool:
        """The install window is open."""
        return self._install_until_ms is not None and now_ms < self._install_until_ms

    def replied(self, now_ms: int) -> None:
        """The last reply has left the device: what it announced of the line holds now."""
        if self._moving is not None:
            if self._moving != (self._address, self._baud):
                # The session goes on: the panel may speak within it at the new setting, or begin another.
                self._trial = (self._address, self._baud, now_ms + LINE_TRIAL_MS)
                self._address, self._baud = self._moving
            self._moving = None

    def tick(self, now_ms: int) -> None:
        """Let time pass: a silent session ends, a new setting of the line on which nobody came is given up."""
        if self._sequence is not None and now_ms - self._heard_ms > codes.OFFLINE_AFTER_MS:
            self._forget()
        if self._trial is not None and now_ms >= self._trial[2]:
            self._return_to_old_line()

    def receive(self, command: frame.Frame, now_ms: int):
        """The bytes to answer with, or None: not for this device."""
        if command.reply or command.address != self._address:
            return None
        if now_ms - self._heard_ms > codes.OFFLINE_AFTER_MS:
            self._forget()
        if command.sequence == 0:
            self._forget()
        elif command.sequence == self._sequence and command.raw == self._last_raw:
            # Anybody can repeat a frame: only what is new and authentic keeps a session alive, or a command that was
            # held back on the way would be obeyed much later.
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
        if not self._settled():
            return None
        if self._installing:
            code, payload = self._install(command.code, payload, now_ms)
        else:
            self._device.events.confirm()
            code, payload = self._carry_out(command.code, payload, now_ms)
        return self._answered(command, self._channel.seal(self._address, command.sequence, code, payload), now_ms)

    def _plain(self, command: frame.Frame, now_ms: int) -> bytes:
        if command.code not in _PLAIN:
            return self._refuse(command, codes.NAK_NOT_SECURE)
        try:
            if command.code == codes.CHLNG:
                code, payload, scb = self._challenged(command, now_ms)
            elif command.code == codes.SCRYPT:
                code, payload, scb = self._proved(command, now_ms)
            else:
                code, payload = self._carry_out(command.code, command.payload, now_ms)
                scb = b""
        except MessageError:
            return self._refuse(command, codes.NAK_LENGTH)
        if code == codes.NAK:
            return self._refuse(command, payload[0])
        reply = frame.encode(self._address, command.sequence, code, payload, True, scb)
        return self._answered(command, reply, now_ms)

    def _challenged(self, command: frame.Frame, now_ms: int) -> tuple:
        default = command.scb_data == bytes((codes.KEY_DEFAULT,))
        key = self._scbk
        if default:  # no secret: only where somebody stands at the device and has asked for it
            key = codes.SCBK_D if self.installing(now_ms) else None
        known = default or command.scb_data == bytes((codes.KEY_SCBK,))
        if command.scb_type != codes.SCS_CHLNG or not known or key is None:
            return codes.NAK, bytes((codes.NAK_SECURITY_BLOCK,)), b""
        rnd_a = Challenge.decode(command.payload).rnd_a
        rnd_b = self._random(RANDOM_BYTES)
        keys = SessionKeys(self._aes, key, rnd_a)
        self._offer = (keys, rnd_a, rnd_b, default, now_ms)
        # cUID: vendor, model, version and serial number as in PDID, cut to its eight bytes.
        reply = ClientCryptogram(self._identity.encode()[:8], rnd_b, keys.client_cryptogram(rnd_a, rnd_b))
        return codes.CCRYPT, reply.encode(), bytes((codes.SCS_CCRYPT,)) + command.scb_data

    def _proved(self, command: frame.Frame, now_ms: int) -> tuple:
        offer, self._offer = self._offer, None
        # Plain frames, which anybody can send, must not keep an offer open for a SCRYPT that was held back.
        if offer is None or command.scb_type != codes.SCS_SCRYPT or now_ms - offer[4] > codes.OFFLINE_AFTER_MS:
            return codes.NAK, bytes((codes.NAK_SECURITY_BLOCK,)), b""
        keys, rnd_a, rnd_b, default, _ = offer
        cryptogram = ServerCryptogram.decode(command.payload).cryptogram
        if not equal(cryptogram, keys.server_cryptogram(rnd_a, rnd_b)):
            return codes.RMAC_I, bytes(16), bytes((codes.SCS_RMAC_I, 0xFF))
        mac = keys.initial_mac(cryptogram)
        self._channel = SecureChannel(keys, mac, False)
        self._installing = default
        if not default:
            self._device.session_began()
        self.restarts += 1
        return codes.RMAC_I, InitialMac(mac).encode(), bytes((codes.SCS_RMAC_I, 1))

    def _install(self, code: int, payload: bytes, now_ms: int) -> tuple:
        """What a session under SCBK-D may do: look, and give the device its key."""
        if code not in _INSTALLING or not self.installing(now_ms):
            self.refused += 1
            return codes.NAK, Nak(codes.NAK_NOT_SECURE).encode()
        if code == codes.POLL:
            return codes.ACK, b""  # nothing that happened at the door is told under a key that everybody knows
        return self._carry_out(code, payload, now_ms)

    def _settled(self) -> bool:
        """A panel that knows the key was heard: the setting of the line on trial, if there is one, is kept. False where
        it cannot be kept: the device is back at the old one, where it also is after a power cut, and says nothing here.
        """
        if self._trial is not None and not self._installing:
            if not self._keeper.keep_line(self._address, self._baud):
                self._return_to_old_line()
                return False
            self._trial = None
        return True

    def _return_to_old_line(self) -> None:
        self._address, self._baud, _ = self._trial
        self._trial = None
        self._forget()

    def _carry_out(self, code: int, payload: bytes, now_ms: int) -> tuple:
        """Code and plain payload of the reply."""
        try:
            reply = self._report(code, payload, now_ms) or self._exchange(code, payload)
            if reply is not None:
                return reply
            if code == codes.OUT:
                refusal = self._device.output(Output.decode(payload), now_ms)
            elif code == codes.LED:
                refusal = self._device.led(Led.decode(payload), now_ms)
            elif code == codes.BUZ:
                refusal = self._device.buzzer(Buzzer.decode(payload))
            elif code == codes.TEXT and hasattr(self._device, "text"):
                refusal = self._device.text(Text.decode(payload), now_ms)
            elif code == codes.KEYSET and self._keeper is not None:
                refusal = self._new_key(KeySet.decode(payload).key)
            else:
                refusal = codes.NAK_UNKNOWN
        except MessageError:
            refusal = codes.NAK_LENGTH
        if refusal:
            self.refused += 1
            return codes.NAK, Nak(refusal).encode()
        return codes.ACK, b""

    def _new_key(self, key: bytes) -> int:
        """Take a key. Only once it is kept is it acknowledged, so that no power cut leaves a device without one."""
        if key == codes.SCBK_D:
            return codes.NAK_RECORD
        if not self._keeper.keep_key(key):
            return codes.NAK_RECORD
        self._scbk = key
        self._install_until_ms = None
        if hasattr(self._device, "new_key"):
            self._device.new_key(key)
        return 0

    def _exchange(self, code: int, payload: bytes):
        """Code and payload of the answer to a file, a manufacturer's command or a change of the line, else None."""
        if code == codes.FILETRANSFER:
            status = self._piece(FileFragment.decode(payload))
            return codes.FTSTAT, FileStatus(codes.FT_INTERLEAVE, 0, status, 0).encode()
        if code == codes.MFG and hasattr(self._device, "on_manufacturer"):
            asked = Manufacturer.decode(payload)
            answer = None
            if asked.vendor == self._identity.vendor:
                answer = self._device.on_manufacturer(asked.data)
            if answer is None:
                self.refused += 1
                return codes.NAK, Nak(codes.NAK_RECORD).encode()
            if not answer:
                return codes.ACK, b""
            return codes.MFGREP, ManufacturerReply(asked.vendor, answer).encode()
        if code == codes.COMSET and self._keeper is not None:
            asked = CommunicationSet.decode(payload)
            if not 0 <= asked.address < codes.BROADCAST or asked.baud not in BAUDS:
                # By the standard a device answers what it will use: what it has, where it cannot do what was asked.
                return codes.COM, Communication(self._address, self._baud).encode()
            self._moving = (asked.address, asked.baud)
            return codes.COM, Communication(asked.address, asked.baud).encode()
        return None

    def _piece(self, piece: FileFragment) -> int:
        """Take a piece of a file; the state of the whole, as FTSTAT tells it."""
        if not hasattr(self._device, "on_file"):
            return codes.FT_UNKNOWN
        if piece.offset == 0:
            self._file = None
            if not 0 < piece.total <= MAX_FILE_BYTES or not piece.data:
                return codes.FT_ABORT
            try:
                self._file = [piece.kind, Blocks(piece.total), 0]
            except MemoryError:
                return codes.FT_ABORT
        file = self._file
        if file is None or file[0] != piece.kind or len(file[1]) != piece.total or file[2] != piece.offset:
            self._file = None
            return codes.FT_ABORT
        file[1].put(piece.offset, piece.data)
        file[2] += len(piece.data)
        if file[2] < piece.total:
            return codes.FT_PROCEED
        self._file = None
        # In pieces still where the device takes them so: the heap may hold no piece as long as the file.
        whole = file[1] if getattr(self._device, "takes_blocks", False) else file[1].get(0, piece.total)
        return self._device.on_file(piece.kind, whole)

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
        self._installing = False
        self._offer = None
        self._file = None
        self._device.events.untold()
