"""The nouns of the gateway: plain frozen values that every room may pass around. No I/O, no clocks.

Times: `*_ms` are Unix milliseconds (UTC); a local wall time is an aware `datetime`. Names of portals, devices and
cameras match `[a-z0-9-]{1,32}`, since they become topic segments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Language(StrEnum):
    """The languages a sentence is kept in."""

    ZH = "zh-CN"
    EN = "en"


# --- what a device saw -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CardRead:
    """A card was presented at a reader. `data` holds `bits` bits, first bit received = most significant bit of
    data[0] (OSDP REPLY_RAW order); unused low bits of the last byte are 0."""

    device: str
    bits: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KeysEntered:
    """Keys pressed on a reader's keypad, in order; digits as ASCII, `#` = enter, `*` = clear."""

    device: str
    keys: str


@dataclass(frozen=True, slots=True)
class InputChanged:
    """An input of a node changed its debounced state. `name` is the profile's input name (contact, rex, tamper)."""

    device: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class DeviceOnline:
    """A device answers (again) over a secure session. `secure` is False only where configuration allows it."""

    device: str
    secure: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeviceOffline:
    """A device stopped answering, or was refused; `cause` is one of timeout, unplugged, bad-key, protocol."""

    device: str
    cause: str


@dataclass(frozen=True, slots=True)
class PlateRead:
    """One observation per visit: a plate was read by the vision worker. `text` stays on the site."""

    camera: str
    text: str
    kind: str
    score: float
    observed_ms: int
    model: str
    model_sha256: str


Observation = CardRead | KeysEntered | InputChanged | DeviceOnline | DeviceOffline | PlateRead


# --- commands to a device ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PulseOutput:
    """Drive a node's output for `duration_ms`, then let the node itself return it to rest."""

    output: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Tell the person at the reader: granted (green, one beep), denied (red, three beeps), waiting (amber)."""

    meaning: str


Command = PulseOutput | Signal


# --- who may pass -------------------------------------------------------------------------------------------------


class CredentialKind(StrEnum):
    """How somebody or something proves who it is."""

    CARD = "card"
    PIN = "pin"
    PLATE = "plate"


@dataclass(frozen=True, slots=True)
class Presented:
    """A credential as presented at an access point: `key` is what the policy is searched by.

    card: `"<bits>:<decimal value>"`; pin: hex of the site-keyed digest; plate: the text.
    """

    kind: CredentialKind
    key: str


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Somebody asks to pass `portal`; `presented` holds everything shown so far, in order."""

    portal: str
    point: str
    presented: tuple[Presented, ...]


class Reason(StrEnum):
    """Why a decision was what it was. Machine code; sentences are in `access/reasons.py`."""

    PERMITTED = "permitted"
    UNKNOWN_CREDENTIAL = "unknown-credential"
    REVOKED = "revoked"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    NO_RULE = "no-rule"
    OUTSIDE_SCHEDULE = "outside-schedule"
    PIN_REQUIRED = "pin-required"
    WRONG_PIN = "wrong-pin"
    CLOCK_UNCERTAIN = "clock-uncertain"
    UNKNOWN_PORTAL = "unknown-portal"
    NOT_ACCEPTED_HERE = "not-accepted-here"
    STORAGE_BROKEN = "storage-broken"


@dataclass(frozen=True, slots=True)
class Decision:
    """The value `decide` returns. Deny is the default everywhere a Decision is built."""

    granted: bool
    reason: Reason
    holder: str | None = None
    credential: CredentialKind | None = None
    awaiting: CredentialKind | None = None  # set with PIN_REQUIRED: what would complete the request


# --- what people do -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortalStatus:
    """One portal as it is now, for pages and health."""

    name: str
    kind: str
    label: dict[str, str]
    state: str
    state_since_ms: int
    online: bool
    last_reason: str | None = None


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """Where the way to the center stands. `mode` is mqtt or none."""

    mode: str
    connected: bool
    acked_upto: int
    made: int


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """What `operations` answers to `status`."""

    district: str
    site: str
    gateway: str
    label: dict[str, str]
    simulated: bool
    version: str
    started_ms: int
    now_ms: int
    clock: str
    storage_ok: bool
    vision_online: bool
    portals: tuple[PortalStatus, ...]
    uplink: UplinkStatus
    devices: dict[str, bool] = field(default_factory=dict)
