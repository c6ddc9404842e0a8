"""The door node on a computer: `micropython -m firmware.drivers.unix.door_node NODE.json`.

NODE.json: {"name", "bus": path of the serial line, "pins": path of the pins socket, "address": 0..126,
"scbk_file": path of 32 hex digits, "serial": number, "fire_loop": true where the fire panel's contact is wired to this
node (optional, else false), "mains_contact": true where the supply's mains contact is (optional, else false),
"install_button": true where a button asks for a key (optional, else false; the key file may then be missing),
"sensors": those of firmware.node.door.SENSORS that are wired (optional, else none), "journal": "before-relay" or
"counted", as a board's file has it (optional, else as boards/unix.toml),
"display": true where it has a text display (optional, else false)}.
Beside it NODE.latch is kept while fire has released the lock, NODE.cache and NODE.journal for the time without a
gateway, NODE.key and NODE.line once the control panel has changed
the node's key or its address. Prints READY once it listens to its bus; runs until
killed and never without all its tasks: where one fails, the process ends with 1 and says why.
"""

import asyncio
import binascii
import json
import os
import sys

from firmware.drivers.aes import aes
from firmware.drivers.clock import Ticks
from firmware.drivers.offline_files import CacheStore, JournalStore
from firmware.drivers.readable import readable
from firmware.drivers.unix.keeper import FileKeeper
from firmware.drivers.unix.latch import LatchFile
from firmware.drivers.unix.pins import PinsGoneError, PinsSocket
from firmware.drivers.unix.serial import LineGoneError, SerialLine
from firmware.node.alone import AloneDoor
from firmware.node.door import SENSORS
from firmware.node.journal import STORE_BYTES, Journal
from firmware.node.offline import Offline
from firmware.node.peripheral import Peripheral
from firmware.wire import codes
from firmware.wire.frame import FrameParser
from firmware.wire.replies import Identity

INPUTS = ("contact", "rex", "tamper")
OPTIONAL_INPUTS = (("fire_loop", "fire"), ("mains_contact", "mains"))  # key of NODE.json, pin
OUTPUTS = ("relay",)
INSTALL = "install"  # pulled up; pressed is 0
READER = "reader"
JOURNALS = ("before-relay", "counted")  # a record is on disk before the lock moves, as in boards/unix.toml; or after
COLOURS = {codes.BLACK: "off", codes.RED: "red", codes.GREEN: "green", codes.AMBER: "amber"}
VENDOR = codes.VENDOR
MODEL = 1
FIRMWARE = (0, 1, 0)
RETRY_MS = 100
PINS_WAIT_MS = 2000  # the bus waits so long for the first levels, so that the panel never sees invented ones
LONGEST_NAP_MS = 1000
# A frame's bytes follow each other within 20 ms on a wire; a busy computer may be later.
FRAME_GAP_MS = 50


class NodeFileError(Exception):
    """NODE.json or the key file cannot be used."""


def read_node_file(path: str) -> dict:
    """The settings, checked; the key as bytes under "scbk". Raises NodeFileError with one sentence."""
    try:
        with open(path) as file:
            settings = json.load(file)
    except (OSError, ValueError):
        raise NodeFileError(path + ": expected a JSON object; write the node's settings there")
    wanted = {"name": str, "bus": str, "pins": str, "address": int, "scbk_file": str, "serial": int}
    for key, kind in wanted.items():
        if not isinstance(settings, dict) or not isinstance(settings.get(key), kind):
            raise NodeFileError(path + ": " + key + ": expected " + kind.__name__ + "; correct the value")
    for key in [key for key, _ in OPTIONAL_INPUTS] + ["install_button", "display"]:
        if not isinstance(settings.get(key, False), bool):
            raise NodeFileError(path + ": " + key + ": expected true or false; correct the value")
    wired = settings.setdefault("sensors", [])
    if not isinstance(wired, list) or [name for name in wired if name not in SENSORS]:
        raise NodeFileError(path + ": sensors: expected names out of " + ", ".join(SENSORS) + "; correct the value")
    if settings.setdefault("journal", JOURNALS[0]) not in JOURNALS:
        raise NodeFileError(path + ": journal: expected one of " + ", ".join(JOURNALS) + "; correct the value")
    if not 0 <= settings["address"] < codes.BROADCAST:
        raise NodeFileError(path + ": address: expected 0..126, got " + str(settings["address"]))
    beside = path[:-5] if path.endswith(".json") else path
    # A key that the panel has set stays on this node; a key file that was written since then is the one to use.
    settings["own_key_file"] = beside + ".key"
    own_s = _written_s(settings["own_key_file"])
    key_file = settings["own_key_file" if own_s and own_s >= _written_s(settings["scbk_file"]) else "scbk_file"]
    settings["scbk"] = read_key(key_file, settings.get("install_button", False))
    settings["latch_file"] = beside + ".latch"
    settings["cache_file"] = beside + ".cache"
    settings["journal_file"] = beside + ".journal"
    settings["line_file"] = beside + ".line"
    try:
        with open(settings["line_file"]) as file:  # what the panel has changed since NODE.json was written
            settings["address"] = int(json.load(file)["address"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return settings


def _written_s(path: str) -> int:
    """When a file was written last; 0 where there is none."""
    try:
        return os.stat(path)[8]
    except OSError:
        return 0


def read_key(path: str, may_lack: bool):
    """The device's key; None where there is none yet and `may_lack`. Raises NodeFileError with one sentence."""
    try:
        os.stat(path)
    except OSError:
        if may_lack:
            return None
    try:
        with open(path) as file:
            scbk = binascii.unhexlify(file.read(256).strip())
    except (OSError, ValueError):
        raise NodeFileError(path + ": expected 32 hex digits; write the device's key there")
    if len(scbk) != 16:
        raise NodeFileError(path + ": expected 32 hex digits, got " + str(2 * len(scbk)))
    return scbk


class UnixDoorNode:
    """Joins the door's logic, its bus and its pins."""

    def __init__(self, settings: dict):
        self._ticks = Ticks()
        self._latch = LatchFile(settings["latch_file"])
        self._cache = CacheStore(settings["cache_file"])
        self._journal = JournalStore(settings["journal_file"], STORE_BYTES)
        counted = settings["journal"] == "counted"
        sensors = tuple(settings["sensors"])
        journal = Journal(self._journal.pieces(), int.from_bytes(os.urandom(4), "little"), counted)
        kind = AloneDoor
        if settings.get("display", False):
            from firmware.node.display import DoorWithDisplay  # only then: a small heap has no room for it else

            kind = DoorWithDisplay
        self._door = kind(
            Offline(settings["scbk"], self._cache.read(), journal, self._ticks.now_ms()),
            counted,
            fire_loop=settings.get("fire_loop", False),
            latched=self._latch.on(),
            mains_contact=settings.get("mains_contact", False),
            sensors=sensors,
            stores=(self._journal, self._cache),
        )
        self._inputs = INPUTS + tuple([pin for key, pin in OPTIONAL_INPUTS if settings.get(key, False)]) + sensors
        serial = settings["serial"] & 0xFFFFFFFF
        identity = Identity(VENDOR, MODEL, 1, serial, FIRMWARE)
        keeper = FileKeeper(settings["own_key_file"], settings["line_file"])
        address, scbk = settings["address"], settings["scbk"]
        self._peripheral = Peripheral(address, scbk, aes, os.urandom, identity, self._door, keeper)
        self._button = (INSTALL,) if settings.get("install_button", False) else ()
        self._line = SerialLine(settings["bus"])
        self._pins = PinsSocket(settings["pins"], settings["name"])
        self._wake = asyncio.Event()  # the next moment that matters has changed
        self._due_ms = None  # the one that run_clock waits for
        self._seen = asyncio.Event()  # every input's level is known
        self._unseen = set(self._inputs)

    async def run_bus(self) -> None:
        """Answer the control panel; open the line again whenever it goes away."""
        try:
            await asyncio.wait_for_ms(self._seen.wait(), PINS_WAIT_MS)
        except asyncio.TimeoutError:
            print("pins: no levels yet; the bus starts without them", file=sys.stderr)
        ready = False
        while True:
            try:
                self._line.open()
                if not ready:
                    ready = True
                    print("READY")
                await self._answer_while_open()
            except LineGoneError:
                self._line.close()
                await asyncio.sleep_ms(RETRY_MS)

    async def _answer_while_open(self) -> None:
        parser = FrameParser()
        heard_ms = self._ticks.now_ms()
        while True:
            await readable(self._line.stream)
            data = self._line.read()
            now_ms = self._ticks.now_ms()
            if parser.partial and now_ms - heard_ms > FRAME_GAP_MS:
                parser.reset()
            heard_ms = now_ms
            for frame in parser.feed(data):
                reply = self._peripheral.receive(frame, now_ms)
                self._show()  # before the reply: an acknowledgement says that it is done
                if reply is not None:
                    self._line.write(reply)
                    self._peripheral.replied(now_ms)

    async def run_pins(self) -> None:
        """Take levels, cards and keys; connect again whenever the socket goes away."""
        while True:
            try:
                self._pins.connect(self._inputs + self._button, OUTPUTS)
                self._carry_out(self._door.present())
                while not self._pins.broken:
                    try:
                        await asyncio.wait_for_ms(readable(self._pins.stream), LONGEST_NAP_MS)
                    except asyncio.TimeoutError:
                        continue
                    for message in self._pins.receive():
                        self._take(message)
                    self._show()
            except PinsGoneError:
                pass
            self._pins.close()
            await asyncio.sleep_ms(RETRY_MS)

    async def run_clock(self) -> None:
        """Let time pass for the door: wait for the next moment that matters or for a change."""
        while True:
            now_ms = self._ticks.now_ms()
            self._door.tick(now_ms)
            self._peripheral.tick(now_ms)
            self._carry_out_all()
            if not self._latch.kept:
                self._latch.again()
            self._due_ms = self._door.due_ms()
            nap_ms = LONGEST_NAP_MS if self._due_ms is None else max(1, self._due_ms - now_ms)
            self._wake.clear()
            try:
                await asyncio.wait_for_ms(self._wake.wait(), min(nap_ms, LONGEST_NAP_MS))
            except asyncio.TimeoutError:
                pass

    def _take(self, message: dict) -> None:
        """One message from the pins. What makes no sense closes the connection, as the other end would."""
        now_ms = self._ticks.now_ms()
        op = message.get("op")
        try:
            if op == "edge" and message["pin"] == INSTALL and self._button:
                if int(message["value"]) == 0:
                    self._peripheral.open_install_window(now_ms)
            elif op == "edge":
                if not self._door.level(message["pin"], int(message["value"]), now_ms):
                    raise PinsGoneError(0)
                self._unseen.discard(message["pin"])
                if not self._unseen:
                    self._seen.set()
            elif op == "wiegand" and message["port"] == READER:
                self._door.card(int(message["bits"]), binascii.unhexlify(message["data"]), now_ms)
            elif op == "keys" and message["port"] == READER:
                self._door.keys(message["keys"], now_ms)
            else:
                raise PinsGoneError(0)
        except (KeyError, ValueError, TypeError):
            raise PinsGoneError(0)

    def _show(self) -> None:
        """Carry out what the door wants; wake the clock where its next moment is another one now."""
        self._carry_out_all()
        if self._door.due_ms() != self._due_ms:
            self._wake.set()

    def _carry_out_all(self) -> None:
        """Until nothing more follows: what was recorded may open the lock."""
        effects = self._door.effects()
        while effects:
            self._carry_out(effects)
            effects = self._door.effects()

    def _carry_out(self, effects: list) -> None:
        for name, value in effects:
            if name == "latch":
                self._latch.keep(value == 1)
                continue
            if name == "journal":
                self._door.journal_kept(self._journal.write(value), self._ticks.now_ms())
                continue
            if self._pins.stream is None or self._pins.broken:
                continue  # shown by `present` once the pins are back
            if name == "relay":
                message = {"op": "write", "pin": "relay", "value": value}
            elif name == "text":
                message = {"op": "display", "text": value.decode()}
            else:
                message = {"op": "indicator", "name": name, "value": COLOURS[value] if name == "led" else value}
            try:
                self._pins.send(message)
            except PinsGoneError:
                pass  # `broken` makes run_pins connect again


async def _supervised(work, failed: asyncio.Event) -> None:
    """Run an endless task; its end, of whatever kind, ends the node."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:  # the supervisor of every task: it is printed and the process ends with 1
        sys.print_exception(error, sys.stderr)
    failed.set()


async def run(settings: dict) -> None:
    """Returns only where a task has failed."""
    node = UnixDoorNode(settings)
    failed = asyncio.Event()
    endless = (node.run_pins(), node.run_bus(), node.run_clock())
    tasks = [asyncio.create_task(_supervised(work, failed)) for work in endless]
    await failed.wait()
    for task in tasks:
        task.cancel()


def main() -> None:
    """The process: settings from the file that the command line names."""
    if len(sys.argv) != 2:
        print("usage: micropython -m firmware.drivers.unix.door_node NODE.json", file=sys.stderr)
        sys.exit(2)
    try:
        settings = read_node_file(sys.argv[1])
    except NodeFileError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    asyncio.run(run(settings))
    sys.exit(1)


if __name__ == "__main__":
    main()
