"""What a profile must not say although every value is well-formed: rules of safety and of honesty. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from device_profiles.model import BarrierFeedback, BarrierProfile, CameraProfile, OsdpDeviceProfile, Profile


def broken(profile: Profile) -> list[str]:
    """Every rule that the profile breaks, as `key: sentence`; [] where it may be used."""
    if isinstance(profile, OsdpDeviceProfile):
        return [*_osdp_device(profile)]
    if isinstance(profile, BarrierProfile):
        return [*_barrier(profile)]
    return [*_camera(profile)]


def _osdp_device(profile: OsdpDeviceProfile) -> Iterator[str]:
    if not profile.osdp.bauds:
        yield "osdp.bauds: the list is empty; name at least one baud rate that the device answers at"
    if profile.osdp.secure_channel == "none":
        yield 'osdp.secure_channel: "none" would put cards on the wire in clear; use a device with Secure Channel'
    for table, numbers in (
        ("inputs", [item.number for item in profile.inputs.values()]),
        ("outputs", [item.number for item in profile.outputs.values()]),
    ):
        for number, count in Counter(numbers).items():
            if count > 1:
                yield f"{table}: number {number} is used {count} times; each needs a number of its own"
    if profile.tamper == "input" and "tamper" not in profile.inputs:
        yield 'tamper: "input" needs a table [inputs.tamper]; add it, or say "lstatr" or "none"'
    if profile.tamper != "input" and "tamper" in profile.inputs:
        yield f'inputs.tamper: tamper = "{profile.tamper}" and an input of that name contradict; remove one of them'
    yield from _outputs(profile)


def _outputs(profile: OsdpDeviceProfile) -> Iterator[str]:
    for name, output in profile.outputs.items():
        key = f"outputs.{name}"
        if output.purpose == "fire-release" and name != "fire":
            yield f'{key}: the gateway looks for the fire release under the name "fire"; call it [outputs.fire]'
        if output.purpose != "lock":
            continue
        if output.fail is None:
            yield f'{key}.fail: a lock must say what it does without power; add fail = "secure" or fail = "safe"'
        if output.fire_release is None:
            yield (
                f"{key}.fire_release: a lock must say how a fire panel releases it with the bus dead;"
                ' add "device-input", "lock-supply" or "none"'
            )
        if output.fail == "secure" and output.fire_release == "lock-supply":
            yield (
                f'{key}.fire_release: cutting the supply of a fail-secure lock keeps it locked; say "device-input" or'
                ' "none", or use a fail-safe lock'
            )
        if output.fire_release == "device-input" and "fire" not in profile.inputs:
            yield (
                f'{key}.fire_release: "device-input" needs the input that the fire panel is wired to; add'
                ' [inputs.fire], or say "none"'
            )
        if output.escape_route and output.fire_release == "none":
            yield (
                f'{key}.escape_route: expected false with fire_release = "none": a door of an escape route must be'
                " released without bus and gateway; use a lock that the fire panel releases, or say false"
            )


def _barrier(profile: BarrierProfile) -> Iterator[str]:
    up, down = profile.signals.raise_, profile.signals.lower
    if down.mode != "held":
        yield (
            'signals.lower.mode: expected "held", got "pulse": an arm lowered by a pulse goes on when the gateway dies;'
            " use the controller's held (dead-man) input"
        )
    if up.mode == "pulse" and up.pulse_ms is None:
        yield 'signals.raise.pulse_ms: mode = "pulse" needs a length; add pulse_ms from the controller\'s manual'
    for name, signal in (("raise", up), ("lower", down)):
        if signal.mode == "held" and signal.pulse_ms is not None:
            yield f'signals.{name}.pulse_ms: mode = "held" has no pulse; remove the key'
    if profile.inputs.loop is None:
        yield (
            "inputs.loop: a barrier without a loop would come down on a vehicle; wire a loop detector's relay and add"
            " [inputs.loop]"
        )
    elif not profile.inputs.loop.active_when_broken:
        yield (
            "inputs.loop: a broken wire would count as a free loop; use the detector's fail-safe (normally closed)"
            ' relay: pull = "up" with active = "high", or pull = "down" with active = "low"'
        )
    for name, switch in (("raised", profile.inputs.raised), ("lowered", profile.inputs.lowered)):
        yield from _limit_switch(name, switch)
    times = profile.times
    if times.travel_min_s >= times.travel_max_s:
        yield (
            f"times.travel_max_s: expected more than travel_min_s = {times.travel_min_s:g}, got {times.travel_max_s:g};"
            " correct one of them"
        )
    if profile.power_loss == "unknown" and profile.status != "unverified":
        yield f'power_loss: "unknown" does not go with status = "{profile.status}"; look it up, or say "unverified"'


def _limit_switch(name: str, switch: BarrierFeedback | None) -> Iterator[str]:
    if switch is None:
        yield f"inputs.{name}: without this limit switch nobody knows whether the arm moved; wire it and add the table"
    elif switch.active_when_broken:
        yield (
            f'inputs.{name}: a broken wire would count as an arm that has arrived; use pull = "up" with active = "low",'
            ' or pull = "down" with active = "high"'
        )


def _camera(profile: CameraProfile) -> Iterator[str]:
    if not profile.source_kinds:
        yield 'source_kinds: the list is empty; name how pictures are had, e.g. ["folder"]'
    if not profile.purposes:
        yield 'purposes: the list is empty; name what the pictures are used for, e.g. ["plates"]'
