"""The likeliest text of a given form in the columns of a CTC head. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH = 16  # beginnings that are kept after every step
LEAST = np.log(1e-4)  # a class less likely than this in a step is not tried there

Beginning = tuple[int, ...]


def best_of_form(log_columns: NDArray[np.float32], form: Sequence[NDArray[np.int64]]) -> Beginning | None:
    """The class numbers of the best text, None where nothing of that form is there.

    log_columns: (steps, classes), class 0 = blank; form: the classes allowed at each place. Prefix beam search
    (Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
    DNNs", algorithm 1), in which a beginning may only grow as the form allows.
    """
    allowed = [frozenset(int(n) for n in place) for place in form]
    beams: dict[Beginning, tuple[float, float]] = {(): (0.0, -np.inf)}  # log P ending in a blank, and not
    for row in log_columns:
        likely = [int(n) for n in np.flatnonzero(row > LEAST) if n]
        grown: dict[Beginning, tuple[float, float]] = {}
        for text, (blank, other) in beams.items():
            both = np.logaddexp(blank, other)
            _add(grown, text, both + row[0], -np.inf)
            if text:
                _add(grown, text, -np.inf, other + row[text[-1]])
            if len(text) < len(form):
                for number in likely:
                    if number in allowed[len(text)]:
                        before = blank if text and text[-1] == number else both
                        _add(grown, (*text, number), -np.inf, before + row[number])
        best = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:WIDTH]
        beams = dict(best)
    whole = [(np.logaddexp(*odds), text) for text, odds in beams.items() if len(text) == len(form)]
    return max(whole)[1] if whole else None


def _add(found: dict[Beginning, tuple[float, float]], text: Beginning, blank: float, other: float) -> None:
    was = found.get(text, (-np.inf, -np.inf))
    found[text] = (float(np.logaddexp(was[0], blank)), float(np.logaddexp(was[1], other)))
