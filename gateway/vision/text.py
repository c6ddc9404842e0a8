"""From the reader's probabilities to one text: the best one the grammar allows, and how sure both heads are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.vision.grammar import FORMS, Refusal, refusal

Probabilities = NDArray[np.float32]
FLOOR = 1e-6  # below this a probability says "no" and nothing finer
UNREADABLE = 0.02  # best allowed text less likely than this: the net saw no such text


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands on a plate. `score` is the geometric mean of the two heads' probability of the whole text, 0..1;
    with `refused` set, `text` is what was seen anyway."""

    text: str
    kind: str
    score: float
    refused: Refusal | None = None


class Alphabet:
    """Class numbers and characters; class 0 is nothing."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._number = {c: i + 1 for i, c in enumerate(characters)}
        self._forms = [[np.array([self._number[c] for c in allowed]) for allowed in form] for form in FORMS]

    def numbers(self, text: str) -> list[int]:
        return [self._number[c] for c in text]

    def text(self, numbers: list[int]) -> str:
        return "".join(self.characters[n - 1] for n in numbers if n)

    def best_of_forms(self, slots: Probabilities) -> list[str]:
        """The likeliest text of each form, by slots alone."""
        found = []
        for form in self._forms:
            numbers = [int(allowed[slots[i, allowed].argmax()]) for i, allowed in enumerate(form)]
            found.append(self.text(numbers))
        return found


def decide(alphabet: Alphabet, columns: Probabilities, slots: Probabilities, kinds: dict[str, float]) -> Reading:
    """columns (steps, classes) of the CTC head, slots (8, classes), kinds name -> probability."""
    seen = alphabet.text([int(n) for n in slots.argmax(axis=1)])
    likeliest_kind = max(kinds, key=kinds.__getitem__)
    collapsed = _collapse(columns, alphabet)
    log_columns, log_slots = np.log(np.maximum(columns, FLOOR)), np.log(np.maximum(slots, FLOOR))
    best, best_score, best_kind = "", 0.0, likeliest_kind
    for text in dict.fromkeys([*alphabet.best_of_forms(slots), collapsed]):
        kind = _kind_for(text, kinds)
        if refusal(text, kind) is not None:
            continue
        numbers = alphabet.numbers(text)
        by_slots = sum(log_slots[i, n] for i, n in enumerate(numbers)) + log_slots[len(numbers) :, 0].sum()
        score = float(np.exp((by_slots + ctc_log_likelihood(log_columns, numbers)) / 2))
        if score > best_score:
            best, best_score, best_kind = text, score, kind
    if best_score >= UNREADABLE:
        return Reading(best, best_kind, min(1.0, best_score))
    return Reading(seen, likeliest_kind, best_score, refusal(seen, likeliest_kind) or Refusal.NOTHING)


def _kind_for(text: str, kinds: dict[str, float]) -> str:
    """The likeliest kind that has as many characters; eight only ever stand on green."""
    fitting = {k: p for k, p in kinds.items() if (k == "green") == (len(text) == 8)}
    return max(fitting, key=fitting.__getitem__)


def _collapse(columns: Probabilities, alphabet: Alphabet) -> str:
    """The usual greedy CTC reading: repeats merged, blanks dropped."""
    best = columns.argmax(axis=1)
    keep = best[np.insert(best[1:] != best[:-1], 0, True)]
    return alphabet.text([int(n) for n in keep])


def ctc_log_likelihood(log_columns: Probabilities, numbers: list[int]) -> float:
    """log P(text) summed over all alignments (the forward algorithm of Graves et al. 2006, blank = class 0)."""
    states = np.zeros(2 * len(numbers) + 1, np.int64)
    states[1::2] = numbers
    may_skip = np.zeros(len(states), bool)  # over the blank between two different characters
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    alpha = np.full(len(states), -np.inf)
    alpha[:2] = log_columns[0, states[:2]]
    for step in log_columns[1:]:
        one = np.concatenate(([-np.inf], alpha[:-1]))
        two = np.where(may_skip, np.concatenate(([-np.inf, -np.inf], alpha[:-2])), -np.inf)
        alpha = np.logaddexp(np.logaddexp(alpha, one), two) + step[states]
    return float(np.logaddexp(alpha[-1], alpha[-2]))
