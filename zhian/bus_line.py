"""What `zhian bus` does with a line of its own: looks, gives keys, shows lights. Refused while core has the line."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.wire.message import Message
from gateway.config import Bus, GatewayConfig, Reader, read, resolve
from gateway.drivers.clock import SystemClock
from gateway.drivers.only_one import only_one
from gateway.drivers.osdp import KeyFile, OsdpBus, OsdpDevice
from gateway.drivers.osdp.ceremony import Place
from gateway.drivers.osdp.conversation import Found, look
from gateway.drivers.osdp.line import LineGoneError, open_line
from gateway.drivers.osdp.session import Session
from gateway.errors import DriverError, StoreError
from runtime.errors import UserError

ONLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Wired:
    """A device of gateway.toml: where it is, and the file of its key."""

    reader: Reader
    place: Place
    key_file: KeyFile


@dataclass(frozen=True, slots=True)
class Lines:
    """The buses of a gateway.toml."""

    file: Path
    config: GatewayConfig

    @property
    def buses(self) -> tuple[Bus, ...]:
        """Every line."""
        return self.config.bus

    def port(self, bus: Bus) -> str:
        """Where a line is."""
        return str(resolve(self.file, bus.port))

    def device(self, name: str) -> Wired:
        """One device by its name. Raises UserError."""
        for reader in self.config.reader:
            if reader.name == name:
                bus = next(bus for bus in self.config.bus if bus.name == reader.bus)
                place = Place(self.port(bus), bus.baud, reader.address)
                return Wired(reader, place, KeyFile(resolve(self.file, reader.key_file)))
        known = sorted(reader.name for reader in self.config.reader)
        raise UserError(f"device: expected one of {known}, got {name[:40]!r}; name a reader of {self.file}")

    @contextmanager
    def own(self) -> Iterator[None]:
        """Nobody else serves these lines meanwhile. Raises UserError while core runs."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(only_one(resolve(self.file, self.config.paths.data)))
            except StoreError as e:
                raise UserError(f"core has the bus ({e}); stop it for this command") from e
            yield


def open_lines(config: Path) -> Lines:
    """Read gateway.toml. Raises ConfigError."""
    return Lines(config, read(config))


async def scan(
    port: str, bauds: Sequence[int], addresses: Sequence[int], progress: Callable[[int, int], None]
) -> list[Found]:
    """Everybody who answers in plain text, by baud rate and address. Raises DriverError."""
    found: list[Found] = []
    for baud in bauds:
        try:
            line = open_line(port, baud, lambda: None)
        except LineGoneError as e:
            raise DriverError(f"{port}: cannot be opened ({e}); plug the adapter in, or stop what uses it") from e
        try:
            for address in addresses:
                progress(baud, address)
                if (one := await look(line, address, baud)) is not None:
                    found.append(one)
        except LineGoneError as e:
            raise DriverError(f"{port}: the line has ended ({e}); plug the adapter in again") from e
        finally:
            line.close()
    return found


def session_of(wired: Wired) -> Callable[[int], Session]:
    """Makes a session with a device's key, at any address. Raises UserError where it has none."""
    key, staged = wired.key_file.key(), wired.key_file.staged()
    if key is None and staged is None:
        raise UserError(f"{wired.key_file.path}: no key yet; run zhian bus install-key {wired.reader.name}")
    return lambda address: Session(address, key or staged or b"", secrets.token_bytes, staged)


@asynccontextmanager
async def alone(wired: Wired) -> AsyncIterator[OsdpBus]:
    """The line with this one device, online. Raises UserError where it does not come."""
    key, staged = wired.key_file.key(), wired.key_file.staged()
    first = key or staged
    if first is None:
        raise UserError(f"{wired.key_file.path}: no key yet; run zhian bus install-key {wired.reader.name}")
    name = wired.reader.name
    device = OsdpDevice(name, wired.place.address, first, {}, {}, staged, wired.key_file)
    clock = SystemClock("UTC", 0)
    bus = OsdpBus(wired.reader.bus, wired.place.port, wired.place.baud, [device], clock, lambda _seen: None)
    run = asyncio.create_task(bus.run())
    try:
        async with asyncio.timeout(ONLINE_S):
            while not bus.online(name) and not run.done():  # noqa: ASYNC110 - the bus has no event for it
                await asyncio.sleep(0.02)
        yield bus
    except TimeoutError:
        raise UserError(f"{name}: no session within {ONLINE_S:g} s; check the line, its address and its key") from None
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def tell(wired: Wired, messages: Sequence[Message]) -> None:
    """Commands for one device. Raises UserError."""
    async with alone(wired) as bus:
        await bus.tell(wired.reader.name, messages)


async def rotate(wired: Wired) -> None:
    """A fresh key for one device. Raises UserError."""
    async with alone(wired) as bus:
        await bus.rotate_key(wired.reader.name)


def run(work: Awaitable[object]) -> None:
    """Carry out one piece of work."""

    async def one() -> None:
        await work

    asyncio.run(one())
