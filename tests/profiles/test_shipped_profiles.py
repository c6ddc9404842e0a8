"""The shipped profiles: each loads, says what the gateway relies on, and quotes its source truly."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from device_profiles import BarrierProfile, CameraProfile, OsdpDeviceProfile, ProfileError, load, names
from firmware.node.door import CONTACT, FIRE, FIRE_LATCHED, FIRE_RELEASE, LOCK, REX, SENSORS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", names())
def test_loads_and_is_frozen(name: str) -> None:
    profile = load(name)
    with pytest.raises(AttributeError):
        profile.model = "another"
    assert profile.label.zh != profile.label.en


@pytest.mark.parametrize("name", names())
def test_a_source_in_this_repository_says_what_is_quoted(name: str) -> None:
    source = load(name).source
    if not source.document.startswith("docs/"):
        pytest.fail(f"{name}: the source is outside this repository; keep its excerpt where a test can read it")
    text = " ".join((REPOSITORY / source.document).read_text(encoding="utf-8").split())
    assert source.quote in text
    assert f"## {source.where}" in text


def test_the_door_node_is_what_the_firmware_speaks() -> None:
    node = load("zhian-door-node")
    assert isinstance(node, OsdpDeviceProfile)
    own = {CONTACT: "contact", REX: "rex", FIRE: "fire", FIRE_LATCHED: "fire-latched"}
    assert node.input_names() == own | dict(enumerate(SENSORS, start=len(own)))
    assert node.output_numbers() == {"lock": LOCK, "fire": FIRE_RELEASE}
    assert node.tamper == "lstatr"
    assert (node.outputs["lock"].fail, node.outputs["lock"].fire_release) == ("secure", "device-input")


def test_the_fail_safe_variant_differs_in_its_lock_only() -> None:
    node, variant = load("zhian-door-node"), load("zhian-door-node-failsafe")
    assert isinstance(node, OsdpDeviceProfile)
    assert isinstance(variant, OsdpDeviceProfile)
    assert (variant.inputs, variant.output_numbers()) == (node.inputs, node.output_numbers())
    assert (variant.outputs["lock"].fail, variant.outputs["lock"].fire_release) == ("safe", "lock-supply")


def test_the_variant_with_a_display_differs_in_that_only() -> None:
    node, variant = load("zhian-door-node"), load("zhian-door-node-display")
    assert isinstance(node, OsdpDeviceProfile)
    assert isinstance(variant, OsdpDeviceProfile)
    assert (variant.inputs, variant.outputs) == (node.inputs, node.outputs)
    assert (node.text_display, variant.text_display) == (False, True)


@pytest.mark.parametrize("name", ["zhian-door-node", "zhian-door-node-failsafe", "zhian-door-node-display"])
def test_a_lock_for_escape_routes_has_a_hard_path(name: str) -> None:
    node = load(name)
    assert isinstance(node, OsdpDeviceProfile)
    assert node.outputs["lock"].escape_route
    assert node.outputs["lock"].fire_release != "none"


def test_the_generic_barrier_reads_a_dead_loop_as_occupied() -> None:
    barrier = load("generic-barrier-dry-contact")
    assert isinstance(barrier, BarrierProfile)
    assert barrier.signals.raise_.pulse_ms == 500
    assert barrier.signals.lower.mode == "held"
    assert barrier.inputs.loop is not None
    assert barrier.inputs.loop.active_when_broken


def test_the_folder_camera_is_for_plates() -> None:
    camera = load("folder-camera")
    assert isinstance(camera, CameraProfile)
    assert camera.purposes == ("plates",)


@pytest.mark.parametrize("name", ["", "nobody", "../pyproject", "zhian_door_node", "a" * 400])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ProfileError, match="use one of folder-camera, generic-barrier"):
        load(name)


def test_every_key_that_a_profile_may_have_is_documented() -> None:
    text = (REPOSITORY / "docs/device-profiles.md").read_text(encoding="utf-8")
    missing = sorted(
        {key for kind in (OsdpDeviceProfile, BarrierProfile, CameraProfile) for key in _keys(kind)} - _words(text)
    )
    assert missing == []


def _keys(kind: type) -> set[str]:
    """Every key of a struct and of the structs inside it."""
    found: set[str] = set()
    for item in msgspec.structs.fields(kind):
        found.add(item.encode_name)
        for inner in _structs(item.type):
            found |= _keys(inner)
    return found


def _structs(kind: object) -> list[type]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [inner for part in getattr(kind, "__args__", ()) for inner in _structs(part)]


def _words(text: str) -> set[str]:
    """What stands between backticks, taken apart at dots."""
    return {
        part
        for quoted in text.split("`")[1::2]
        for part in quoted.replace("[", " ").replace("]", " ").replace(".", " ").split()
    }
