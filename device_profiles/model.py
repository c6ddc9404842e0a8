"""What a profile says of a device model: one frozen struct per kind. docs/device-profiles.md describes the format.

Units are in the names. A "level" is electrical, at the gateway's pin: high or low. Everything a person reads has both
languages.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runtime.toml_file import Table

NAME_PATTERN = r"^[a-z0-9-]{1,32}(?!\n)$"  # as in gateway.toml; also keeps a profile's name from naming another folder
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Line = Annotated[str, Meta(min_length=1, max_length=120)]
Prose = Annotated[str, Meta(min_length=1, max_length=1200)]
Number = Annotated[int, Meta(ge=0, le=127)]  # OSDP numbers inputs and outputs in one byte; no device here has more
Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
Seconds = Annotated[float, Meta(gt=0, le=60)]
Level = Literal["high", "low"]
Pull = Literal["up", "down"]
Status = Literal["from-manual", "from-excerpt", "unverified"]


class Label(Table, frozen=True):
    """What people call it."""

    zh: Line
    en: Line


class Guide(Table, frozen=True):
    """Text for the person who installs or tests the device."""

    zh: Prose
    en: Prose


class Source(Table, frozen=True):
    """Where the values come from. `quote` is the sentence itself; `where` a page or section."""

    document: Line
    where: Line
    quote: Prose


class OsdpLine(Table, frozen=True):
    """How the device is reached over RS-485."""

    bauds: tuple[Literal[9600, 19200, 38400, 57600, 115200], ...]
    secure_channel: Literal["required", "offered", "none"]


class OsdpInput(Table, frozen=True):
    """One supervised input of the device; its key in [inputs] is the name that the gateway uses."""

    number: Number
    active_means: Label


class OsdpOutput(Table, frozen=True):
    """One output of the device; its key in [outputs] is the name that the gateway uses."""

    number: Number
    purpose: Literal["lock", "fire-release", "other"]
    fail: Literal["secure", "safe"] | None = None  # a lock without power: stays locked, or is released
    fire_release: Literal["none", "device-input", "lock-supply"] | None = (
        None  # the path that needs no bus and no gateway
    )
    escape_route: bool = False  # this lock may hold a door of an escape route
    max_pulse_ms: Milliseconds = 60_000


class OsdpDeviceProfile(Table, frozen=True, tag_field="kind", tag="osdp-device"):
    """A reader or node that answers on RS-485 as an OSDP peripheral device (PD)."""

    format: Literal[1]
    vendor: Line
    model: Line
    status: Status
    label: Label
    source: Source
    electrical: Guide
    self_test: Guide
    osdp: OsdpLine
    tamper: Literal["lstatr", "input", "none"]
    keypad: bool
    led_colours: tuple[Literal["red", "green", "amber"], ...]
    buzzer: bool
    text_display: bool = False  # shows what OSDP's TEXT says, 16 characters or more
    inputs: dict[Name, OsdpInput] = field(default_factory=dict)
    outputs: dict[Name, OsdpOutput] = field(default_factory=dict)

    def input_names(self) -> dict[int, str]:
        """OSDP input number -> name."""
        return {item.number: name for name, item in self.inputs.items()}

    def output_numbers(self) -> dict[str, int]:
        """Name -> OSDP output number."""
        return {name: item.number for name, item in self.outputs.items()}


class BarrierSignal(Table, frozen=True):
    """How the gateway tells the controller: a short pulse, or a contact held for as long as the movement may last."""

    mode: Literal["pulse", "held"]
    pulse_ms: Milliseconds | None = None


class BarrierSignals(Table, frozen=True):
    """The two commands of a barrier."""

    lower: BarrierSignal
    raise_: BarrierSignal = field(name="raise")


class BarrierFeedback(Table, frozen=True):
    """One contact that the gateway reads."""

    active: Level
    pull: Pull
    debounce_ms: Annotated[int, Meta(ge=1, le=1000)] = 50

    @property
    def active_when_broken(self) -> bool:
        """What a cut wire or an unpowered sensor looks like: the pull decides alone."""
        return self.active == ("high" if self.pull == "up" else "low")


class BarrierInputs(Table, frozen=True):
    """Contacts of a barrier: limit switches and the loop under the arm."""

    raised: BarrierFeedback | None = None
    lowered: BarrierFeedback | None = None
    loop: BarrierFeedback | None = None


class BarrierTimes(Table, frozen=True):
    """What the mechanics need. The site's own times (gateway.toml) lie within these."""

    travel_min_s: Seconds
    travel_max_s: Seconds
    settle_s: Seconds  # between letting go of one signal and giving the other


class BarrierProfile(Table, frozen=True, tag_field="kind", tag="barrier"):
    """A vehicle barrier's controller, wired to the gateway's pins."""

    format: Literal[1]
    vendor: Line
    model: Line
    status: Status
    label: Label
    source: Source
    electrical: Guide
    self_test: Guide
    signals: BarrierSignals
    inputs: BarrierInputs
    times: BarrierTimes
    power_loss: Literal["stays", "raises", "lowers", "unknown"]
    anti_smash: Guide
    person_protection: tuple[Literal["photocell", "radar", "safety-edge"], ...]


class CameraProfile(Table, frozen=True, tag_field="kind", tag="camera"):
    """A source of pictures."""

    format: Literal[1]
    vendor: Line
    model: Line
    status: Status
    label: Label
    source: Source
    self_test: Guide
    source_kinds: tuple[Literal["folder"], ...]
    purposes: tuple[Literal["plates"], ...]
    max_width_px: Annotated[int, Meta(ge=16, le=8192)]
    max_height_px: Annotated[int, Meta(ge=16, le=8192)]
    max_frames_per_s: Annotated[float, Meta(gt=0, le=120)]
    electrical: Guide | None = None


Profile = OsdpDeviceProfile | BarrierProfile | CameraProfile
KINDS: dict[str, type[OsdpDeviceProfile] | type[BarrierProfile] | type[CameraProfile]] = {
    "osdp-device": OsdpDeviceProfile,
    "barrier": BarrierProfile,
    "camera": CameraProfile,
}
