"""One device on the bus: what to send it next, what its answers mean, when it is lost. No I/O; time is an argument.

Life: offline -> handshake -> online -> (silent for LOST_AFTER_S) -> offline. A device that lost its session while it
still answers (it restarted) is taken up again at once, without being reported offline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import Enum

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.frame import Frame
from firmware.wire.replies import Identity, Inputs, Keys, LocalStatus, Nak, RawCard
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.session import PROTOCOL, Random, Reply, Request, Session, SessionRefusedError
from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
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
_BACK_OFF_MAX_S = 2.0
_START_GRACE_S = 3.0  # at start, a device may need so long to appear before it counts as offline
_RESTART_PAUSE_S = 1.0  # a session lost again so soon is not a restarted device
_REPEAT_S = 6.0  # an event told twice around a lost session follows within this time (the node's own limit is 5 s)
_ORDER_DEADLINE_S = 2.0  # a door must not open long after somebody asked
MAX_ORDERS = 32

_KEYS = {codes.KEY_CLEAR: "*", codes.KEY_ENTER: "#"} | {ord(digit): digit for digit in "0123456789"}
_log = log.get("osdp")


@dataclass(frozen=True, slots=True)
class OsdpDevice:
    """A device as configured. `inputs`: OSDP number -> name; `outputs`: name -> OSDP number; `scbk`: its own key."""

    name: str
    address: int
    scbk: bytes
    inputs: Mapping[int, str]
    outputs: Mapping[str, int]

    def __repr__(self) -> str:
        return f"OsdpDevice({self.name!r}, address={self.address})"  # never the key


class _Purpose(Enum):
    CONNECT = 1
    ORDER = 2
    POLL = 3


class Device:
    """The state of one device. `online` is None until it was first reported either way; `due_s` is its next turn."""

    def __init__(self, config: OsdpDevice, random: Random, idle_gap_s: float) -> None:
        self.config = config
        self.online: bool | None = None
        self.due_s = 0.0
        self.orders: deque[Order] = deque()
        self._session = Session(config.address, config.scbk, random)
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
        self._restarted_s: float | None = None
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
            self._pending = self._session.encode(self._choose())
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

    def _choose(self) -> Request:
        if self._connecting is None and not self._session.secure:
            self._connecting = self._connect()
            self._next = next(self._connecting)
        if self._connecting is not None and self._next is not None:
            self._purpose = _Purpose.CONNECT
            return self._next
        if self.orders:
            self._purpose = _Purpose.ORDER
            return self.orders[0].requests[0]
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
        if self._purpose is _Purpose.CONNECT:
            return self._connect_further(reply, now_s)
        if not self._maybe_repeat:
            self._unconfirmed = None  # the device has seen our next frame: it will not tell its last event again
        if self._purpose is _Purpose.ORDER:
            self._order_answered(reply)
            return []
        if reply.code != codes.ACK:
            self.due_s = now_s  # there may be more
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
            gone = self._restarted_s is not None and now_s - self._restarted_s >= LOST_AFTER_S
        elif self._session.secure or self._next is None or self._next.code != codes.ID:
            gone = self._attempts >= _HANDSHAKE_ATTEMPTS
        else:
            gone = True  # nobody is there: one try each time its turn comes
        return self.lose(TIMEOUT, now_s) if gone else []

    def lose(self, cause: str, now_s: float) -> list[Observation]:
        """The device is not to be reached. Reported once; tried again with growing pauses."""
        self._session.begin()
        self._connecting = self._next = self._pending = None
        self._restarted_s = None
        self._maybe_repeat = self._unconfirmed is not None
        self.due_s = now_s + self._back_off_s
        self._back_off_s = min(self._back_off_s * 2, _BACK_OFF_MAX_S)
        self._fail_orders(f"osdp: device {self.config.name!r} is offline ({cause}); nothing was sent, check its line")
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
        again = self._restarted_s is not None and now_s - self._restarted_s < _RESTART_PAUSE_S
        if again or not self.online:
            return self.lose(PROTOCOL, now_s)
        _log.warning("device lost its session", device=self.config.name)
        self._session.begin()
        self._connecting = self._next = self._pending = None
        for name in FIRE_INPUTS:
            self._known.pop(name, None)  # whether it still holds its door released is told in any case
        self._maybe_repeat = self._unconfirmed is not None
        self._restarted_s = now_s
        self.due_s = now_s
        return []

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
        if reply.code not in (codes.RAW, codes.KEYPPAD):
            return self._changes(self._states(reply))
        self._unconfirmed = reply
        self._unconfirmed_s = now_s
        if repeat:
            return []  # told before the session was lost; the node could not know that it had arrived
        name = self.config.name
        try:
            if reply.code == codes.RAW:
                card = RawCard.decode(reply.payload)
                return [CardRead(name, card.bits, card.data)]
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
            order.acknowledged()
        if order.over:
            self.orders.popleft()

    def _expire_orders(self, now_s: float) -> None:
        text = f"osdp: device {self.config.name!r} did not acknowledge within {_ORDER_DEADLINE_S:g} s; check its line"
        for order in self.orders:
            if now_s - order.since_s >= _ORDER_DEADLINE_S:
                order.fail(text)
        # The one that is on the wire stays first until it is answered: what follows must not take its place.
        keep = self.orders[0] if self.orders and self._on_the_wire() else None
        self.orders = deque([order for order in self.orders if order is keep or not order.over])

    def _on_the_wire(self) -> bool:
        return self._pending is not None and self._purpose is _Purpose.ORDER

    def _fail_orders(self, text: str) -> None:
        for order in self.orders:
            order.fail(text)
        self.orders.clear()

    def stop(self) -> None:
        """The bus ends: nobody may wait for it any longer."""
        self._fail_orders(f"osdp: device {self.config.name!r}: the bus was stopped; start it again to send commands")


def check(devices: list[OsdpDevice], bus: str) -> None:
    """Raises DriverError where two devices share a name or address, or a key has not 16 bytes."""
    for device in devices:
        if len(device.scbk) != 16:
            raise DriverError(f"osdp: device {device.name!r}: expected a key of 16 bytes, got {len(device.scbk)}")
        if not 0 <= device.address < codes.BROADCAST:
            raise DriverError(f"osdp: device {device.name!r}: expected an address of 0..126, got {device.address}")
        if sum(d.name == device.name or d.address == device.address for d in devices) > 1:
            raise DriverError(
                f"osdp: bus {bus!r}: name or address of device {device.name!r} is used twice; give each its own"
            )


def _described(identity: Identity) -> str:
    version = ".".join([str(number) for number in identity.firmware])
    return f"vendor {identity.vendor.hex()} model {identity.model} serial {identity.serial} firmware {version}"


def _reason(reply: Reply) -> str:
    try:
        return str(Nak.decode(reply.payload).reason)
    except MessageError:
        return "without a reason"
