"""What the bench of sending compares with does nothing beside its own work while it is measured."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway.store import database
from zhian.benches import events as bench


class Client:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def publish(self, _: str, payload: bytes, qos: int) -> Client:
        assert qos == 1
        self.sent.append(payload)
        return self

    def wait_for_publish(self, _: float) -> None:
        """It is confirmed."""


async def test_nothing_is_made_or_opened_while_the_yardsticks_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench._made()
    with contextlib.closing(database.open_for_writing(tmp_path / "floor.sqlite")) as connection:
        for name in ("events", "FrameEncoder", "row_of", "database", "mqtt", "Connection"):
            monkeypatch.setattr(bench, name, None)  # whoever uses it now fails
        raw, floor = Client(), Client()
        await bench._raw(raw, made)
        await bench._floor(floor, connection, made, 1)
        await bench._floor(floor, connection, made, 1 + bench.SLICE)
        assert connection.execute("SELECT count(*), max(seq) FROM journal").fetchone() == (2 * bench.SLICE,) * 2
    assert raw.sent == floor.sent[: bench.SLICE] == made.frames
    assert len(set(raw.sent)) == bench.SLICE, "each event is its own"
