"""Every event that can be reported, as a typed value. One class per event; one entry of CATALOGUE per class.

An event never carries a name, a phone or identity-card number, a plate's text, a face or a template: people and
vehicles are tokens (HMAC by the site over id and local date). Fields are only ever appended, with defaults, so that
frames of every released version still decode. Tags are wire numbers: never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

# `$` alone would also allow a line end after the text; JSON Schema knows no `\Z`.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]  # a topic segment, see interfaces: Wire
Code = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,48}(?!\n)$")]  # a machine word such as a reason
# Base32 of 10 bytes: a person or vehicle, today, at this site.
Token = Annotated[str, Meta(pattern=r"^[a-z2-7]{16}(?!\n)$")]
Epoch = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]
Milliseconds = Annotated[int, Meta(ge=0, le=1 << 53)]


class Severity(StrEnum):
    """How much it matters, from least to most."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ALARM = "alarm"
    LIFE_SAFETY = "life-safety"


class EventData(Struct, frozen=True, array_like=True):
    """Base of every event's data."""


class AccessGranted(EventData, frozen=True, tag=1):
    """Somebody or a vehicle was let in; committed before the lock or barrier was told to move."""

    portal: Name
    point: Name
    credential: Code
    reason: Code
    holder: Token | None = None
    recorded_late: bool = False


class AccessDenied(EventData, frozen=True, tag=2):
    """A request was refused; the reason says why. An unknown credential has no holder."""

    portal: Name
    point: Name
    credential: Code
    reason: Code
    holder: Token | None = None
    recorded_late: bool = False


class AccessOverridden(EventData, frozen=True, tag=3):
    """A person with the right to do so opened a portal from a page; `operator` is a token."""

    portal: Name
    operator: Token


class PortalOpened(EventData, frozen=True, tag=4):
    """Physical feedback: the portal's contact or limit switch says it is open."""

    portal: Name


class PortalClosed(EventData, frozen=True, tag=5):
    """Physical feedback: the portal is closed again, after `open_ms`."""

    portal: Name
    open_ms: Milliseconds


class PortalForced(EventData, frozen=True, tag=6):
    """The portal opened although nothing allowed it."""

    portal: Name


class PortalHeld(EventData, frozen=True, tag=7):
    """The portal stayed open longer than its limit."""

    portal: Name
    open_ms: Milliseconds


class PortalFailed(EventData, frozen=True, tag=8):
    """The portal was told to move and no feedback said that it did."""

    portal: Name
    cause: Code


class VehicleSeen(EventData, frozen=True, tag=9):
    """A plate was read at a camera: one per visit. The plate is a token; the model and its score are named."""

    camera: Name
    portal: Name
    vehicle: Token
    kind: Code
    score_permille: Annotated[int, Meta(ge=0, le=1000)]
    model: Code
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]  # the first 64 bits


class DeviceLost(EventData, frozen=True, tag=10):
    """A device stopped answering. One event, however long it stays away."""

    device: Name
    cause: Code


class DeviceReturned(EventData, frozen=True, tag=11):
    """The device answers again."""

    device: Name


class DeviceTampered(EventData, frozen=True, tag=12):
    """A device's tamper input became active."""

    device: Name


class GatewayStarted(EventData, frozen=True, tag=13):
    """Core is up. `cause` is start, or crash where the last run did not end cleanly."""

    version: Annotated[str, Meta(max_length=32)]
    cause: Code


class GatewayStopped(EventData, frozen=True, tag=14):
    """Core ends in an orderly way."""

    cause: Code


class OutboxLost(EventData, frozen=True, tag=15):
    """The gateway no longer has these numbers and says so; the center counts them as covered."""

    epoch: Epoch
    ranges: Annotated[tuple[tuple[int, int], ...], Meta(max_length=256)]
    reason: Code


class VisionLost(EventData, frozen=True, tag=16):
    """The vision process went away; doors are unaffected."""

    cause: Code


class VisionReturned(EventData, frozen=True, tag=17):
    """The vision process is back."""


AnyEventData = (
    AccessGranted
    | AccessDenied
    | AccessOverridden
    | PortalOpened
    | PortalClosed
    | PortalForced
    | PortalHeld
    | PortalFailed
    | VehicleSeen
    | DeviceLost
    | DeviceReturned
    | DeviceTampered
    | GatewayStarted
    | GatewayStopped
    | OutboxLost
    | VisionLost
    | VisionReturned
)


class Event(Struct, frozen=True, array_like=True):
    """One immutable fact. Identity is (gateway, epoch, seq); gateway and epoch travel once per frame."""

    seq: Annotated[int, Meta(ge=1, le=1 << 53)]
    time_ms: Milliseconds
    clock_certain: bool
    data: AnyEventData


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue says of one event: its public type, severity, and a title in both languages."""

    type: str
    version: int
    severity: Severity
    title_zh: str
    title_en: str
    subject: str  # the field of the data that names the portal or device, or "" for the gateway itself


def _entry(type_: str, severity: Severity, zh: str, en: str, subject: str = "portal") -> Entry:
    return Entry(type=type_, version=1, severity=severity, title_zh=zh, title_en=en, subject=subject)


CATALOGUE: dict[type[EventData], Entry] = {
    AccessGranted: _entry("zhian.access.granted", Severity.INFO, "允许通行", "Access granted"),
    AccessDenied: _entry("zhian.access.denied", Severity.NOTICE, "拒绝通行", "Access denied"),
    AccessOverridden: _entry("zhian.access.overridden", Severity.NOTICE, "人工开启", "Opened by an operator"),
    PortalOpened: _entry("zhian.portal.opened", Severity.INFO, "通道已开", "Portal opened"),
    PortalClosed: _entry("zhian.portal.closed", Severity.INFO, "通道已关", "Portal closed"),
    PortalForced: _entry("zhian.portal.forced", Severity.ALARM, "强行闯入", "Portal forced open"),
    PortalHeld: _entry("zhian.portal.held", Severity.WARNING, "门长时间未关", "Portal held open"),
    PortalFailed: _entry("zhian.portal.failed", Severity.WARNING, "通道故障", "Portal failed to move"),
    VehicleSeen: _entry("zhian.vehicle.seen", Severity.INFO, "车辆已识别", "Vehicle seen", "camera"),
    DeviceLost: _entry("zhian.device.lost", Severity.WARNING, "设备失联", "Device lost", "device"),
    DeviceReturned: _entry("zhian.device.returned", Severity.NOTICE, "设备恢复", "Device returned", "device"),
    DeviceTampered: _entry("zhian.device.tampered", Severity.ALARM, "设备被拆动", "Device tampered with", "device"),
    GatewayStarted: _entry("zhian.gateway.started", Severity.NOTICE, "网关启动", "Gateway started", ""),
    GatewayStopped: _entry("zhian.gateway.stopped", Severity.NOTICE, "网关停止", "Gateway stopped", ""),
    OutboxLost: _entry("zhian.outbox.lost", Severity.ALARM, "事件已丢失", "Events lost", ""),
    VisionLost: _entry("zhian.vision.lost", Severity.WARNING, "视觉进程失联", "Vision lost", ""),
    VisionReturned: _entry("zhian.vision.returned", Severity.NOTICE, "视觉进程恢复", "Vision returned", ""),
}


def entry(data: EventData) -> Entry:
    """The catalogue's entry for this event. Raises KeyError for a class that is not in it."""
    return CATALOGUE[type(data)]


def subject(data: EventData, gateway: str) -> str:
    """The portal or device the event is about, else the gateway's own name."""
    name = entry(data).subject
    return str(getattr(data, name)) if name else gateway
