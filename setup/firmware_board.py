"""One board's file in firmware/boards: read it, check it, and write the three files that are its own on the node.

`board.py` holds its pins for the drivers; `boot.py` puts every output at rest before anything else is imported;
`main.py` starts the node, and before it the watchdog, unless the service jumper is closed.
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from pathlib import Path

OUTPUTS = ("relay", "buzzer", "led_red", "led_green", "alive")
# Input and the level that its meaning has, as firmware/node/door.py and firmware/drivers take it.
INPUTS = {
    "contact": 1, "rex": 0, "tamper": 0, "fire": 1, "mains": 1, "smoke": 1, "pir": 1, "water": 1, "panic": 1,
    "service": 0, "wiegand_d0": None, "wiegand_d1": None,
}  # fmt: skip
OPTIONAL = ("alive",)
PULLS = {"up": 1, "down": -1, "none": 0}
BUDGETS = ("flash_bytes", "filesystem_bytes", "ram_bytes", "heap_bytes", "mpy_bytes")
PORTS = ("rp2", "esp32")
SERVICE_SETTLE_MS = 50
SERVICE_READINGS = 10
JOURNALS = ("before-relay", "counted")


class BoardError(Exception):
    """A board's file is not what it should be; one sentence."""


@dataclass(frozen=True)
class Board:
    """A checked board. `pins`: name -> the table of the file; `budget` in bytes; `bands` in permille."""

    name: str
    label: str
    port: str
    stubs: str
    uf2: str
    micropython_min: str
    journal: str
    pins: dict[str, dict[str, object]]
    uart: dict[str, int]
    loop: dict[str, object]
    budget: dict[str, int]

    @property
    def bands(self) -> tuple[int, int, int]:
        first, second, third = self.loop["bands"]  # type: ignore[misc]
        return first, second, third


def load(path: Path) -> Board:
    """The board of this file. Raises BoardError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        board = data["board"]
        loaded = Board(
            name=board["name"], label=board["label"], port=board["port"], stubs=board["stubs"], uf2=board["uf2"],
            micropython_min=board["micropython_min"], journal=board["journal"], pins=data["pins"],
            uart=data["uart"], loop=data["loop"],
            budget=data["budget"],
        )  # fmt: skip
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise BoardError(
            f"{path}: {error}: expected a board's file; compare it with firmware/boards/pico.toml"
        ) from None
    for said in itertools.chain(_names(loaded), _pins(loaded), _loop(loaded), _budgets(loaded)):
        raise BoardError(f"{path}: {said}")
    if loaded.name != path.stem:
        raise BoardError(f"{path}: board.name: expected {path.stem!r} as the file is called, got {loaded.name!r}")
    if not data.get("sources"):
        raise BoardError(f"{path}: sources: expected where the figures come from; name the documents")
    return loaded


def _names(board: Board):
    if board.port not in PORTS:
        yield f"board.port: expected one of {', '.join(PORTS)}, got {board.port!r}"
    if board.journal not in JOURNALS:
        yield f"board.journal: expected one of {', '.join(JOURNALS)}, got {board.journal!r}"
    known = {*OUTPUTS, *INPUTS}
    for name in board.pins:
        if name not in known:
            yield f"pins.{name}: expected one of {', '.join(sorted(known))}; remove it or correct the name"
    for name in sorted(known - set(board.pins) - set(OPTIONAL)):
        yield f"pins.{name}: missing; the drivers need it"


def _pins(board: Board):
    used: dict[object, str] = {}
    for name, gpio in [*((n, p.get("gpio")) for n, p in board.pins.items()), *(
        (f"uart.{n}", board.uart.get(n)) for n in ("tx", "rx", "de"))]:  # fmt: skip
        if not isinstance(gpio, int) or not 0 <= gpio <= 48:
            yield f"{name}: expected a GPIO number, got {gpio!r}"
        if gpio in used:
            yield f"{name}: GPIO {gpio} is already {used[gpio]}; give each its own"
        used[gpio] = name
    for name, pin in board.pins.items():
        if name in OUTPUTS:
            if pin.get("mode") != "out" or pin.get("rest") not in (0, 1):
                yield f'pins.{name}: expected mode = "out" and rest = 0 or 1, got {pin}'
        elif pin.get("mode") != "in" or pin.get("pull") not in PULLS or pin.get("active") != INPUTS[name]:
            yield f'pins.{name}: expected mode = "in", a pull and active = {INPUTS[name]}, got {pin}'
    if board.port == "rp2" and board.pins["wiegand_d1"]["gpio"] != board.pins["wiegand_d0"]["gpio"] + 1:  # type: ignore[operator]
        yield "pins.wiegand_d1: expected the GPIO after wiegand_d0; the PIO program reads the two together"


def readings(loop: dict[str, object]) -> dict[str, tuple[float, float]]:
    """State of a supervised loop -> lowest and highest reading in permille, over all tolerances of its parts."""
    part = {k: float(loop[k]) for k in ("pull_up_ohm", "series_ohm", "parallel_ohm")}  # type: ignore[arg-type]
    tolerance = float(loop["tolerance_percent"]) / 100  # type: ignore[arg-type]
    wire, error = float(loop["wire_ohm"]), float(loop["adc_error_permille"])  # type: ignore[arg-type]
    corners: dict[str, list[float]] = {"short": [0.0], "closed": [], "open": [], "cut": [1000.0]}
    for up, series, parallel, cable in itertools.product((-1, 1), (-1, 1), (-1, 1), (0.0, wire)):
        top = part["pull_up_ohm"] * (1 + up * tolerance)
        near = part["series_ohm"] * (1 + series * tolerance) + cable
        far = near + part["parallel_ohm"] * (1 + parallel * tolerance)
        corners["short"].append(1000 * cable / (cable + top))
        corners["closed"].append(1000 * near / (near + top))
        corners["open"].append(1000 * far / (far + top))
    return {state: (min(found) - error, max(found) + error) for state, found in corners.items()}


def _loop(board: Board):
    bands = board.bands
    if not 0 < bands[0] < bands[1] < bands[2] <= 1000:
        yield f"loop.bands: expected three rising borders within 1..1000, got {bands}"
    borders = (float("-inf"), *bands, float("inf"))
    for state, (low, high), (lower, upper) in zip(
        ("short", "closed", "open", "cut"), readings(board.loop).values(), itertools.pairwise(borders), strict=True
    ):
        if low < lower or high >= upper:
            yield f"loop: {state} reads {low:.0f}..{high:.0f} permille, outside its band; change bands or resistors"


def _budgets(board: Board):
    for name in BUDGETS:
        if not isinstance(board.budget.get(name), int) or board.budget[name] <= 0:
            yield f"budget.{name}: expected a number of bytes, got {board.budget.get(name)!r}"
            return
    if board.budget["filesystem_bytes"] > board.budget["flash_bytes"]:
        yield "budget.filesystem_bytes: expected no more than the flash holds"
    if board.budget["heap_bytes"] > board.budget["ram_bytes"]:
        yield "budget.heap_bytes: expected no more than the RAM holds"


_HEAD = "# Made from firmware/boards/{name}.toml by `make firmware`; change that file, not this one.\n"


def board_py(board: Board) -> str:
    """The module `board` of the node."""
    lines = [_HEAD.format(name=board.name)]
    lines.append(f"from firmware.drivers.{board.port}.analog import Analog as ANALOG\n")
    lines.append(f"from firmware.drivers.{board.port}.wiegand import WiegandReader as WIEGAND\n\n")
    lines.append(f"NAME = {board.name!r}\n")
    lines.append(f"UART = {{'number': {board.uart['number']}, 'tx': {board.uart['tx']}, 'rx': {board.uart['rx']}, "
                 f"'de': {board.uart['de']}}}\n")  # fmt: skip
    lines.append(f"JOURNAL = {board.journal!r}\n")
    lines.append(f"LOOP_BANDS = {board.bands!r}\n")
    lines.append("# name: (GPIO, resting level, pull)\nPINS = {\n")
    for name, pin in board.pins.items():
        lines.append(f"    {name!r}: ({pin['gpio']}, {pin.get('rest', 0)}, {PULLS[str(pin.get('pull', 'none'))]}),\n")
    return "".join([*lines, "}\n"])


def boot_py(board: Board) -> str:
    """What runs first after reset: the lock's relay at rest before any other import, then the other outputs."""
    lines = [_HEAD.format(name=board.name), "from machine import Pin\n\n"]
    outputs = [("relay", board.pins["relay"])] + [
        (n, p) for n, p in board.pins.items() if n in OUTPUTS and n != "relay"
    ]
    for name, pin in outputs:
        lines.append(f"Pin({pin['gpio']}, Pin.OUT, value={pin['rest']})  # {name} at rest\n")
    lines.append(f"Pin({board.uart['de']}, Pin.OUT, value=0)  # listening to the bus\n")
    return "".join(lines)


def main_py(board: Board) -> str:
    """What runs after boot.py. A service contact that is closed costs the node its watchdog for a while, so that files
    can be copied, and nothing else: it may have been forgotten, or be at fault."""
    return _HEAD.format(name=board.name) + (
        f"import time\n\n"
        f"from machine import WDT, Pin\n\n"
        f"service = Pin({board.pins['service']['gpio']}, Pin.IN, Pin.PULL_UP)\n"
        f"open_seen = 0\n"
        f"for _ in range({SERVICE_READINGS}):  # the pull-up has to charge the wire, and one reading may be disturbed\n"
        f"    time.sleep_ms({SERVICE_SETTLE_MS // SERVICE_READINGS})\n"
        f"    open_seen += service.value()\n"
        f"watchdog = WDT(timeout=8000) if open_seen else None\n"
        f"import gc\n\n"
        f"import board\n"
        f"from firmware.drivers.mcu.door_node import main\n\n"
        f"gc.collect()  # loading leaves holes; what is made from here on needs room in one piece\n"
        f"main(board, watchdog)\n"
    )
