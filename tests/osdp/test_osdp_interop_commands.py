"""A short part of the interop matrix (interop_matrix.py, `make bench`): every command both ways, damage, restarts."""

from __future__ import annotations

import pytest

pytest.importorskip("osdp_sys", reason="libosdp has wheels for CPython 3.11 only")

import interop_matrix as matrix
from osdp_rig import KEY


def undone(rows: list[matrix.Row]) -> list[str]:
    return [f"{row.what}: {row.note}" for row in rows if row.done != row.given]


async def test_every_command_of_ours_is_understood_by_a_foreign_device() -> None:
    rows = await matrix.a_commands()
    assert undone(rows) == []
    assert {"FILETRANSFER", "COMSET", "TEXT", "MFG", "KEYSET (rotation)", "KEYSET under SCBK-D (install)"} <= {
        row.what for row in rows
    }


def test_every_command_of_a_foreign_panel_is_understood_by_our_node() -> None:
    rows = matrix.b_commands()
    assert undone(rows) == []
    assert len(rows) == 13


async def test_nothing_of_ours_is_lost_on_a_clean_line_and_nothing_is_told_twice_on_a_bad_one() -> None:
    clean = await matrix.a_damage(0.0, 6)
    assert (clean.lost, clean.twice, clean.done, clean.sessions_lost) == (0, 0, clean.given, 0)
    bad = await matrix.a_damage(0.05, 8)
    assert bad.twice == 0
    assert bad.back_s is not None
    assert bad.back_s < 1.0


def test_our_node_loses_no_card_to_a_foreign_panel_on_a_bad_line() -> None:
    row = matrix.b_damage(0.03, 8)
    assert row.lost == 0


def test_a_refused_command_costs_no_card() -> None:
    row = matrix.b_nak()
    assert (row.shown, row.lost, row.twice) == (1, 0, 0)


def test_a_foreign_panel_with_another_key_learns_nothing() -> None:
    row = matrix.b_wrong_key()
    assert row.note.startswith("refused")
    assert bytes(range(1, 17)) != KEY
