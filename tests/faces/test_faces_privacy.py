"""Promises about faces that configuration, policy and numbers keep: see docs/faces-privacy.md, promise by promise."""

from __future__ import annotations

import struct
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from center.contract import catalogue
from gateway import config
from gateway.errors import OperationRefusedError
from gateway.model import FaceAttack
from gateway.store import policy_file
from gateway.store.faces import store as face_store
from gateway.store.faces.consent import FILING_THRESHOLD, Consent
from gateway.vision.camera_folder import RawFrame
from runtime.errors import ConfigError
from sim import privacy_scan, scenario

GATEWAY = """
[site]
district = "qingshan"
site = "garden"
gateway = "gate-1"
label = { zh = "花园", en = "Garden" }
site_key_file = "site.key"
[paths]
data = "data"
run = "run"
[policy]
file = "policy.toml"
[[bus]]
name = "a"
port = "/dev/ttyAMA0"
[[reader]]
name = "lobby-reader"
bus = "a"
address = 1
profile = "zhian-door-node"
key_file = "lobby.key"
[[camera]]
name = "lobby-face"
profile = "folder-camera"
source = "folder:x"
purpose = "face"
[[door]]
name = "lobby"
label = { zh = "门", en = "Lobby" }
reader = "lobby-reader"
face_camera = "lobby-face"
alternative_ways_in = ["card and PIN"]
"""
POLICY = """
version = 1
[[portal]]
name = "lobby"
accepts = [["face"], ["card", "face"]]
"""
NOW_MS = 1_800_000_000_000


def read(tmp_path: Path, text: str) -> config.GatewayConfig:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")
    return config.read(file)


def test_a_door_with_a_camera_for_faces_and_another_way_in_is_accepted(tmp_path):
    assert read(tmp_path, GATEWAY).door[0].face_camera == "lobby-face"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('alternative_ways_in = ["card and PIN"]', "", "needs another way in for everybody, got none"),
        ('purpose = "face"', "", 'expected a camera with purpose = "face"'),
        ('face_camera = "lobby-face"', "", "is for faces and before no door"),
    ],
)
def test_configuration_refuses_a_door_whose_only_way_in_is_a_face(tmp_path, old, new, said):
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, GATEWAY.replace(old, new))


def test_a_face_alone_is_asked_for_a_challenge_unless_the_door_says_otherwise(tmp_path):
    assert read(tmp_path, GATEWAY).door[0].face_asks == ("challenge",)
    assert read(tmp_path, GATEWAY).door[0].face_asks_beside == ()
    both = GATEWAY.replace("face_camera", 'face_asks = ["light"]\nface_asks_beside = ["challenge"]\nface_camera', 1)
    assert read(tmp_path, both).door[0].face_asks == ("light",)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("face_asks = []", "a face alone must be asked for something that no video can know, got nothing"),
        ('face_asks = ["light", "light"]', "expected each of challenge and light at most once"),
        ('face_asks_beside = ["blink"]', "face_asks_beside"),
    ],
)
def test_a_door_cannot_be_told_to_ask_nothing_of_a_face_alone(tmp_path, key, said):
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, GATEWAY.replace("face_camera", f"{key}\nface_camera", 1))


def test_a_door_without_a_camera_for_faces_asks_nothing(tmp_path):
    text = GATEWAY.replace('face_camera = "lobby-face"', 'face_asks = ["light"]')
    with pytest.raises(ConfigError, match="expected a face_camera beside it, got none"):
        read(tmp_path, text)


def test_the_policy_refuses_a_portal_that_accepts_nothing_but_faces(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(POLICY, "utf-8")
    with pytest.raises(ConfigError, match="for whoever has no face enrolled, got only combinations with face"):
        policy_file.read(file)
    file.write_text(POLICY.replace('["card", "face"]', '["card", "pin"]'), "utf-8")
    assert policy_file.read(file).version == 1


def test_stored_faces_are_counted_and_a_site_cannot_reach_the_filing_threshold_unnoticed(tmp_path, monkeypatch):
    assert FILING_THRESHOLD == 100_000
    assert face_store.MOST_HOLDERS < FILING_THRESHOLD
    monkeypatch.setattr(face_store, "MOST_HOLDERS", 1)
    store = face_store.FaceStore(tmp_path, NOW_MS)
    try:
        enrol(store, "lin")
        assert store.count == 1
        with pytest.raises(OperationRefusedError, match="at most 1 enrolled holders; withdraw some first"):
            enrol(store, "wang")
        assert store.count == 1
    finally:
        store.close()


def enrol(store, holder):
    agreed = Consent(holder, ("lobby",), "desk", "card", NOW_MS, NOW_MS + 86_400_000)
    store.enrol(agreed, [struct.pack("<8f", *range(8))], "ab" * 32, NOW_MS)


def test_no_event_has_a_place_for_a_face():
    """A template is hundreds of numbers or a long text; an event about faces has tokens, codes, counts and times."""
    allowed = {"holder", "operator", "references", "until_ms", "cause", "portal"}
    for data in (catalogue.FaceEnrolled, catalogue.FaceErased, catalogue.FaceAttackSuspected):
        assert {field.name for field in msgspec.structs.fields(data)} <= allowed, data


def test_a_suspected_attack_has_no_place_for_whom_it_looked_like():
    assert {field.name for field in fields(FaceAttack)} == {"camera", "cause", "observed_ms"}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ([0.1] * 192, "bytes"),
        (b"\x00" * 768, "bytes"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAD", "picture"),
        ("A" * 1024, "long text"),
        ("Lin Lan", "name"),
        ("lin-lan", "name"),
    ],
)
def test_the_scan_of_every_scenario_finds_a_template_a_picture_and_an_id(value, what):
    found = privacy_scan.found_in({"data": {"told": value}}, ["Lin Lan", "lin-lan"])
    assert what in {one.what for one in found}


def test_the_demo_has_no_camera_for_faces():
    """The weights for faces have no clear licence: what runs without asking does without them."""
    for path in scenario.listed():
        if not path.stem.startswith("face-"):
            assert not any(door.face_camera for door in scenario.load(path).door), path.stem


def test_a_frame_that_is_forgotten_is_overwritten():
    frame = RawFrame("a.jpg", bytearray(b"\xff\xd8\xffsomebody"), 1)
    frame.forget()
    assert not any(frame.data)
