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
    """An input of a node changed its debounced state. `name` is the profile's input name: contact, rex,
    tamper, fire."""

    device: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class TextScanned:
    """A code scanner read a text (a QR pass, a BLE token); untrusted and bounded by its driver."""

    device: str
    text: str


@dataclass(frozen=True, slots=True)
class PowerChanged:
    """A device told its power state: mains, or battery (its mains are gone)."""

    device: str
    on_battery: bool


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device of ours told something of its own (OSDP MFGREP): what `data` means is between node and gateway. One that
    was told around a lost session may come twice; it carries a number of its own."""

    device: str
    data: bytes


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
    """One observation per visit: a plate was read by the vision worker. `text` stays on the site. `direction`, as the
    camera sees it: approaching, leaving or unknown."""

    camera: str
    text: str
    kind: str
    score: float
    observed_ms: int
    model: str
    model_sha256: str
    direction: str = "unknown"


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """The vision worker recognised an enrolled, consenting holder before a camera. `bona_fide`: its evidence says that
    this is a live face. `claimed`: compared with the one holder alone whose card was shown there, which proves less. A
    face that is nobody's never becomes an observation."""

    camera: str
    holder: str
    similarity: float
    bona_fide: bool
    observed_ms: int
    model: str
    model_sha256: str
    claimed: bool = False
    asked: tuple[str, ...] = ()  # what the person was asked for before the camera and did: challenge, light


@dataclass(frozen=True, slots=True)
class FaceAsk:
    """The vision worker asks whoever stands before a camera for something that nobody could have recorded; core shows
    it there. `steps`: one after the other, each for `step_ms`. `slots`: the portal's light, on and off, each for
    `slot_ms`. Both begin `lead_ms` after people could see that something is asked. It names nobody. `id` is another one
    for each."""

    camera: str
    id: str
    steps: tuple[str, ...]
    step_ms: int
    slots: tuple[bool, ...]
    slot_ms: int
    observed_ms: int
    lead_ms: int = 0

    @property
    def lasts_ms(self) -> int:
        """From the moment it can be seen to the end of the last step or slot."""
        return self.lead_ms + max(len(self.steps) * self.step_ms, len(self.slots) * self.slot_ms)


@dataclass(frozen=True, slots=True)
class FaceAskOver:
    """What was asked for with this `id` is over; `done`: it was done as asked. A person who left did not do it."""

    camera: str
    id: str
    done: bool
    gone: bool = False


@dataclass(frozen=True, slots=True)
class FaceAttack:
    """What was held before a camera was no live face; `cause` is the evidence that said so."""

    camera: str
    cause: str
    observed_ms: int


Observation = (
    CardRead
    | KeysEntered
    | InputChanged
    | TextScanned
    | PowerChanged
    | DeviceRecord
    | DeviceOnline
    | DeviceOffline
    | PlateRead
)


# --- commands to a device ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PulseOutput:
    """Drive a node's output for `duration_ms`, then let the node itself return it to rest."""

    output: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class RestOutput:
    """Return a node's output to rest now, whatever pulse still runs. A fire latch at the node is not ended by it."""

    output: str


@dataclass(frozen=True, slots=True)
class FireRelease:
    """Latch (`on`) or reset a node's fire release: the bus message behind the hard path. A node whose fire input is
    still active refuses the reset."""

    on: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """Tell the person at the reader: granted (green, one beep), denied (red, three beeps), waiting (amber)."""

    meaning: str


@dataclass(frozen=True, slots=True)
class ShowText:
    """Show up to 32 printable ASCII characters on the reader's display for `for_s`, with so many beeps; then the reader
    itself returns to what it shows else."""

    text: str
    for_s: int
    beeps: int = 0


@dataclass(frozen=True, slots=True)
class Shine:
    """Light the reader's LED as brightly as it can (amber: red and green) for `for_ms`; 0 ends it now."""

    for_ms: int


Command = PulseOutput | RestOutput | FireRelease | Signal | ShowText | Shine


# --- who may pass -------------------------------------------------------------------------------------------------


class CredentialKind(StrEnum):
    """How somebody or something proves who it is."""

    CARD = "card"
    PIN = "pin"
    PLATE = "plate"
    QR = "qr"  # a signed pass, shown as a QR code
    CODE = "code"  # a one-time code, typed
    FACE = "face"
    BLE = "ble"  # a token from a phone


class PortalMode(StrEnum):
    """What a portal is told to be. Fire stands above all of them; leaving is possible in each."""

    LOCKED = "locked"  # the ordinary mode: whoever is permitted
    UNLOCKED = "unlocked"  # by schedule: anybody
    CARD_AND_PIN = "card-and-pin"  # every card needs its PIN, whatever else is accepted
    LOCKDOWN = "lockdown"  # nobody enters but holders of groups that pass a lockdown; everybody leaves
    EMERGENCY_OPEN = "emergency-open"  # anybody, both ways, until it is ended


@dataclass(frozen=True, slots=True)
class Presented:
    """A credential as presented at an access point: `key` is what the policy is searched by.

    card: `"<bits>:<decimal value>"`; pin and code: hex of the site-keyed digest; plate: the text; qr: the pass's id,
    its signature checked; face: the holder's id; ble: hex of the token's id.
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
    SECOND_FACTOR_REQUIRED = "second-factor-required"  # a plate was read, and something more has to be shown
    WRONG_PIN = "wrong-pin"
    CLOCK_UNCERTAIN = "clock-uncertain"
    UNKNOWN_PORTAL = "unknown-portal"
    NOT_ACCEPTED_HERE = "not-accepted-here"
    STORAGE_BROKEN = "storage-broken"
    NOT_TODAY = "not-today"  # a date exception closes it
    MISREAD = "misread"  # the parity of a card's bits is wrong
    INVALID_PASS = "invalid-pass"  # noqa: S105  # a QR pass whose form or signature is wrong
    USED_UP = "used-up"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    ANTI_PASSBACK = "anti-passback"
    INTERLOCK = "interlock"
    FIRST_PERSON_ABSENT = "first-person-absent"
    SECOND_PERSON_REQUIRED = "second-person-required"
    SAME_PERSON_TWICE = "same-person-twice"
    LOCKDOWN = "lockdown"
    EMERGENCY_OPEN = "emergency-open"  # granted: the portal is open to all
    UNLOCKED_BY_SCHEDULE = "unlocked-by-schedule"  # granted: likewise
    FIRE = "fire"  # granted: released by fire
    NOT_OFFLINE = "not-offline"  # by a node alone, which cannot judge this, or whose cache has ended


@dataclass(frozen=True, slots=True)
class Decision:
    """The value `decide` returns. Deny is the default everywhere a Decision is built."""

    granted: bool
    reason: Reason
    holder: str | None = None
    credential: CredentialKind | None = None
    awaiting: CredentialKind | None = None  # with PIN_REQUIRED, SECOND_FACTOR_REQUIRED: what would complete the request
    awaiting_person: bool = False  # set with SECOND_PERSON_REQUIRED: another holder would complete the request
    duress: bool = False  # granted under threat: nobody near the door may notice
    warnings: tuple[Reason, ...] = ()  # rules that were broken and only told (soft anti-passback)


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
    mode: PortalMode = PortalMode.LOCKED
    fire: bool = False  # released by fire, until it is reset on site


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """Where the way to the center stands. `mode` is mqtt or none."""

    mode: str
    connected: bool
    acked_upto: int
    made: int


@dataclass(frozen=True, slots=True)
class NodeCacheStatus:
    """What a node may decide alone. policy_version: that it holds, 0 = none; expires_ms: when that ends; current:
    whether it is what core would send now; excluded: why nobody may enter there by a lone node, or None; left_out:
    credentials for which it has no room; waiting: records that are not stored here yet."""

    device: str
    portal: str
    policy_version: int = 0
    expires_ms: int = 0
    current: bool = False
    credentials: int = 0
    left_out: int = 0
    excluded: str | None = None
    waiting: int = 0


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
    fire: bool = False
    lockdown: bool = False
    policy_version: int = 0
    node_caches: tuple[NodeCacheStatus, ...] = ()
