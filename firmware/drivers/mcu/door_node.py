"""The door node on a microcontroller: main.py of every board ends here. Two tasks, and a watchdog over both.

The service button (a jumper will do): closed while power comes on, the node runs without its watchdog for a minute, so
that it can be stopped (Ctrl-C) and files be copied; held for three seconds while the node runs, it opens the install
window (see firmware.node.peripheral).
"""

import asyncio
import binascii
import gc
import os
import sys
import time

import machine

from firmware.drivers.aes import aes
from firmware.drivers.clock import Ticks
from firmware.drivers.heartbeats import Heartbeats
from firmware.drivers.mcu.line import Rs485Line
from firmware.drivers.mcu.pins import Levels, Shown, input_pin
from firmware.drivers.mcu.settings import Keeper
from firmware.drivers.offline_files import CacheStore, JournalStore
from firmware.drivers.readable import readable
from firmware.node.alone import AloneDoor
from firmware.node.journal import STORE_BYTES, Journal
from firmware.node.offline import Offline
from firmware.node.peripheral import Peripheral
from firmware.wire import codes
from firmware.wire.frame import FrameParser
from firmware.wire.replies import Identity

INPUTS = ("contact", "rex", "tamper")
MODEL = 1
FIRMWARE = (0, 1, 0)
ROUND_MS = 5  # how often pins are looked at: shorter than every debounce time
QUIET_MS = 100  # the bus task goes round at least so often
FRAME_GAP_MS = 50
WATCHDOG_MS = 8000  # the RP2040's longest is 8388
LATE_MS = 4000  # a task that has not gone round for so long is stuck, and the watchdog is left alone
SERVICE_MS = 60000  # how long a node that was started with its service contact closed can be stopped
FAILED_MS = 10000  # and how long it waits before it starts again where it has failed
INSTALL_HOLD_MS = 3000
SERVICE_OPEN_MS = 100  # the button counts as let go after so long
BLINK_MS = 1000


class BoardDoorNode:
    """Joins the door's logic, its bus and its pins. `board` is the generated module of that name."""

    def __init__(self, board, keeper: Keeper, watchdog=None):
        """Raises SettingsError. The relay is at rest from here on until the first effect."""
        self._shown = Shown(board)
        self._ticks = Ticks()
        self._keeper = keeper
        self._watchdog = watchdog
        self._armed_ms = self._ticks.now_ms() + SERVICE_MS  # when it gets one in any case
        settings = keeper.settings()
        optional = (("fire_loop", "fire"), ("mains_contact", "mains"))
        names = INPUTS + tuple([pin for key, pin in optional if settings[key]]) + tuple(settings["sensors"])
        self._levels = Levels(board, names, tuple(settings["supervised"]))
        scbk = keeper.key()
        self._cache = CacheStore(keeper.path("cache"))
        self._journal = JournalStore(keeper.path("journal"), STORE_BYTES)
        counted = board.JOURNAL == "counted"
        journal = Journal(self._journal.pieces(), int.from_bytes(os.urandom(4), "little"), counted)
        self._door = AloneDoor(
            Offline(scbk, self._cache.read(), journal, self._ticks.now_ms(), keeper.key_before()),
            counted,
            fire_loop=settings["fire_loop"],
            latched=keeper.latched(),
            mains_contact=settings["mains_contact"],
            sensors=tuple(settings["sensors"]),
            stores=(self._journal, self._cache),
        )
        serial = settings["serial"] or binascii.crc32(machine.unique_id())
        identity = Identity(codes.VENDOR, MODEL, 1, serial & 0xFFFFFFFF, FIRMWARE)
        baud = settings["baud"]
        self._peripheral = Peripheral(settings["address"], scbk, aes, os.urandom, identity, self._door, keeper, baud)
        uart = board.UART
        self._line = Rs485Line(uart["number"], uart["tx"], uart["rx"], uart["de"], baud)
        self._reader = board.WIEGAND(board.PINS["wiegand_d0"][0], board.PINS["wiegand_d1"][0])
        self._service = input_pin(board, "service")
        self._service_closed = self._service_spent = not self._service.value()
        self._service_since_ms = self._ticks.now_ms()
        self._alive = None if "alive" not in board.PINS else machine.Pin(board.PINS["alive"][0], machine.Pin.OUT)
        self._latch_wanted = None  # to be kept again
        self._beats = Heartbeats(("bus", "pins"), LATE_MS, self._ticks.now_ms())

    async def run_bus(self) -> None:
        """Answer the control panel."""
        parser = FrameParser()
        heard_ms = 0
        while True:
            now_ms = self._ticks.now_ms()
            self._beats.beat("bus", now_ms)
            self._peripheral.tick(now_ms)
            if self._peripheral.baud != self._line.baud:
                self._line.set_baud(self._peripheral.baud)
                parser.reset()
            try:
                await asyncio.wait_for_ms(readable(self._line.stream), QUIET_MS)
            except asyncio.TimeoutError:
                continue
            now_ms = self._ticks.now_ms()
            if parser.partial and now_ms - heard_ms > FRAME_GAP_MS:
                parser.reset()
            heard_ms = now_ms
            for frame in parser.feed(self._line.read()):
                reply = self._peripheral.receive(frame, now_ms)
                self._carry_out(now_ms)  # before the reply: an acknowledgement says that it is done
                if reply is not None:
                    self._line.write(reply)
                    self._peripheral.replied(now_ms)

    async def run_pins(self) -> None:
        """Look at the inputs, hear the reader, let time pass for the door."""
        while True:
            now_ms = self._ticks.now_ms()
            self._beats.beat("pins", now_ms)
            for name, level in self._levels.read():
                self._door.level(name, level, now_ms)
            for frame in self._reader.receive(now_ms):
                if frame[0] == "card":
                    self._door.card(frame[1], frame[2], now_ms)
                else:
                    self._door.keys(frame[1], now_ms)
            self._door.tick(now_ms)
            self._carry_out(now_ms)
            self._shown.tick(now_ms)
            self._look_at_service(now_ms)
            if self._latch_wanted is not None:
                self._keep_latch(self._latch_wanted)
            await asyncio.sleep_ms(ROUND_MS)

    async def run_watchdog(self) -> None:
        """Feed the watchdog while both tasks go round; where one does not, let it reset the board."""
        while True:
            now_ms = self._ticks.now_ms()
            late = self._beats.late(now_ms)
            if late is not None:
                print("watchdog: " + late + " is stuck; the board will restart", file=sys.stderr)
            elif self._watchdog is not None:
                self._watchdog.feed()
            elif now_ms >= self._armed_ms:
                self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
            if self._alive is not None:
                self._alive.value(now_ms // BLINK_MS % 2)
            await asyncio.sleep_ms(BLINK_MS // 2)

    def _look_at_service(self, now_ms: int) -> None:
        """One window for each press: a contact that stays closed opens no other."""
        closed = not self._service.value()
        if closed != self._service_closed:
            self._service_closed = closed
            self._service_since_ms = now_ms
        held_ms = now_ms - self._service_since_ms
        if not closed and held_ms >= SERVICE_OPEN_MS:
            self._service_spent = False
        elif closed and held_ms >= INSTALL_HOLD_MS and not self._service_spent:
            self._service_spent = True
            self._peripheral.open_install_window(now_ms)
            self._shown.carry_out("buzzer", 3, now_ms)
            print("install window open for two minutes")

    def _carry_out(self, now_ms: int) -> None:
        """Until nothing more follows: what was recorded may open the lock."""
        effects = self._door.effects()
        while effects:
            for name, value in effects:
                if name == "latch":
                    self._keep_latch(value == 1)
                elif name == "journal":
                    self._door.journal_kept(self._journal.write(value), now_ms)
                else:
                    self._shown.carry_out(name, value, now_ms)
            effects = self._door.effects()

    def _keep_latch(self, on: bool) -> None:
        self._latch_wanted = None if self._keeper.keep_latch(on) else on

    def show_present(self) -> None:
        """What relay and light are to show at the start: rest, unless fire had released the lock."""
        for name, value in self._door.present():
            self._shown.carry_out(name, value, 0)


async def _supervised(work, failed: asyncio.Event) -> None:
    """Run an endless task; its end, of whatever kind, ends the node."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:  # the supervisor of every task: it is printed and the board starts again
        sys.print_exception(error)
    failed.set()


async def run(board, keeper: Keeper, watchdog=None) -> None:
    """Returns only where a task has failed."""
    node = BoardDoorNode(board, keeper, watchdog)
    node.show_present()
    failed = asyncio.Event()
    tasks = [asyncio.create_task(_supervised(work, failed)) for work in (node.run_pins(), node.run_bus())]
    tasks.append(asyncio.create_task(_supervised(node.run_watchdog(), failed)))
    gc.collect()
    if watchdog is None:
        print("service jumper closed: no watchdog for a minute; Ctrl-C stops the node")
    print("READY")
    await failed.wait()
    for task in tasks:
        task.cancel()


def main(board, watchdog, folder: str = "") -> None:
    """The node, for ever. Where it ends, the board starts again with its lock at rest."""
    keeper = Keeper(folder)
    try:
        asyncio.run(run(board, keeper, watchdog))
    except KeyboardInterrupt:  # somebody wants to copy files: the lock at rest meanwhile, unless fire has released it
        if not keeper.latched():
            Shown(board)
        return
    except Exception as error:  # nothing above this: say it on the console, then start again
        sys.print_exception(error)
    if watchdog is None:
        time.sleep_ms(FAILED_MS)  # the console stays for somebody who has come to mend it
    machine.reset()
