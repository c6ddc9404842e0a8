"""What a door asks, on a drawn head with the fetched nets: who does it comes in.

A video of them takes long to draw: tests/faces/one_path.py. `python -m training.ask_measure` measures many.
"""

from __future__ import annotations

import random

from training.ask_measure import visit

BOTH = frozenset({"challenge", "light"})


def drawn_by(seed: int):
    """Bytes in place of os.urandom's, so that a failure can be repeated."""
    return random.Random(seed).randbytes


def test_a_living_head_that_does_what_is_shown_is_let_in(reader):
    told = visit(reader, "live", 5, 740_005, BOTH, drawn_by(1)).told
    assert (told.bona_fide, told.asked, told.holder) == (True, ("challenge", "light"), "holder")
    assert {"depth_seen", "challenge_done", "light_answered"} <= set(told.pad_reasons)
