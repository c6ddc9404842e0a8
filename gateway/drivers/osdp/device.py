"""One device on the bus: what to send it next, what its answers mean, when it is lost. No I/O; time is an argument.

Life: offline -> handshake -> online -> (silent for LOST_AFTER_S) -> offline. A device that lost its session while it
still answers (it restarted) is taken up again at once, without being reported offline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from enum import Enum

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.frame import Frame
from firmware.wire.replies import Identity, Inputs, Keys, LocalStatus, ManufacturerReply, Nak, RawCard
from gateway.drivers.osdp.configured import OsdpDevice
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.session import PROTOCOL, Random, Reply, Request, Session, SessionRefusedError
from gateway.drivers.osdp.transfer import Transfer
from gateway.model import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    DeviceRecord,
    InputChanged,
    KeysEntered,
    Observation,
    PowerChanged,
)
from runtime import log

TIMEOUT = "timeout"
UNPLUGGED = "unplugged"
TAMPER = "tamper"
FIRE_INPUTS = ("fire", "fire-latched")
_POWER = "(power)"  # no input's name: where the status' power byte stands among the states

LOST_AFTER_S = 1.5  # an online device that is silent for so long is offline
_HANDSHAKE_ATTEMPTS = 4
_RETRY_STEP_S = 0.02  # the pause before attempt n is n steps, so that others are served meanwhile
_RETRY_MAX_S = 0.2
_BUSY_S = 0.05
_BACK_OFF_FIRST_S = 0.1
_BACK_OFF_MAX_S = 0.8  # whoever comes back is served within a second
_START_GRACE_S = 3.0  # at start, a device may need so long to appear before it counts as offline
_SERIES_S = 1.0  # sessions lost so soon after one another are begun anew with growing pauses
_MAX_SERIES = 16  # a device that does so again and again is reported, although it may be of some use
_REPEAT_S = 6.0  # an event told twice around a lost session follows within this time (the node's own limit is 5 s)
_ORDER_DEADLINE_S = 2.0  # a door must not open long after somebody asked
MAX_ORDERS = 32

_KEYS = {codes.KEY_CLEAR: "*", codes.KEY_ENTER: "#"} | {ord(digit): digit for digit in "0123456789"}
_log = log.get("osdp")


class _Purpose(Enum):
    CONNECT = 1
    ORDER = 2
    POLL = 3
    FILE = 4


class Device:
    """The state of one device. `online` is None until it was first reported either way; `due_s` is its next turn."""

    def __init__(self, config: OsdpDevice, random: Random, idle_gap_s: float) -> None:
        self.config = config
        self.online: bool | None = None
        self.due_s = 0.0
        self.orders: deque[Order] = deque()
        self.transfer: Transfer | None = None
        self.key = b"" if config.scbk == config.scbk_next else config.scbk  # the key that is known to be in place
        self.confirmed_key: bytes | None = None  # by the handshake that has just ended; taken by the bus
        self._session = Session(config.address, config.scbk, random, config.scbk_next)
        self._piece_next = False
        self._idle_gap_s = idle_gap_s
        self._connecting: Generator[Request, Reply, None] | None = None
        self._next: Request | None = None
        self._detail = ""
        self._pending: bytes | None = None
        self._purpose = _Purpose.CONNECT
        self._attempts = 0
        self._since_s = 0.0
        self._started_s: float | None = None
        self._back_off_s = _BACK_OFF_FIRST_S
        self._worked_s = 0.0  # the last authentic reply within a session
        self._restarted_s = 0.0
        self._restarts = 0  # of one series
        self._known: dict[str, bool] = {}
        self._read: dict[str, bool] = {}
        self._unconfirmed: Reply | None = None
        self._unconfirmed_s = 0.0
        self._maybe_repeat = False

    # --- sending

    def wants_now(self) -> bool:
        """A command waits and the device can take it: it goes before anybody's poll."""
        return bool(self.orders) and self._session.secure and self._pending is None

    def give(self, order: Order) -> None:
        """An order for this device. A vital one passes all that are not, except one already on the wire."""
        place = len(self.orders)
        if order.vital:
            first = 1 if self._on_the_wire() and self.orders else 0
            place = next((n for n in range(first, place) if not self.orders[n].vital), place)
        self.orders.insert(place, order)

    def frame(self, now_s: float) -> bytes:
        """The frame to send in this turn: the pending one again, or the next."""
        self._expire_orders(now_s)
        if self._pending is None:
            self._pending = self._session.encode(self._choose(now_s))
            self._attempts = 0
            self._since_s = now_s
        self._attempts += 1
        return self._pending

    def accept(self, answer: Frame) -> Reply | None:
        """The reply to the frame just sent, or None where this frame is none."""
        reply = self._session.accept(answer)
        if reply is None and self._session.disowned:
            return Reply(codes.NAK, b"", b"\x00")
        return reply

    def offer_key(self, key: bytes) -> None:
        """From the next handshake on the device may have this key."""
        self._session.offer(key)

    def settle_key(self, key: bytes) -> None:
        """The device has proved that it has this key."""
        self.key = key
        self._session.settle(key)

    def shake_hands_again(self, now_s: float) -> None:
        """Begin a new session; the device is not reported offline unless it does not come."""
        self._begin_again(now_s)

    def _choose(self, now_s: float) -> Request:
        if self._connecting is None and not self._session.secure:
            self._connecting = self._connect()
            self._next = next(self._connecting)
        if self._connecting is not None and self._next is not None:
            self._purpose = _Purpose.CONNECT
            return self._next
        if self.orders:
            self._purpose = _Purpose.ORDER
            return self.orders[0].requests[0]
        file = self._file_in_hand()
        # Between two pieces the device is polled until it has no more to tell, where it lets us.
        if file is not None and file.due_s <= now_s and (self._piece_next or not file.interleave):
            self._piece_next = False
            self._purpose = _Purpose.FILE
            return file.request()
        self._purpose = _Purpose.POLL
        return Request(codes.POLL)

    def _connect(self) -> Generator[Request, Reply, None]:
        """The handshake, then how things are now."""
        identity = yield from self._session.handshake()
        self._detail = _described(identity)
        self._read = {}
        # A device that cannot say how its inputs are is still a reader.
        for request in (Request(codes.ISTAT), Request(codes.LSTAT)):
            self._read |= self._states((yield request))

    # --- answers

    def replied(self, reply: Reply, now_s: float) -> list[Observation]:
        """The device answered this turn's frame."""
        if self._session.disowned:
            return self._restart(now_s)
        if reply.code == codes.BUSY:
            return self.silent(now_s, pause_s=_BUSY_S)
        self._pending = None
        self.due_s = now_s + self._idle_gap_s
        if self._session.secure:
            self._worked_s = now_s
        if self._purpose is _Purpose.CONNECT:
            return self._connect_further(reply, now_s)
        if not self._maybe_repeat:
            self._unconfirmed = None  # the device has seen our next frame: it will not tell its last event again
        if self._purpose is _Purpose.ORDER:
            self._order_answered(reply)
            return []
        file = self._file_in_hand()
        if self._purpose is _Purpose.FILE:
            if file is not None:
                file.answered(reply, now_s)
            self.due_s = now_s
            return []
        if reply.code != codes.ACK:
            self.due_s = now_s  # there may be more
        elif file is not None:
            self._piece_next = True
            self.due_s = min(self.due_s, max(now_s, file.due_s))
        return self._told(reply, now_s)

    def silent(self, now_s: float, pause_s: float | None = None) -> list[Observation]:
        """No answer came in time, or only BUSY."""
        self._expire_orders(now_s)
        if pause_s is None:
            pause_s = min(self._attempts * _RETRY_STEP_S, _RETRY_MAX_S)
        self.due_s = now_s + pause_s
        if self._purpose is not _Purpose.CONNECT:
            gone = now_s - self._since_s >= LOST_AFTER_S
        elif self.online:
            gone = now_s - self._worked_s >= LOST_AFTER_S
        elif self._session.secure or self._next is None or self._next.code != codes.ID:
            gone = self._attempts >= _HANDSHAKE_ATTEMPTS
        else:
            gone = True  # nobody is there: one try each time its turn comes
        return self.lose(TIMEOUT, now_s) if gone else []

    def lose(self, cause: str, now_s: float) -> list[Observation]:
        """The device is not to be reached. Reported once; tried again with growing pauses."""
        self._session.begin()
        self._connecting = self._next = self._pending = None
        self._maybe_repeat = self._unconfirmed is not None
        self.due_s = now_s + self._back_off_s
        self._back_off_s = min(self._back_off_s * 2, _BACK_OFF_MAX_S)
        self._fail_orders(f"osdp: device {self.config.name!r} is offline ({cause}); nothing was sent, check its line")
        if self.transfer is not None:
            self.transfer.fail(f"it is offline ({cause})")
        if self._started_s is None:
            self._started_s = now_s
        if self.online is False:
            return []
        if self.online is None and cause in (TIMEOUT, UNPLUGGED) and now_s - self._started_s < _START_GRACE_S:
            return []
        self.online = False
        self._known = {}
        return [DeviceOffline(self.config.name, cause)]

    def soon(self) -> None:
        """The line is back: try again at once."""
        self.due_s = 0.0
        self._back_off_s = _BACK_OFF_FIRST_S

    def _restart(self, now_s: float) -> list[Observation]:
        self._restarts = self._restarts + 1 if now_s - self._restarted_s < _SERIES_S else 0
        # Some devices drop their session at every damaged frame: such a one stays, and so do its commands.
        if not self.online or now_s - self._worked_s >= LOST_AFTER_S or self._restarts >= _MAX_SERIES:
            self._restarts = 0
            return self.lose(PROTOCOL, now_s)
        self._restarted_s = now_s
        if self._restarts == 0:
            _log.warning("device lost its session", device=self.config.name)
        self._begin_again(now_s)
        self.due_s = now_s + min(self._restarts * _RETRY_STEP_S, _RETRY_MAX_S)
        return []

    def _begin_again(self, now_s: float) -> None:
        self._session.begin()
        self._connecting = self._next = self._pending = None
        if (file := self._file_in_hand()) is not None:
            file.again()
        for name in FIRE_INPUTS:
            self._known.pop(name, None)  # whether it still holds its door released is told in any case
        self._maybe_repeat = self._unconfirmed is not None
        self.due_s = now_s

    def _connect_further(self, reply: Reply, now_s: float) -> list[Observation]:
        self.due_s = now_s
        if self._connecting is None:
            return []
        try:
            self._next = self._connecting.send(reply)
            return []
        except SessionRefusedError as refused:
            return self.lose(refused.cause, now_s)
        except StopIteration:
            self._connecting = self._next = None
        self._back_off_s = _BACK_OFF_FIRST_S
        self.confirmed_key = self._session.key
        observations: list[Observation] = []
        if not self.online:
            self.online = True
            observations.append(DeviceOnline(self.config.name, secure=True, detail=self._detail))
        return observations + self._changes(self._read)

    # --- meaning

    def _told(self, reply: Reply, now_s: float) -> list[Observation]:
        """What a reply to a poll says."""
        if reply.code == codes.NAK:
            return self.lose(PROTOCOL, now_s)
        repeat = self._maybe_repeat and reply == self._unconfirmed and now_s - self._unconfirmed_s < _REPEAT_S
        self._maybe_repeat = False
        self._unconfirmed = None
        if reply.code not in (codes.RAW, codes.KEYPPAD, codes.MFGREP):
            return self._changes(self._states(reply))
        self._unconfirmed = reply
        self._unconfirmed_s = now_s
        if repeat and reply.code != codes.MFGREP:  # a record has its number, and what a node holds may be told twice
            return []  # told before the session was lost; the node could not know that it had arrived
        name = self.config.name
        try:
            if reply.code == codes.RAW:
                card = RawCard.decode(reply.payload)
                return [CardRead(name, card.bits, card.data)]
            if reply.code == codes.MFGREP:
                told = ManufacturerReply.decode(reply.payload)
                return [DeviceRecord(name, told.data)] if told.vendor == codes.VENDOR else []
            keys = Keys.decode(reply.payload).keys
            return [KeysEntered(name, "".join([_KEYS[key] for key in keys]))]
        except (MessageError, KeyError):
            _log.warning("reply makes no sense, ignored", device=name, code=reply.code, size=len(reply.payload))
            return []

    def _states(self, reply: Reply) -> dict[str, bool]:
        """Input states in a reply, by name, and whether its mains are gone; {} where it holds none."""
        try:
            if reply.code == codes.LSTATR:
                status = LocalStatus.decode(reply.payload)
                return {TAMPER: status.tamper, _POWER: status.power}
            if reply.code == codes.ISTATR:
                states = Inputs.decode(reply.payload).states
                return {name: states[n] for n, name in self.config.inputs.items() if n < len(states)}
        except MessageError:
            _log.warning("reply makes no sense, ignored", device=self.config.name, code=reply.code)
        return {}

    def _changes(self, states: Mapping[str, bool]) -> list[Observation]:
        changed = {name: active for name, active in states.items() if self._known.get(name) is not active}
        self._known |= changed
        # One reply may tell of a button and of the door it released: what was asked goes before what moved.
        order = sorted(changed.items(), key=lambda item: (item[0] != "fire", item == ("contact", True)))
        device = self.config.name
        return [
            PowerChanged(device, active) if name == _POWER else InputChanged(device, name, active)
            for name, active in order
        ]

    # --- orders

    def _order_answered(self, reply: Reply) -> None:
        if not self.orders:
            return
        order = self.orders[0]
        if reply.code == codes.NAK:
            order.fail(f"osdp: device {self.config.name!r} refused a command (NAK {_reason(reply)}); check its profile")
        else:
            order.acknowledged(reply)
        if order.over:
            self.orders.popleft()

    def _expire_orders(self, now_s: float) -> None:
        text = f"osdp: device {self.config.name!r} did not acknowledge within {_ORDER_DEADLINE_S:g} s; check its line"
        for order in self.orders:
            if now_s - order.since_s >= _ORDER_DEADLINE_S:
                order.fail(text)
        if self.transfer is not None:
            self.transfer.expire(now_s)
        # The one that is on the wire stays first until it is answered: what follows must not take its place.
        keep = self.orders[0] if self.orders and self._on_the_wire() else None
        self.orders = deque([order for order in self.orders if order is keep or not order.over])

    def _file_in_hand(self) -> Transfer | None:
        return self.transfer if self.transfer is not None and not self.transfer.over else None

    def _on_the_wire(self) -> bool:
        return self._pending is not None and self._purpose is _Purpose.ORDER

    def _fail_orders(self, text: str) -> None:
        for order in self.orders:
            order.fail(text)
        self.orders.clear()

    def stop(self) -> None:
        """The bus ends: nobody may wait for it any longer."""
        self._fail_orders(f"osdp: device {self.config.name!r}: the bus was stopped; start it again to send commands")
        if self.transfer is not None:
            self.transfer.fail("the bus was stopped")


def _described(identity: Identity) -> str:
    version = ".".join([str(number) for number in identity.firmware])
    return f"vendor {identity.vendor.hex()} model {identity.model} serial {identity.serial} firmware {version}"


def _reason(reply: Reply) -> str:
    try:
        return str(Nak.decode(reply.payload).reason)
    except MessageError:
        return "without a reason"
