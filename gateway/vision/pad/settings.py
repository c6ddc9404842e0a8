"""The numbers PAD decides by. Chosen on training.pad_measure's tuning seeds; docs/pad.md reports on others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PadSettings:
    """Units in the names; amplitudes are sines of a turn, stretches logarithms, depths shares."""

    # How much has to be seen before anything is said.
    least_looks: int = 10
    least_span_ms: int = 1500
    most_gap_ms: int = 700
    # relief.py
    relief_least: float = 0.07
    relief_asked: float = 0.1  # where the person was asked to turn
    relief_share: float = 0.6
    relief_over_jitter: float = 2.5
    flat_stretch: float = 0.06  # by landmarks: nets jitter by half of that
    flat_most: float = 0.06
    # parallax.py
    parallax_least: float = 0.045
    parallax_asked: float = 0.045
    parallax_gain: float = 0.03
    parallax_over_jitter: float = 1.3
    parallax_stretch: float = 0.03
    parallax_flat: float = 0.02
    parallax_flat_error: float = 0.02
    # expression.py
    life_required: bool = False
    blink_mesh_depth: float = 0.35
    blink_pixel_depth: float = 0.18
    blink_most_ms: int = 900
    # challenge.py
    neutral_ms: int = 700  # before it begins, in which the head is as it is held
    turn_least: float = 0.15  # of the nose's way to the side, in eye distances: about 18 degrees
    nod_least: float = 0.12
    wrong_share: float = 1.25  # of those, what makes an act that was not asked for
    reaction_ms: int = 200
    # replay.py
    flicker_depth: float = 0.025
    flicker_together: float = 0.55
    moire_least_db: float = 17.0
    bezel_share: float = 0.5
    bezel_sides: int = 2
    # light_code.py
    light_gain_least: float = 0.03
    light_over_error: float = 3.0
    light_required: bool = True  # where a light code was shown, bona fide needs its answer
    # passive.py
    passive_least: float = 0.5
