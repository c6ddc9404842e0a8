"""A board's file set as it is copied to the board, against our own control panel: boot, door, reader, wires, key."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from board_rig import KEY, SimulatedBoard
from osdp_rig import Cable, LoopClock, until

from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.model import CardRead, InputChanged, KeysEntered, Observation, PulseOutput

INPUTS = {0: "contact", 1: "rex", 2: "fire", 3: "fire-latched", 4: "smoke", 5: "pir", 6: "water", 7: "panic"}
OUTPUTS = {"lock": 0, "fire": 1}
SETTINGS: dict[str, object] = {
    "address": 7, "baud": 115200, "fire_loop": True, "supervised": ["contact", "fire"], "sensors": ["smoke", "water"],
    "scbk": KEY.hex(),
}  # fmt: skip


class Site:
    """One board, one panel."""

    def __init__(self, cable: Cable, board: SimulatedBoard) -> None:
        self.cable = cable
        self.board = board
        self.seen: list[Observation] = []
        device = OsdpDevice("door", 7, KEY, INPUTS, OUTPUTS)
        self.bus = OsdpBus("a", str(cable.bus_path), 115200, [device], LoopClock(), self.seen.append)

    async def online(self) -> None:
        await until(lambda: self.bus.online("door"), f"the board online; it said {self.board.said}")

    def active(self, name: str) -> list[bool]:
        return [o.active for o in self.seen if isinstance(o, InputChanged) and o.name == name]


@contextlib.asynccontextmanager
async def site(tmp_path: Path, name: str, settings: dict[str, object] | None = None) -> AsyncIterator[Site]:
    cable = Cable(tmp_path)
    board = SimulatedBoard(name, tmp_path, cable.node_paths[0], SETTINGS if settings is None else settings)
    it = Site(cable, board)
    run = asyncio.create_task(it.bus.run())
    try:
        yield it
    finally:
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
        await board.close()
        cable.close()


@pytest.mark.parametrize("name", ["pico", "esp32s3"])
async def test_a_door_on_a_board(tmp_path: Path, name: str) -> None:
    async with site(tmp_path, name) as it:
        board = it.board
        await board.power_on()
        await it.online()
        assert board.written[0] == ("relay", 0), "the lock's relay is set before anything else"
        assert all(level == 0 for pin, level in board.written if pin == "relay")

        board.card(26, b"\x12\x34\x56\x40")
        await until(
            lambda: [(o.bits, o.data) for o in it.seen if isinstance(o, CardRead)] == [(26, b"\x12\x34\x56\x40")],
            "the card",
        )
        board.keys("4#")
        await until(lambda: "".join(o.keys for o in it.seen if isinstance(o, KeysEntered)) == "4#", "the keys")

        await it.bus.send("door", [PulseOutput("lock", 300)])
        await until(lambda: board.level("relay") == 1, "released")
        await until(lambda: board.level("relay") == 0, "locked again by itself")

        board.edge("contact", 1)
        await until(lambda: it.active("contact")[-1:] == [True], "the door open")
        board.edge("contact", 0)
        board.edge("smoke", 1)
        await until(lambda: it.active("smoke")[-1:] == [True], "smoke")
        board.edge("rex", 0)
        await until(lambda: board.level("relay") == 1, "let out without asking the panel")


async def test_damaged_wires_are_tamper_and_never_let_anybody_in(tmp_path: Path) -> None:
    async with site(tmp_path, "pico", {**SETTINGS, "supervised": ["contact", "rex", "fire"]}) as it:
        board = it.board

        def tampered() -> list[bool]:
            return it.active("tamper")

        await board.power_on()
        await it.online()
        board.analog("rex", 312)
        await until(lambda: board.level("relay") == 1, "somebody presses the button")
        board.analog("rex", 662)
        await until(lambda: board.level("relay") == 0, "locked again after five seconds")
        board.analog("rex", 0)  # somebody joins the button's wires
        await until(lambda: tampered()[-1:] == [True], "the short circuit told")
        assert board.level("relay") == 0
        board.analog("rex", 662)
        await until(lambda: tampered()[-1:] == [False], "mended")
        board.analog("fire", 1000)  # a cut wire of the fire loop releases, as without supervision
        await until(lambda: board.level("relay") == 1, "released by the fire loop")
        await until((board.image / "latch").exists, "the latch kept")
        await board.power_off()
        await board.power_on()
        await until(lambda: board.level("relay") == 1, "still released after a restart")
        assert board.written[0] == ("relay", 0)


async def test_the_key_leaves_the_settings_and_stays_on_the_board(tmp_path: Path) -> None:
    async with site(tmp_path, "pico") as it:
        await it.board.power_on()
        await it.online()
        assert "scbk" not in json.loads((it.board.image / "node.json").read_text())
        assert (it.board.image / "scbk").read_bytes()[:16] == KEY
        await it.board.power_off()
        await until(lambda: not it.bus.online("door"), "offline")
        await it.board.power_on()
        await it.online()


async def test_a_closed_service_jumper_starts_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, "pico") as it:
        it.board.levels["service"] = 0
        await it.board.power_on()
        assert await it.board.ended() == 0
        assert it.board.said == ["service jumper closed: the node is not started, its lock stays at rest"]
        assert it.board.level("relay") == 0
        assert "scbk" in json.loads((it.board.image / "node.json").read_text())


async def test_the_service_button_opens_the_install_window(tmp_path: Path) -> None:
    async with site(tmp_path, "pico", {"address": 7}) as it:
        await it.board.power_on()
        await until(lambda: "READY" in it.board.said, "READY")
        it.board.edge("service", 0)
        await until(lambda: "install window open for two minutes" in it.board.said, "the window")
        assert ("buzzer", 1) in it.board.written
        assert not it.bus.online("door"), "without a key there is no session"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": 127}, "node.json: address: expected 0..126; correct it and copy the file again"),
        ({"sensors": ["gas"]}, "node.json: sensors: expected names out of smoke, pir, water, panic"),
        ({"scbk": "30313233343536373839" + "3a3b3c3d3e3f"}, "node.json: scbk: expected 32 hex digits of a secret key"),
        ({"supervised": ["fire"]}, "node.json: supervised: expected fire only together with fire_loop = true"),
        ({"adress": 1}, "node.json: adress: expected one of address"),
        ({"fire_loop": 1}, "node.json: fire_loop: expected bool"),
    ],
)
async def test_wrong_settings_are_said_and_the_lock_stays_at_rest(
    tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    async with site(tmp_path, "pico", settings) as it:
        await it.board.power_on()
        assert await it.board.ended() == 3, "the board starts again"
        assert any(said in line for line in it.board.said), it.board.said
        assert it.board.level("relay") == 0
