"""The likeliest text of a given form in the columns of a CTC head. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH = 16  # beginnings that are kept after every step
MOST_FOUND = 3
SURE = np.log(0.999)  # a blank as sure as this changes nothing after another such blank
LEAST = np.log(1e-4)  # a class less likely than this in a step is not tried there

Beginning = tuple[int, ...]
NEVER = -math.inf


def best_of_form(log_columns: NDArray[np.float32], form: Sequence[NDArray[np.int64]]) -> list[Beginning]:
    """The class numbers of the at most MOST_FOUND best texts, best first; none where nothing of that form is there.

    log_columns: (steps, classes), class 0 = blank; form: the classes allowed at each place. Prefix beam search
    (Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
    DNNs", algorithm 1), in which a beginning may only grow as the form allows.
    """
    allowed = [frozenset(int(n) for n in place) for place in form]
    beams: dict[Beginning, tuple[float, float]] = {(): (0.0, NEVER)}  # log P ending in a blank, and not
    silent = log_columns[:, 0] > SURE
    for row in log_columns[~(silent & np.insert(silent[:-1], 0, False))].tolist():
        likely = [number for number, log_p in enumerate(row) if number and log_p > LEAST]
        grown: dict[Beginning, tuple[float, float]] = {}
        for text, (blank, other) in beams.items():
            both = _either(blank, other)
            _add(grown, text, both + row[0], NEVER)
            if text:
                _add(grown, text, NEVER, other + row[text[-1]])
            if len(text) < len(form):
                for number in likely:
                    if number in allowed[len(text)]:
                        before = blank if text and text[-1] == number else both
                        _add(grown, (*text, number), NEVER, before + row[number])
        beams = dict(sorted(grown.items(), key=lambda item: -_either(*item[1]))[:WIDTH])
    whole = sorted(((_either(*odds), text) for text, odds in beams.items() if len(text) == len(form)), reverse=True)
    return [text for log_p, text in whole[:MOST_FOUND] if log_p > NEVER]


def _add(found: dict[Beginning, tuple[float, float]], text: Beginning, blank: float, other: float) -> None:
    was = found.get(text, (NEVER, NEVER))
    found[text] = (_either(was[0], blank), _either(was[1], other))


def _either(a: float, b: float) -> float:
    """log(exp a + exp b), by plain numbers: numpy takes ten times as long for two of them."""
    high, low = (a, b) if a > b else (b, a)
    return high if low <= NEVER else high + math.log1p(math.exp(low - high))
