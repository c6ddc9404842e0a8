"""Giving a device its first key, or another address: steps that need the line for themselves, each able to go back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from firmware.wire import codes
from firmware.wire.commands import CommunicationSet, KeySet
from firmware.wire.errors import MessageError
from firmware.wire.replies import Communication, Identity
from gateway.drivers.osdp.conversation import Conversation, NoAnswerError
from gateway.drivers.osdp.key_file import KeyFile
from gateway.drivers.osdp.line import Line, LineGoneError, open_line
from gateway.drivers.osdp.session import Request, Session, SessionRefusedError
from gateway.errors import DriverError

DEFAULT_WINDOW_S = 120.0
MAX_WINDOW_S = 600.0
_AGAIN_S = 0.5
_MOST_KEYSETS = 3  # acknowledged and not proved: it is no device that can keep a key
NEW_SETTING_S = 6.0  # a device is back at its new setting within that, or it is looked for at the old one
OLD_SETTING_S = 15.0  # our nodes return there by themselves after 10 s
BAUDS = (9600, 19200, 38400, 57600, 115200)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device is to be found."""

    port: str
    baud: int
    address: int


def _nothing() -> None:
    """Who opens a line for a moment does not wait for its end."""


async def install_key(
    place: Place, file: KeyFile, window_s: float = DEFAULT_WINDOW_S, waiting: Callable[[], None] = _nothing
) -> Identity:
    """Give the device its own key; the session under it has begun and `file` holds it when this returns.

    Waits up to `window_s` for the device to be in install mode; SCBK-D is used here and nowhere else. `waiting` is
    called once, where the device is not in it yet. Raises DriverError; then nothing but the staged key is left, which
    is offered to nobody else: next time the device may prove that it has it, and is otherwise given a fresh one.
    """
    if not 0 < window_s <= MAX_WINDOW_S:
        raise DriverError(f"the window: expected 1..{MAX_WINDOW_S:g} s, got {window_s:g}; choose a shorter one")
    key, before = file.stage_afresh()
    loop = asyncio.get_running_loop()
    end_s = loop.time() + window_s
    told = False
    taken = 0
    line = _open(place)
    try:
        while True:
            # A device that took a key before a power cut is not in install mode any more: it is asked first.
            session = Session(place.address, key, secrets.token_bytes, before)
            identity = await _begin(line, session)
            if identity is not None:
                file.promote(session.key)
                return identity
            if taken >= _MOST_KEYSETS or loop.time() >= end_s:
                raise DriverError(_not_installed(place.address, window_s, taken))
            if await _set_key(line, place.address, key):
                taken += 1
                continue
            if not told:
                told = True
                waiting()
            await asyncio.sleep(_AGAIN_S)
    except LineGoneError as e:
        raise DriverError(f"{place.port}: the line has ended ({e}); the key is kept, run this again") from e
    finally:
        line.close()


def _not_installed(address: int, window_s: float, taken: int) -> str:
    if taken:
        return (
            f"address {address}: a key was acknowledged and never proved; whoever took it may know it, so the next run "
            "offers another one: look who else is on the line, press the device's install button and run this again"
        )
    return (
        f"address {address}: no device in install mode within {window_s:g} s; nothing was changed, "
        "press the device's install button and run this again"
    )


async def set_line(place: Place, session_at: Callable[[int], Session], address: int, baud: int) -> Place:
    """Move a device to another address or baud rate; where it answers with its key when this returns: at the new
    setting, or again at the old one where it did not come. `session_at` makes a session with the device's key.

    Raises DriverError where it is at neither, or refuses.
    """
    if not 0 <= address < codes.BROADCAST or baud not in BAUDS:
        raise DriverError(f"expected an address of 0..126 and a baud rate of {BAUDS}, got {address} and {baud}")
    wanted = Place(place.port, baud, address)
    line = _open(place)
    try:
        session = session_at(place.address)
        if await _begin(line, session) is None:
            raise DriverError(f"address {place.address}: no device with this key answers; nothing was changed")
        talk = Conversation(line, session)
        try:
            reply = await talk.ask(Request(codes.COMSET, CommunicationSet(address, baud).encode()))
            told = Communication.decode(reply.payload) if reply.code == codes.COM else None
        except NoAnswerError:
            told = Communication(address, baud)  # its answer may have been lost: look for it
        except MessageError:
            told = None
    finally:
        line.close()
    if told is None or (told.address, told.baud) != (address, baud):
        raise DriverError(f"address {place.address}: the device refuses address {address} at {baud} baud; it stays")
    if await _wait_at(wanted, session_at, NEW_SETTING_S):
        return wanted
    if await _wait_at(place, session_at, OLD_SETTING_S):
        return place
    raise DriverError(f"address {place.address}: the device answers neither there nor at {address}, {baud} baud; scan")


async def _wait_at(place: Place, session_at: Callable[[int], Session], for_s: float) -> bool:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + for_s
    line = _open(place)
    try:
        while loop.time() < end_s:
            if await _begin(line, session_at(place.address)) is not None:
                return True
            await asyncio.sleep(_AGAIN_S)
        return False
    finally:
        line.close()


async def _begin(line: Line, session: Session) -> Identity | None:
    """A session with the device's own key; None where it is not there or has another."""
    try:
        return await Conversation(line, session, attempts=3).handshake()
    except (SessionRefusedError, NoAnswerError):
        return None


async def _set_key(line: Line, address: int, key: bytes) -> bool:
    """Give `key` to a device in install mode; False where it is in none, or does not take it."""
    session = Session(address, codes.SCBK_D, secrets.token_bytes, key_type=codes.KEY_DEFAULT)
    talk = Conversation(line, session)
    try:
        await talk.handshake()
        reply = await talk.ask(Request(codes.KEYSET, KeySet(key).encode()))
    except (SessionRefusedError, NoAnswerError):
        return False
    return bool(reply.code == codes.ACK)


def _open(place: Place) -> Line:
    try:
        return open_line(place.port, place.baud, _nothing)
    except LineGoneError as e:
        raise DriverError(
            f"{place.port}: cannot be opened ({e}); plug the adapter in, and stop core where it has the line"
        ) from e
