"""The guide says what the boards' files say, and its key ceremony works on a board's own files."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from board_rig import SimulatedBoard, built
from firmware_board import load
from firmware_build import BLOCK_BYTES, flash_bytes, over_budget
from interpreters import ROOT
from osdp_rig import Cable, until

from firmware.drivers.loops import SUPERVISED
from firmware.wire import codes
from gateway import config
from gateway.drivers.osdp import KeyFile, ceremony
from gateway.drivers.osdp.ceremony import Place

GUIDE = (ROOT / "docs" / "flash-a-node.md").read_text()
PICTURE = (ROOT / "docs" / "wiring-pico.svg").read_text()
# Raspberry Pi Pico datasheet, pinout: GPIO -> pin of the board. The Pico 2 has the same.
PICO_PINS = {
    0: 1, 1: 2, 2: 4, 3: 5, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12, 10: 14, 11: 15, 12: 16, 13: 17, 14: 19, 15: 20,
    16: 21, 17: 22, 18: 24, 19: 25, 20: 26, 21: 27, 22: 29, 26: 31, 27: 32, 28: 34,
}  # fmt: skip


def rows() -> dict[str, tuple[int, int, int]]:
    """Name -> GPIO, the Pico's pin and the ESP32-S3's GPIO, as the guide's table has them."""
    found = re.findall(r"^\| ([a-z_0-9]+) \| (\d+) \| (\d+) \| (\d+) \|", GUIDE, re.MULTILINE)
    return {name: (int(gpio), int(pin), int(other)) for name, gpio, pin, other in found}


@pytest.mark.parametrize(("board", "place"), [("pico", 0), ("pico2", 0), ("esp32s3", 2)])
def test_the_table_of_pins_is_the_boards_own(board: str, place: int) -> None:
    pins = load(ROOT / "firmware" / "boards" / f"{board}.toml").pins
    assert {name: row[place] for name, row in rows().items()} == {
        name: pin["gpio"] for name, pin in pins.items() if name != "alive"
    }
    assert all(PICO_PINS[gpio] == pin for gpio, pin, _ in rows().values())


def test_the_picture_shows_the_same_pins() -> None:
    shown = dict(re.findall(r">(\d+)</text>\n<text[^>]*>GP(\d+) ", PICTURE))
    assert len(shown) == 14
    for pin, gpio in shown.items():
        assert PICO_PINS[int(gpio)] == int(pin)


def test_an_image_holds_what_a_board_needs_and_nothing_of_other_ports() -> None:
    names = {path.relative_to(built("pico")).as_posix() for path in built("pico").rglob("*") if path.is_file()}
    assert {"boot.py", "main.py", "board.mpy", "firmware/drivers/rp2/wiegand.mpy", "firmware/node/door.mpy"} <= names
    assert not [name for name in names if "unix" in name or "esp32" in name]
    first = [line for line in (built("pico") / "boot.py").read_text().splitlines() if not line.startswith("#") and line]
    assert first[:2] == ["from machine import Pin", "Pin(3, Pin.OUT, value=0)  # relay at rest"]


def test_what_is_too_large_is_said() -> None:
    board = load(ROOT / "firmware" / "boards" / "pico.toml")
    assert flash_bytes({"boot.py": 1}) == BLOCK_BYTES + 2 * BLOCK_BYTES
    assert over_budget(board, {"boot.py": 1000}, None) == []
    assert "mpy_bytes" in over_budget(board, {"boot.py": board.budget["mpy_bytes"] + 1}, None)[0]
    assert len(over_budget(board, {f"{n}.mpy": 4096 for n in range(400)}, None)) == 2


async def test_a_board_without_a_key_gets_its_own_at_the_press_of_its_button(tmp_path: Path) -> None:
    """Step 5 of the guide: what `zhian bus install-key` does, and the button on the board."""
    cable = Cable(tmp_path)
    board = SimulatedBoard("pico", tmp_path, cable.node_paths[0], {"address": 1})
    try:
        await board.power_on()
        await until(lambda: "READY" in board.said, f"READY ({board.said})")
        file = KeyFile(tmp_path / "lobby-node.key")
        asked = asyncio.Event()
        place = Place(str(cable.bus_path), 38400, 1)
        giving = asyncio.create_task(ceremony.install_key(place, file, 30, asked.set))
        await asyncio.wait_for(asked.wait(), 20)
        board.edge("service", 0)
        identity = await asyncio.wait_for(giving, 40)
        board.edge("service", 1)
        assert identity.vendor == codes.VENDOR
        assert (board.image / "scbk").read_bytes()[:16] == file.key()
        assert file.key() != codes.SCBK_D
    finally:
        await board.close()
        cable.close()


def test_picture_example_and_table_agree_on_the_supervised_wires() -> None:
    """Read as a plain pin, an input with the three resistors would be neither 0 nor 1."""
    example = json.loads(re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1])  # type: ignore[index]
    board = load(ROOT / "firmware" / "boards" / "pico.toml")
    label = {"contact": "GP26 contact", "rex": "GP28 exit", "fire": "GP27 fire loop"}
    assert sorted(example["supervised"]) == sorted(label) == sorted(SUPERVISED)
    assert all(f">{name}</text>" in PICTURE for name in label.values())
    for part, key in (("2.2", "pull_up_ohm"), ("1", "series_ohm"), ("3.3", "parallel_ohm")):
        assert PICTURE.count(f">{part} kΩ</text>") == len(label)
        assert float(str(board.loop[key])) == float(part) * 1000
    plain_v = 3.3 * 1000 / (1000 + 1 / (1 / 2200 + 1 / 50_000))
    assert f"{plain_v:.2f} V" in GUIDE
    assert plain_v > 0.8, "it could be left out of `supervised` otherwise"


def test_the_example_of_the_gateway_makes_a_door(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[1]  # type: ignore[index]
    site = '[site]\ndistrict = "d"\nsite = "s"\ngateway = "g"\nsite_key_file = "k"\nlabel = { zh = "一", en = "One" }\n'
    site += '[paths]\ndata = "data"\nrun = "run"\n[policy]\nfile = "policy.toml"\n'
    file = tmp_path / "gateway.toml"
    file.write_text(site + example)
    read = config.read(file)
    assert [(door.name, door.reader) for door in read.door] == [("lobby", "lobby-node")]
