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

# The unit of a number is the end of its name; a number with none of these counts things.
UNITS = {"_ms": "ms", "_s": "s", "_permille": "‰"}


class Severity(StrEnum):
    """How much it matters, from least to most."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ALARM = "alarm"
    LIFE_SAFETY = "life-safety"


# No cycle can go through immutable plain values: untracked, a batch of thousands costs the garbage collector nothing.
class EventData(Struct, frozen=True, array_like=True, gc=False):
    """Base of every event's data."""


class AccessGranted(EventData, frozen=True, tag=1):
    """Somebody or a vehicle was let in; committed before the lock or barrier was told to move."""

    portal: Name
    point: Name
    credential: Code
    reason: Code
    holder: Token | None = None
    recorded_late: bool = False
    offline: bool = False  # a node decided alone, at `decided_ms` by its own clock
    decided_ms: Milliseconds = 0
    decided_certain: bool = True


class AccessDenied(EventData, frozen=True, tag=2):
    """A request was refused; the reason says why. An unknown credential has no holder."""

    portal: Name
    point: Name
    credential: Code
    reason: Code
    holder: Token | None = None
    recorded_late: bool = False
    offline: bool = False  # a node decided alone, at `decided_ms` by its own clock
    decided_ms: Milliseconds = 0
    decided_certain: bool = True


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
    direction: Code = "unknown"  # as the camera sees it: approaching, leaving, unknown


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


class FireDetected(EventData, frozen=True, tag=18):
    """A fire signal arrived; every portal of the fire list is released until it is reset on site."""

    device: Name
    path: Code  # panel (the gateway's own input), or node-input


class FireReset(EventData, frozen=True, tag=19):
    """An authorised person ended the fire release, on site; `operator` is a token."""

    operator: Token


class PortalReleasedByFire(EventData, frozen=True, tag=20):
    """A portal was released by fire. `path` is node-input (its hard path), or message; `latency_ms` from the signal."""

    portal: Name
    path: Code
    latency_ms: Milliseconds = 0


class PortalModeChanged(EventData, frozen=True, tag=21):
    """A portal has another mode: locked, unlocked, card-and-pin, lockdown, emergency-open. `cause` is schedule,
    operator, center or start."""

    portal: Name
    mode: Code
    cause: Code
    operator: Token | None = None


class LockdownBegun(EventData, frozen=True, tag=22):
    """The site was locked down: nobody enters, everybody may leave."""

    operator: Token
    portals: Annotated[int, Meta(ge=0, le=10_000)] = 0  # how many


class LockdownEnded(EventData, frozen=True, tag=23):
    """The lockdown was ended."""

    operator: Token


class AccessDuress(EventData, frozen=True, tag=24):
    """Somebody was let in under threat. Silent: no list, light or sound on site shows it."""

    portal: Name
    point: Name
    holder: Token | None = None


class AccessAttemptsExceeded(EventData, frozen=True, tag=25):
    """Too many wrong PINs or codes at one place: it refuses them for `blocked_s`."""

    portal: Name
    point: Name
    attempts: Annotated[int, Meta(ge=0, le=10_000)]
    blocked_s: Annotated[int, Meta(ge=0, le=86_400)]


class PassbackViolated(EventData, frozen=True, tag=26):
    """Somebody entered a zone that they had not left; let in all the same (soft rule)."""

    portal: Name
    holder: Token
    zone: Name


class ExitRequested(EventData, frozen=True, tag=27):
    """The request-to-exit button was pressed; the portal was released at once."""

    portal: Name


class DevicePowerChanged(EventData, frozen=True, tag=28):
    """A device runs on its battery (`supply` = battery) or on mains again."""

    device: Name
    supply: Code


class ClockLost(EventData, frozen=True, tag=29):
    """The gateway's clock is not to be believed; `cause` says why. Timed permissions wait, leaving does not."""

    cause: Code


class ClockSynced(EventData, frozen=True, tag=30):
    """The gateway's clock is right again; `offset_ms` is how far it had been off, where that is known."""

    offset_ms: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)] = 0


class PolicyChanged(EventData, frozen=True, tag=31):
    """A new version of the site's policy is in force; `digest` is the first 16 hex digits of its sha256."""

    version: Annotated[int, Meta(ge=0, le=1 << 53)]
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]
    operator: Token | None = None


class StorageBroken(EventData, frozen=True, tag=32):
    """The gateway's disk cannot be written. Decisions go on; records wait in memory."""

    cause: Code


class StorageHealed(EventData, frozen=True, tag=33):
    """The disk can be written again; `recorded_late` events were kept in memory meanwhile, for `overflowed` there was
    no room."""

    recorded_late: Annotated[int, Meta(ge=0, le=1 << 53)]
    overflowed: Annotated[int, Meta(ge=0, le=1 << 53)]


class FrameRefused(EventData, frozen=True, tag=34):
    """The center refused something this gateway sent; `cause` says why."""

    cause: Code


class PresenceForgotten(EventData, frozen=True, tag=35):
    """An operator had the gateway forget where people are, so that anti-passback starts anew: `what` is holder, zone
    or all, `count` how many people, visitors and cars were in a zone until then."""

    what: Code
    count: Annotated[int, Meta(ge=0, le=1 << 53)]
    operator: Token | None = None
    zone: Name | None = None


class AccessUnrecorded(EventData, frozen=True, tag=40):
    """A node that decided alone could not keep a record of `count` of its answers, or lost power before it had; those
    are counted at most once."""

    portal: Name
    device: Name
    count: Annotated[int, Meta(ge=1, le=1 << 53)]


class VehicleCloned(EventData, frozen=True, tag=45):
    """A plate was shown at a way in, and by what is known a vehicle with it is in that zone already: one of the two is
    a copy, or it left unseen. `inside_ms`: how long it has been inside. `granted`: let in all the same (soft rule)."""

    portal: Name
    camera: Name
    vehicle: Token
    zone: Name
    inside_ms: Milliseconds
    granted: bool = False


class FaceEnrolled(EventData, frozen=True, tag=50):
    """A consenting holder's face was enrolled on the site, where it stays; both are tokens. `until_ms`: when it is
    erased at the latest."""

    holder: Token
    operator: Token
    references: Annotated[int, Meta(ge=1, le=64)]
    until_ms: Milliseconds


class FaceErased(EventData, frozen=True, tag=51):
    """A holder's face was erased with the key that sealed it: `cause` is withdrawn, expired, replaced, holder-removed,
    incomplete, interrupted or restored. `operator`: where a person asked for it."""

    cause: Code
    references: Annotated[int, Meta(ge=0, le=64)]
    operator: Token | None = None


class FaceAttackSuspected(EventData, frozen=True, tag=52):
    """What was held before the camera of `portal` was no live face by the evidence in `cause`. It is about the portal:
    nothing of any face is in it, and it does not say whom it looked like."""

    portal: Name
    cause: Code


class DeviceRekeyed(EventData, frozen=True, tag=60):
    """A device on a bus was given a fresh key and has proved that it knows it; `operator` is a token."""

    device: Name
    operator: Token


class SmokeSensed(EventData, frozen=True, tag=61):
    """A device's smoke contact opened: smoke, or a cut wire. No fire panel: it releases no door (zhian.fire.detected
    does)."""

    device: Name


class WaterSensed(EventData, frozen=True, tag=62):
    """A device's water contact opened: water, or a cut wire."""

    device: Name


class PanicPressed(EventData, frozen=True, tag=63):
    """Somebody called for help at a device's panic button, or its wire was cut."""

    device: Name


class MotionSensed(EventData, frozen=True, tag=64):
    """Somebody moved before a device's motion detector; at most once a minute for each device."""

    device: Name


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
    | FireDetected
    | FireReset
    | PortalReleasedByFire
    | PortalModeChanged
    | LockdownBegun
    | LockdownEnded
    | AccessDuress
    | AccessAttemptsExceeded
    | PassbackViolated
    | ExitRequested
    | DevicePowerChanged
    | ClockLost
    | ClockSynced
    | PolicyChanged
    | StorageBroken
    | StorageHealed
    | FrameRefused
    | PresenceForgotten
    | AccessUnrecorded
    | VehicleCloned
    | FaceEnrolled
    | FaceErased
    | FaceAttackSuspected
    | DeviceRekeyed
    | SmokeSensed
    | WaterSensed
    | PanicPressed
    | MotionSensed
)


class Event(Struct, frozen=True, array_like=True, gc=False):
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
    FireDetected: _entry("zhian.fire.detected", Severity.LIFE_SAFETY, "收到火灾信号", "Fire signal", "device"),
    FireReset: _entry("zhian.fire.reset", Severity.NOTICE, "火灾释放已复位", "Fire release reset", ""),
    PortalReleasedByFire: _entry("zhian.portal.released", Severity.LIFE_SAFETY, "火灾释放", "Released by fire"),
    PortalModeChanged: _entry("zhian.portal.changed", Severity.NOTICE, "通道模式改变", "Portal mode changed"),
    LockdownBegun: _entry("zhian.lockdown.begun", Severity.ALARM, "小区封闭开始", "Lockdown begun", ""),
    LockdownEnded: _entry("zhian.lockdown.ended", Severity.NOTICE, "小区封闭解除", "Lockdown ended", ""),
    AccessDuress: _entry("zhian.access.duress", Severity.ALARM, "胁迫报警", "Duress"),
    AccessAttemptsExceeded: _entry("zhian.access.blocked", Severity.WARNING, "多次输错，暂停输入", "Too many attempts"),
    PassbackViolated: _entry("zhian.access.passback", Severity.WARNING, "违反防潜回", "Anti-passback violated"),
    ExitRequested: _entry("zhian.exit.requested", Severity.INFO, "按下出门按钮", "Exit requested"),
    DevicePowerChanged: _entry("zhian.device.powered", Severity.WARNING, "设备供电改变", "Power changed", "device"),
    ClockLost: _entry("zhian.clock.lost", Severity.WARNING, "时钟不可信", "Clock lost", ""),
    ClockSynced: _entry("zhian.clock.synced", Severity.NOTICE, "时钟已校准", "Clock synchronised", ""),
    PolicyChanged: _entry("zhian.policy.changed", Severity.NOTICE, "通行策略已更新", "Policy changed", ""),
    StorageBroken: _entry("zhian.storage.broken", Severity.ALARM, "存储故障", "Storage broken", ""),
    StorageHealed: _entry("zhian.storage.healed", Severity.NOTICE, "存储恢复", "Storage healed", ""),
    FrameRefused: _entry("zhian.frame.refused", Severity.WARNING, "数据被中心拒收", "Frame refused", ""),
    AccessUnrecorded: _entry(
        "zhian.access.unrecorded", Severity.WARNING, "离线通行记录缺失", "Offline answers unrecorded"
    ),
    VehicleCloned: _entry("zhian.vehicle.cloned", Severity.ALARM, "疑似套牌车", "Plate is inside already"),
    FaceEnrolled: _entry("zhian.face.enrolled", Severity.NOTICE, "人脸已登记", "Face enrolled", ""),
    FaceErased: _entry("zhian.face.erased", Severity.NOTICE, "人脸已删除", "Face erased", ""),
    FaceAttackSuspected: _entry("zhian.face.attacked", Severity.WARNING, "疑似人脸伪造", "Face attack suspected"),
    DeviceRekeyed: _entry("zhian.device.rekeyed", Severity.NOTICE, "设备密钥已更换", "Device has a new key", "device"),
    SmokeSensed: _entry("zhian.sensor.smoke", Severity.ALARM, "烟雾报警", "Smoke sensed", "device"),
    WaterSensed: _entry("zhian.sensor.water", Severity.ALARM, "漏水报警", "Water sensed", "device"),
    PanicPressed: _entry("zhian.sensor.panic", Severity.ALARM, "紧急求助", "Call for help", "device"),
    MotionSensed: _entry("zhian.sensor.motion", Severity.INFO, "有人移动", "Motion sensed", "device"),
    PresenceForgotten: _entry("zhian.presence.forgotten", Severity.NOTICE, "在场记录已清除", "Presence forgotten", ""),
}


def entry(data: EventData) -> Entry:
    """The catalogue's entry for this event. Raises KeyError for a class that is not in it."""
    return CATALOGUE[type(data)]


def subject(data: EventData, gateway: str) -> str:
    """The portal or device the event is about, else the gateway's own name."""
    name = entry(data).subject
    return str(getattr(data, name)) if name else gateway
