"""The interop matrix: our panel with libosdp's device, libosdp's panel with our node. A program that prints it.

Every row is one run. A chunk is what one end writes or reads at once; a damaged one has one bit flipped. "lost" are
cards that were shown and never arrived, "twice" such that arrived more than once, "back" the time from the end of the
disturbance to the next card. Times are of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from interop_rig import Damage, ForeignDevice, ForeignPanel, Memory, NodeChannel
from osdp import Command, StatusReportType
from osdp_rig import INPUTS, KEY, OUTPUTS, Bench

from firmware.wire import codes
from firmware.wire.commands import Buzzer, Led, Manufacturer, Text
from gateway.drivers.osdp import KeyFile, OsdpBus, OsdpDevice, ceremony
from gateway.drivers.osdp.conversation import look
from gateway.drivers.osdp.line import open_line
from gateway.drivers.osdp.session import Request
from gateway.errors import DriverError
from gateway.model import PulseOutput, RestOutput
from runtime import log

A = "our panel, libosdp device"
B = "libosdp panel, our node"
_NONE = (0, 0, 0, 0)
GAP_S = 0.25  # between two cards


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix. `commands`: done of given."""

    pair: str
    what: str
    shown: int = 0
    lost: int = 0
    twice: int = 0
    given: int = 0
    done: int = 0
    sessions_lost: int = 0
    back_s: float | None = None
    note: str = ""


class OurPanel:
    """Our panel with libosdp's device on a pty."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, nodes=0)
        assert self.bench.cable._bus is not None
        self.fd = self.bench.cable._bus.master
        asyncio.get_running_loop().remove_reader(self.fd)  # libosdp sits on the far end itself
        self.device: ForeignDevice | None = None
        self._refresh = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            if self.device is not None:
                self.device.refresh()
            await asyncio.sleep(0.002)  # libosdp wants to be called often

    def plug(self, **settings: object) -> ForeignDevice:
        self.device = ForeignDevice(self.fd, **settings)  # type: ignore[arg-type]
        return self.device

    def panel(self, key: bytes = KEY, file: KeyFile | None = None) -> OsdpBus:
        return self.bench.panel([OsdpDevice("r0", 5, key, INPUTS, OUTPUTS, None, file)])

    async def until(self, condition: Callable[[], object], for_s: float) -> float | None:
        """Seconds until it came true; None where it did not."""
        began_s = time.monotonic()
        while not condition():
            if time.monotonic() - began_s > for_s:
                return None
            await asyncio.sleep(0.002)
        return time.monotonic() - began_s

    async def close(self) -> None:
        self._refresh.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._refresh
        await self.bench.close()


@asynccontextmanager
async def our_panel() -> AsyncIterator[OurPanel]:
    with tempfile.TemporaryDirectory(prefix="zhian-interop-") as folder:
        it = OurPanel(Path(folder))
        try:
            yield it
        finally:
            await it.close()


async def a_commands() -> list[Row]:
    """Every command that we send, each seen at the device."""
    async with our_panel() as it:
        device = it.plug()
        folder = it.bench.folder
        file = KeyFile(folder / "r0.scbk")
        file.path.write_text(KEY.hex())
        file.path.chmod(0o600)
        bus = it.panel(file=file)
        await it.until(lambda: bus.online("r0"), 5)
        rows: list[Row] = []

        async def one(name: str, work: object, seen: Callable[[], object], note: str = "") -> None:
            try:
                await work  # type: ignore[misc]
                ok = await it.until(seen, 2) is not None
            except DriverError as e:
                ok, note = False, str(e)
            rows.append(Row(A, name, given=1, done=int(ok), note=note))

        tell = lambda *messages: bus.tell("r0", messages)  # noqa: E731
        green, red = (1, 0, codes.GREEN, codes.GREEN), (1, 0, codes.RED, codes.RED)
        await one("POLL, ID, CHLNG, SCRYPT", asyncio.sleep(0), lambda: bus.online("r0"))
        pulse = lambda: [c["timer_count"] for c in device.of(Command.Output)] == [30]  # noqa: E731
        await one("OUT timed", bus.send("r0", [PulseOutput("lock", 3000)]), pulse)
        rest = lambda: device.of(Command.Output)[-1]["control_code"] == codes.OUT_OFF  # noqa: E731
        await one("OUT rest", bus.send("r0", [RestOutput("lock")]), rest)
        lit = lambda: device.of(Command.LED)  # noqa: E731
        await one("LED temporary", tell(Led(0, 0, 2, green, 30, 0, _NONE)), lambda: lit()[-1]["temporary"])
        await one("LED permanent", tell(Led(0, 0, 0, _NONE, 0, 1, red)), lambda: not lit()[-1]["temporary"])
        await one("BUZ", tell(Buzzer(0, 2, 1, 1, 3)), lambda: device.of(Command.Buzzer)[-1]["rep_count"] == 3)
        await one("TEXT", tell(Text(0, 1, 0, 1, 1, b"hello")), lambda: device.of(Command.Text)[-1]["data"] == "hello")
        asked = lambda: device.of(Command.Manufacturer)  # noqa: E731
        await one("MFG", tell(Manufacturer(codes.VENDOR, b"\x01abc")), asked)
        await one("FILETRANSFER", bus.transfer("r0", 7, bytes(range(256)) * 4), lambda: len(device.file) == 1024)
        whole = device.file == bytes(range(256)) * 4
        rows[-1] = Row(A, "FILETRANSFER", given=1, done=int(rows[-1].done and whole), note=rows[-1].note)
        status = "NAK: the binding cannot answer it; our panel stays online"
        for name, code in (("ISTAT", codes.ISTAT), ("OSTAT", codes.OSTAT), ("LSTAT", codes.LSTAT)):
            await one(name, _refused(bus, code), lambda: bus.online("r0"), status)
        await one("KEYSET (rotation)", bus.rotate_key("r0"), lambda: file.key() not in (KEY, None))
        rows.append(await _a_comset(it, file))
    rows += [await _a_scan(), await _a_install()]
    return rows


async def _refused(bus: OsdpBus, code: int) -> None:
    """A status command; a NAK is an answer too."""
    with contextlib.suppress(DriverError):
        await bus._ordered(bus._target("r0"), [Request(code)], False)


async def _a_comset(it: OurPanel, file: KeyFile) -> Row:
    await it.bench.stop_panel()
    key = file.key()
    assert key is not None
    place = ceremony.Place(str(it.bench.cable.bus_path), 115200, 5)
    session = lambda address: ceremony.Session(address, key, lambda size: b"r" * size)  # noqa: E731
    try:
        now = await ceremony.set_line(place, session, 9, 115200)
    except DriverError as e:
        return Row(A, "COMSET", given=1, note=str(e))
    return Row(A, "COMSET", given=1, done=int(now.address == 9))


async def _a_scan() -> Row:
    async with our_panel() as it:
        it.plug()
        line = open_line(str(it.bench.cable.bus_path), 115200, lambda: None)
        try:
            found = await look(line, 5, 115200)
        finally:
            line.close()
        told = found is not None and found.identity is not None and found.capabilities is not None
        return Row(A, "ID and CAP in plain text (scan)", given=1, done=int(told))


async def _a_install() -> Row:
    async with our_panel() as it:
        it.plug(install=True)
        file = KeyFile(it.bench.folder / "new.scbk")
        place = ceremony.Place(str(it.bench.cable.bus_path), 115200, 5)
        try:
            await ceremony.install_key(place, file, 5)
        except DriverError as e:
            return Row(A, "KEYSET under SCBK-D (install)", given=1, note=str(e))
        return Row(A, "KEYSET under SCBK-D (install)", given=1, done=int(file.key() is not None))


async def a_damage(probability: float, cards: int, seed: int = 1) -> Row:
    """Cards every 250 ms and a command between them, over a line that damages chunks."""
    async with our_panel() as it:
        damage = Damage(0.0, seed)
        device = it.plug(damage=damage)
        bus = it.panel()
        await it.until(lambda: bus.online("r0"), 5)
        damage.probability = probability
        given = done = 0
        for n in range(1, cards + 1):
            device.card(n)
            await asyncio.sleep(GAP_S)  # the pace of people, not a wait for something
            if n % 3 == 0:
                given += 1
                with contextlib.suppress(DriverError):
                    await bus.send("r0", [PulseOutput("lock", 100 * n)])
                    done += 1
        damage.probability = 0.0
        ended_s = time.monotonic()
        device.card(cards + 1)
        last = cards + 1
        await it.until(lambda: last in it.bench.cards(), 5)
        back_s = time.monotonic() - ended_s
        seen = Counter(it.bench.cards())
        pulses = Counter(int(str(c["timer_count"])) for c in device.of(Command.Output))
        again = sum(times - 1 for times in pulses.values())
        what = f"{probability:.0%} of chunks damaged" if probability else "clean"
        return Row(
            A, what, cards, sum(n not in seen for n in range(1, cards + 1)), sum(t > 1 for t in seen.values()), given,
            done, sum(bench != "online" for bench in it.bench.transitions()), back_s,
            f"{damage.flips} bits flipped" + (f"; {again} commands done twice" if again else "")
            + ("; their device forgets a card whose reply was damaged" if len(seen) <= cards else ""),
        )  # fmt: skip


async def a_power(times: int) -> Row:
    """The device's power goes for 0.3 s and comes back; a card is shown at once."""
    async with our_panel() as it:
        it.plug()
        bus = it.panel()
        await it.until(lambda: bus.online("r0"), 5)
        longest_s = 0.0
        for n in range(1, times + 1):
            it.device = None
            await asyncio.sleep(0.3 + 2.0 * (n == times))  # the last time long enough to be missed
            it.plug()
            began_s = time.monotonic()
            assert it.device is not None
            await it.until(lambda: it.device and it.device.pd.is_sc_active(), 5)
            it.device.card(n)
            await it.until(lambda n=n: n in it.bench.cards(), 5)
            longest_s = max(longest_s, time.monotonic() - began_s)
        seen = Counter(it.bench.cards())
        lost = sum(n not in seen for n in range(1, times + 1))
        return Row(A, "device's power cycled", times, lost, sum(t > 1 for t in seen.values()), back_s=longest_s)


async def a_wrong_key() -> Row:
    """A device with another key is refused; the right one in its place is taken."""
    async with our_panel() as it:
        it.plug(key=bytes(range(1, 17)))
        bus = it.panel()
        refused = await it.until(lambda: it.bench.transitions() == ["bad-key"], 5)
        await asyncio.sleep(3.0)  # long enough for the longest pause between two tries
        it.plug()
        back_s = await it.until(lambda: bus.online("r0"), 5)
        note = "refused, said why" if refused is not None else "NOT refused"
        return Row(A, "wrong key, then the right one", back_s=back_s, note=note)


class TheirPanel:
    """libosdp's panel with our node, in this process."""

    def __init__(self, key: bytes = KEY, *, supervised: bool = True, seed: int = 1) -> None:
        self.memory = Memory()
        self.channel = NodeChannel(self.memory, Damage(0.0, seed))
        self.panel = ForeignPanel(self.channel, key, supervised=supervised)


def b_commands() -> list[Row]:
    """Every command that libosdp's panel can send."""
    rows: list[Row] = []
    out = {"command": Command.Output, "output_no": 0, "control_code": 5, "timer_count": 30}
    led = {"command": Command.LED, "reader": 0, "led_number": 0, "on_count": 1, "off_count": 0, "on_color": 2}
    led |= {"off_color": 2}
    short = {"control_code": 2, "timer_count": 50}
    buzzer = {"command": Command.Buzzer, "reader": 0, "control_code": 2, "on_count": 1, "off_count": 1, "rep_count": 2}
    text = {"command": Command.Text, "reader": 0, "control_code": 1, "temp_time": 20, "offset_row": 1, "offset_col": 1}
    maker = {"command": Command.Manufacturer, "vendor_code": int.from_bytes(codes.VENDOR, "little"), "data": b"\x01x"}
    new = bytes(range(16, 32))
    it = TheirPanel()
    it.panel.run(lambda: it.panel.secure, 5)
    node = it.channel.node
    told = lambda kind: any(e["event"] == 4 and e["type"] == kind for e in it.panel.events)  # noqa: E731
    cases: list[tuple[str, dict[str, object], Callable[[], object]]] = [
        ("OUT timed", out, lambda: ("relay", 1) in node.done),
        ("LED temporary", {**led, "temporary": True, **short}, lambda: ("led", 2) in node.done),
        ("LED permanent", {**led, "temporary": False, "control_code": 1}, lambda: node._light.colour == 2),
        ("BUZ", buzzer, lambda: ("buzzer", 2) in node.done),
        ("TEXT", {**text, "data": "hello"}, lambda: node.texts == [b"hello"]),
        ("MFG, MFGREP", maker, lambda: any(e["event"] == 3 and e["data"] == b"ok" for e in it.panel.events)),
        ("ISTAT", {"command": Command.Status, "type": StatusReportType.Input}, lambda: told(StatusReportType.Input)),
        ("OSTAT", {"command": Command.Status, "type": StatusReportType.Output}, lambda: told(StatusReportType.Output)),
        ("LSTAT", {"command": Command.Status, "type": StatusReportType.Local}, lambda: told(StatusReportType.Local)),
        ("KEYSET", {"command": Command.Keyset, "type": 1, "data": new}, lambda: it.memory.key == new),
        ("COMSET", {"command": Command.Comset, "address": 9, "baud_rate": 38400}, lambda: it.memory.line == (9, 38400)),
    ]  # fmt: skip
    rows.append(Row(B, "POLL, ID, CAP, CHLNG, SCRYPT", given=1, done=int(it.panel.secure)))
    for name, command, seen in cases:
        accepted = it.panel.cp.submit_command(0, command)
        ok = accepted and it.panel.run(seen, 3) and it.panel.run(lambda: it.panel.secure, 3)
        rows.append(Row(B, name, given=1, done=int(bool(ok))))
    rows.append(_b_file())
    return rows


def _b_file() -> Row:
    it = TheirPanel()
    it.panel.run(lambda: it.panel.secure, 5)
    data = bytes(range(256)) * 4
    opened = {
        "open": lambda _number, _size: len(data), "read": lambda size, offset: data[offset : offset + size],
        "write": lambda _data, _offset: -1, "close": lambda _number: None,
    }  # fmt: skip
    it.panel.cp.register_file_ops(0, opened)
    it.panel.cp.submit_command(0, {"command": Command.FileTransfer, "id": 13, "flags": 0})
    ok = it.panel.run(lambda: it.channel.node.files == [(13, data)], 5)
    return Row(B, "FILETRANSFER", given=1, done=int(ok))


def b_damage(probability: float, cards: int, seed: int = 1) -> Row:
    """The same over a line that damages chunks."""
    it = TheirPanel(seed=seed)
    it.panel.run(lambda: it.panel.secure, 5)
    it.channel.damage.probability = probability
    given = 0
    for n in range(1, cards + 1):
        it.channel.card(n)
        it.panel.run(lambda: False, GAP_S)
        if n % 3 == 0:
            output = {"command": Command.Output, "output_no": 0, "control_code": 5, "timer_count": n}
            given += bool(it.panel.cp.submit_command(0, output))
    it.channel.damage.probability = 0.0
    ended_s = time.monotonic()
    it.channel.card(cards + 1)
    it.panel.run(lambda: cards + 1 in it.panel.cards(), 5)
    back_s = time.monotonic() - ended_s
    it.panel.run(lambda: len(it.panel.done) >= given, 1)
    seen = Counter(it.panel.cards())
    what = f"{probability:.0%} of chunks damaged" if probability else "clean"
    events = it.channel.node.events
    note = f"{it.channel.damage.flips} bits flipped"
    if events.dropped or events.expired:
        note += f"; node's queue full {events.dropped} times, {events.expired} too old to tell: their panel was away"
    done = sum(status == 0 for _, status in it.panel.done)
    return Row(
        B, what, cards, sum(n not in seen for n in range(1, cards + 1)), sum(t > 1 for t in seen.values()), given, done,
        it.panel.lost, back_s, note,
    )  # fmt: skip


def b_power(times: int) -> Row:
    """Our node's power goes for 0.3 s and comes back; a card is shown at once."""
    it = TheirPanel()
    it.panel.run(lambda: it.panel.secure, 5)
    longest_s = 0.0
    for n in range(1, times + 1):
        it.channel.powered = False
        it.panel.run(lambda: False, 0.3 + 2.0 * (n == times))
        it.channel.power_on()
        began_s = time.monotonic()
        it.channel.card(n)
        it.panel.run(lambda n=n: n in it.panel.cards(), 5)  # type: ignore[misc]
        longest_s = max(longest_s, time.monotonic() - began_s)
    seen = Counter(it.panel.cards())
    lost = sum(n not in seen for n in range(1, times + 1))
    return Row(B, "node's power cycled", times, lost, sum(t > 1 for t in seen.values()), back_s=longest_s)


def b_wrong_key() -> Row:
    """A panel with another key learns nothing and moves nothing."""
    it = TheirPanel(bytes(range(1, 17)))
    it.channel.card(1)
    came = it.panel.run(lambda: it.panel.secure or it.panel.cards(), 2)
    return Row(B, "wrong key", note="NOT refused" if came else "refused: no session, no card, no command")


def b_nak() -> Row:
    """A command that our node refuses."""
    it = TheirPanel()
    it.panel.run(lambda: it.panel.secure, 5)
    stay_open = {"command": Command.Output, "output_no": 0, "control_code": 2, "timer_count": 0}
    it.panel.cp.submit_command(0, stay_open)
    it.panel.run(lambda: it.panel.done, 2)
    began_s = time.monotonic()
    it.channel.card(1)
    it.panel.run(lambda: it.panel.cards(), 5)
    seen = it.panel.cards()
    return Row(B, "NAK to a command", 1, int(not seen), int(len(seen) > 1), sessions_lost=it.panel.lost,
               back_s=time.monotonic() - began_s)  # fmt: skip


def matrix(cards: int = 60, times: int = 5) -> list[Row]:
    """All rows."""
    rows = asyncio.run(a_commands())
    rows += [asyncio.run(a_damage(p, cards)) for p in (0.0, 0.01, 0.05)]
    rows += [asyncio.run(a_power(times)), asyncio.run(a_wrong_key())]
    rows += b_commands()
    rows += [b_damage(p, cards) for p in (0.0, 0.01, 0.05)]
    return [*rows, b_power(times), b_wrong_key(), b_nak()]


def _table(rows: list[Row]) -> str:
    lines = ["| ends | what | cards | lost | twice | commands | sessions lost | back s | |", "| --- " * 9 + "|"]
    for row in rows:
        back = "" if row.back_s is None else f"{row.back_s:.2f}"
        commands = f"{row.done}/{row.given}" if row.given else ""
        cards = (f"{row.shown}", f"{row.lost}", f"{row.twice}") if row.shown else ("", "", "")
        lost = f"{row.sessions_lost}" if row.shown else ""
        lines.append(f"| {' | '.join((row.pair, row.what, *cards, commands, lost, back, row.note))} |")
    return "\n".join(lines)


def main() -> None:
    """Print the matrix."""
    asked = argparse.ArgumentParser(description="Our ends against libosdp's.")
    asked.add_argument("--cards", type=int, default=60)
    asked.add_argument("--times", type=int, default=5, help="power cycles")
    asked.add_argument("--json", action="store_true")
    told = asked.parse_args()
    log.set_up("interop")  # to stderr
    rows = matrix(told.cards, told.times)
    print("\n".join(json.dumps(asdict(row)) for row in rows) if told.json else _table(rows))


if __name__ == "__main__":
    main()
