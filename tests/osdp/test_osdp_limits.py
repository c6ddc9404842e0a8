"""Devices that acknowledge what they do not do: every ceremony and every file ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from firmware.wire import codes
from firmware.wire.replies import FileStatus
from gateway.drivers.osdp import KeyFile, ceremony
from gateway.drivers.osdp.ceremony import Place
from gateway.drivers.osdp.session import Reply
from gateway.drivers.osdp.transfer import Transfer
from gateway.errors import DriverError

PLACE = Place("x", 38400, 1)


class Stranger:
    """Somebody in install mode: takes the keys that it is told, and begins a session with `knows`, if at all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, knows: bytes | None = None) -> None:
        self.told: list[bytes] = []
        self.knows = knows
        monkeypatch.setattr(ceremony, "_open", lambda _place: SimpleNamespace(close=lambda: None))
        monkeypatch.setattr(ceremony, "_begin", self.begin)
        monkeypatch.setattr(ceremony, "_set_key", self.set_key)

    async def begin(self, _line: object, session: object) -> object:
        keys = session._keys  # type: ignore[attr-defined]
        if self.knows not in keys:
            return None
        session._channel, session._key = object(), self.knows  # type: ignore[attr-defined]
        return "identity"

    async def set_key(self, _line: object, _address: int, key: bytes) -> bool:
        await asyncio.sleep(0)
        self.told.append(key)
        return True


async def test_a_key_that_is_acknowledged_and_not_proved_is_sent_three_times_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Stranger(monkeypatch)
    with pytest.raises(DriverError, match="acknowledged and never proved"):
        await asyncio.wait_for(ceremony.install_key(PLACE, KeyFile(tmp_path / "k"), 600), 5)
    assert len(stranger.told) == 3


async def test_a_key_that_was_given_away_is_offered_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Stranger(monkeypatch), None
    file = KeyFile(tmp_path / "k")
    with pytest.raises(DriverError):
        await ceremony.install_key(PLACE, file, 600)
    second = Stranger(monkeypatch)
    with pytest.raises(DriverError):
        await ceremony.install_key(PLACE, file, 600)
    assert not set(first.told) & set(second.told)
    assert file.key() is None


async def test_a_device_that_took_a_key_before_a_power_cut_is_known_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Stranger(monkeypatch)
    file = KeyFile(tmp_path / "k")
    with pytest.raises(DriverError):
        await ceremony.install_key(PLACE, file, 600)
    Stranger(monkeypatch, knows=first.told[0])
    await ceremony.install_key(PLACE, file, 600)
    assert file.key() == first.told[0]
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_what_keeps_a_key_file_from_being_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="folder is not there"):
        KeyFile(tmp_path / "none" / "k").stage()


async def test_a_device_that_is_finishing_for_ever_fails_its_file() -> None:
    transfer = Transfer("r", 0x80, bytes(40), 38400, 0.0)
    finishing = Reply(codes.FTSTAT, FileStatus(0, 0, codes.FT_FINISHING, 0).encode(), b"")
    now_s = 0.0
    while not transfer.over and now_s < 60:
        transfer.request()
        transfer.answered(finishing, now_s)
        transfer.expire(now_s)
        now_s += 0.5
    with pytest.raises(DriverError, match="within 10 s"):
        transfer.done.result()
