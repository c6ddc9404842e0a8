"""What a board keeps of itself: where the panel has moved it, and the key that its cache was made with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware.drivers import files
from firmware.drivers.mcu.settings import Keeper

OLD, NEW = bytes(range(16)), bytes(range(1, 17))


def said(folder: Path, **settings: object) -> Keeper:
    """The board starts with this node.json."""
    (folder / "node.json").write_text(json.dumps(settings))
    return Keeper(str(folder))


def place(keeper: Keeper) -> tuple[int, int]:
    settings = keeper.settings()
    return settings["address"], settings["baud"]


def test_a_board_stays_where_the_panel_has_moved_it(tmp_path: Path) -> None:
    keeper = said(tmp_path, address=1)
    assert place(keeper) == (1, 38400)
    assert keeper.keep_line(7, 9600)
    assert place(said(tmp_path, address=1)) == (7, 9600)


def test_a_node_json_that_says_something_else_since_then_wins(tmp_path: Path) -> None:
    keeper = said(tmp_path, address=1)
    place(keeper)
    assert keeper.keep_line(7, 9600)
    assert place(said(tmp_path, address=3, baud=57600)) == (3, 57600)


def test_the_key_before_stays_for_the_cache_that_was_made_with_it(tmp_path: Path) -> None:
    keeper = Keeper(str(tmp_path))
    assert keeper.keep_key(OLD)
    assert keeper.key_before() is None
    assert keeper.keep_key(NEW)
    assert (keeper.key(), keeper.key_before()) == (NEW, OLD)
    assert keeper.keep_key(NEW)  # told again
    assert (keeper.key(), keeper.key_before()) == (NEW, OLD)


def test_a_key_of_node_json_that_could_not_be_removed_from_it_does_not_replace_a_rotated_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_old: str, _new: str) -> None:
        raise OSError(28, "no space left")

    keeper = said(tmp_path, scbk=OLD.hex())
    with monkeypatch.context() as full:
        full.setattr(files, "rename", refuses)
        keeper.settings()
        assert keeper.key() == OLD
        assert keeper.keep_key(NEW)
        keeper.settings()  # another start
        assert keeper.key() == NEW
    keeper.settings()
    assert keeper.key() == NEW
    assert json.loads((tmp_path / "node.json").read_text()) == {}
    assert said(tmp_path, scbk=OLD.hex()).settings()["scbk"]  # written anew by somebody: taken again
    assert keeper.key() == OLD
