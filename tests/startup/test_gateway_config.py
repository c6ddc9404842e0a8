"""gateway.toml: what is accepted, and for each mistake the sentence that is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config, wiring
from runtime.errors import ConfigError

GOOD = """
[site]
district = "qingshan"
site = "garden"
gateway = "gate-1"
label = { zh = "花园", en = "Garden" }
site_key_file = "site.key"
kind = "simulated"

[paths]
data = "data"
run = "run"

[policy]
file = "policy.toml"

[uplink]
mode = "mqtt"
client_id_file = "client-id"
username = "gate-1"
password_file = "password"

[[bus]]
name = "rs485-0"
port = "run/bus-rs485-0"

[[reader]]
name = "lobby"
bus = "rs485-0"
address = 5
profile = "zhian-door-node"
key_file = "lobby.key"

[[door]]
name = "lobby-door"
label = { zh = "大堂", en = "Lobby" }
reader = "lobby"

[[camera]]
name = "lane"
profile = "folder-camera"
source = "folder:lane"

[[barrier]]
name = "main-gate"
label = { zh = "大门", en = "Main gate" }
profile = "generic-barrier-dry-contact"
camera = "lane"
pins = { raise = 17, lower = 27, raised = 22, lowered = 23, loop = 24 }

[simulation]
pins = "run/pins.sock"
"""


def read(folder: Path, text: str) -> config.GatewayConfig:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return config.read(file)


def test_a_good_file(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found.reader[0].address == 5
    assert found.barrier[0].pins.raise_ == 17
    assert found.web.port == 8080
    assert config.resolve(tmp_path / "gateway.toml", found.paths.data) == tmp_path / "data"
    assert config.resolve(tmp_path / "gateway.toml", "/var/lib/zhian") == Path("/var/lib/zhian")
    with pytest.raises(AttributeError):
        found.site.kind = "real"  # type: ignore[misc]


def test_a_link_stays_a_link_because_an_adapter_may_come_back_as_another_device(tmp_path):
    link = tmp_path / "bus-a"
    link.symlink_to("/dev/null")
    assert config.resolve(tmp_path / "gateway.toml", "bus-a") == link
    assert config.resolve(tmp_path / "gateway.toml", "../x/./bus-a") == tmp_path.parent / "x" / "bus-a"


LIFT = """
[[lift]]
name = "car"
label = { zh = "电梯", en = "Lift" }
reader = "lobby"
floors = [{ name = "f1", output = "floor-1" }]

"""

MISTAKES = [
    ('kind = "simulated"', 'kind = "real"', "simulation: ", 'only with site.kind = "simulated"'),
    ('[simulation]\npins = "run/pins.sock"', "", "simulation: ", "needs this table"),
    ('kind = "simulated"', 'kind = "simulated"\ntimezone = "Mars/Base"', "site.timezone: ", "Asia/Shanghai"),
    ('kind = "simulated"', 'kind = "simulated"\ntimezone = "../etc/passwd"', "site.timezone: ", "Asia/Shanghai"),
    ('password_file = "password"', "", "uplink: ", "password_file"),
    ('bus = "rs485-0"\naddress', 'bus = "rs485-1"\naddress', "reader[0].bus: ", "got 'rs485-1'"),
    ("address = 5", "address = 127", "reader[0].address: ", "got 127"),
    ("address = 5", 'address = "5"', "reader[0].address: ", "got '5'"),
    ('reader = "lobby"', 'reader = "lobbi"', "door[0].reader: ", "got 'lobbi'"),
    ('camera = "lane"', 'camera = "road"', "barrier[0].camera: ", "got 'road'"),
    ("loop = 24", "loop = 17", "barrier[0].pins.loop: ", "pin 17 is already"),
    ("loop = 24", "loop = 64", "barrier[0].pins.loop: ", "got 64"),
    ("lowered = 23, loop", "loop", "barrier[0].pins.lowered: ", "missing"),
    ('district = "qingshan"', 'district = "Qing/Shan"', "site.district: ", "'Qing/Shan'"),
    ('district = "qingshan"', 'district = "qingshan"\ndisrtict = "x"', "site.disrtict: ", "not known"),
    ('source = "folder:lane"', 'source = "rtsp://camera"', "camera[0].source: ", "'rtsp://camera'"),
    ('mode = "mqtt"', 'mode = "http"', "uplink.mode: ", "'http'"),
    ('[paths]\ndata = "data"', "[paths]", "paths.data: ", "missing"),
    ("[[bus]]", '[web]\nhost = "0.0.0.0"\n[[bus]]', "web.host: ", "'0.0.0.0'"),
    ('name = "lobby-door"', 'name = "main-gate"', "portal: ", "'main-gate' is used twice"),
    ('reader = "lobby"', 'reader = "lobby"\nescape_route = true', "door[0].escape_route: ", 'fire = "node-input"'),
    ('reader = "lobby"', 'reader = "lobby"\nfire = "bus"', "door[0].fire: ", "'bus'"),
    ('reader = "lobby"', 'reader = "lobby"\nexit_reader = "lobby"', "door[0].exit_reader: ", "is at another door"),
    ('reader = "lobby"', 'reader = "lobby"\nlock_pin = 5', "door[0].lock_pin: ", "not known"),
    ("[[bus]]", "[fire]\npanel_pin = 24\n[[bus]]", "fire.panel_pin: ", "pin 24 is already barrier[0].pins.loop"),
    ("[[bus]]", '[time]\ntrust = "hope"\n[[bus]]', "time.trust: ", "'hope'"),
    ("[[bus]]", '[[scanner]]\nname = "qr"\nport = "x"\ndoor = "attic"\n[[bus]]', "scanner[0].door: ", "got 'attic'"),
    ("[[bus]]", f"{LIFT}[[bus]]", "lift[0].reader: ", "'lobby' is at another door already"),
    ("[[bus]]", f"{LIFT.replace('f1', 'lobby-door')}[[bus]]", "portal: ", "'lobby-door' is used twice"),
]


@pytest.mark.parametrize(("old", "new", "key", "expected"), MISTAKES, ids=[f"{row[2]}{row[3]}" for row in MISTAKES])
def test_a_mistake_is_one_sentence(tmp_path: Path, old: str, new: str, key: str, expected: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as e:
        read(tmp_path, GOOD.replace(old, new, 1))
    said = str(e.value)
    assert said.startswith(f"{tmp_path / 'gateway.toml'}: {key}"), said
    assert expected in said
    assert "\n" not in said


def test_two_devices_cannot_share_an_address(tmp_path: Path) -> None:
    second = (
        '[[reader]]\nname = "yard"\nbus = "rs485-0"\naddress = 5\nprofile = "zhian-door-node"\nkey_file = "y.key"\n'
    )
    with pytest.raises(ConfigError, match=r"reader\[1\].address: 5 is taken on bus 'rs485-0'"):
        read(tmp_path, GOOD + second)


def test_what_fire_and_time_need_is_accepted(tmp_path: Path) -> None:
    door = GOOD.replace('reader = "lobby"', 'reader = "lobby"\nescape_route = true\nfire = "node-input"', 1)
    found = read(tmp_path, door + '\n[fire]\npanel_pin = 5\n[time]\ntrust = "hardware"\n')
    assert (found.door[0].fire, found.fire.active, found.time.trust) == ("node-input", "high", "hardware")


@pytest.mark.parametrize(
    ("fire", "profile"), [("supply", "zhian-door-node"), ("node-input", "zhian-door-node-failsafe")]
)
def test_a_hard_path_must_fit_the_lock(tmp_path: Path, fire: str, profile: str) -> None:
    text = GOOD.replace('reader = "lobby"', f'reader = "lobby"\nfire = "{fire}"', 1).replace("zhian-door-node", profile)
    found = read(tmp_path, text)
    with pytest.raises(ConfigError, match="door 'lobby-door': fire: expected a lock with fire_release"):
        wiring.osdp_device(tmp_path / "gateway.toml", found, found.reader[0])


def test_a_lift_needs_a_node_with_an_output_for_each_floor(tmp_path: Path) -> None:
    door = GOOD[GOOD.index("[[door]]") : GOOD.index("[[camera]]")]
    found = read(tmp_path, GOOD.replace(door, LIFT))
    with pytest.raises(ConfigError, match="portal 'car': profile 'zhian-door-node' has no output 'floor-1'"):
        wiring.osdp_device(tmp_path / "gateway.toml", found, found.reader[0])
    assert wiring.portal_names(found) == ("main-gate", "car", "f1")
