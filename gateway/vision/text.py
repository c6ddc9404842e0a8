"""From the reader's probabilities to one text: the best one the grammar allows, and how sure both heads are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.vision.beam import best_of_form
from gateway.vision.grammar import FORMS, MARKS, Refusal, kinds_of, refusal

Probabilities = NDArray[np.float32]
FLOOR = 1e-6  # below this a probability says "no" and nothing finer
MOST_FORMS = 4
MARK_SEEN = 0.02  # probability in any column
NEVER = -50.0  # log probability of a text that the reader cannot write
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
        known = [["".join(c for c in allowed if c in self._number) for allowed in form] for form in FORMS]
        # A form with a place that this alphabet has no character for is not for this reader.
        self.forms = [[np.array(self.numbers(a)) for a in form] for form in known if all(form)]
        self.marks = np.array([self._number[c] for c in MARKS if c in self._number], np.int64)

    def numbers(self, text: str) -> list[int] | None:
        """None where the text has a character that this alphabet does not."""
        numbers = [self._number.get(c, 0) for c in text]
        return numbers if all(numbers) else None

    def text(self, numbers: list[int]) -> str:
        return "".join(self.characters[n - 1] for n in numbers if n)

    def best_of_forms(self, slots: Probabilities) -> list[str]:
        """The likeliest texts by slots alone, best first: one of each form, of the MOST_FORMS likeliest forms."""
        found = []
        for form in self.forms:
            numbers = [int(allowed[slots[i, allowed].argmax()]) for i, allowed in enumerate(form)]
            odds = [slots[i, n] for i, n in enumerate(numbers)] + list(slots[len(numbers) :, 0])
            found.append((float(np.log(np.maximum(odds, FLOOR)).sum()), self.text(numbers)))
        return [text for _, text in sorted(found, reverse=True)[:MOST_FORMS]]

    def likely_forms(self, columns: Probabilities) -> list[list[NDArray[np.int64]]]:
        """The forms worth a search in a CTC head's probabilities (steps, classes): those whose mark is seen at all."""
        unseen = {int(n) for n in self.marks if columns[:, n].max() < MARK_SEEN}
        return [form for form in self.forms if not any(set(map(int, place)) <= unseen for place in form)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one reader saw: the texts it proposes, best first, and its log probability of any text."""

    proposals: tuple[str, ...]
    log_likelihood: Callable[[str], float]


def of_own(alphabet: Alphabet, columns: Probabilities, slots: Probabilities) -> Evidence:
    """Our reader's two heads: columns (steps, classes) of CTC, slots (8, classes). Both count the same."""
    log_columns, log_slots = np.log(np.maximum(columns, FLOOR)), np.log(np.maximum(slots, FLOOR))

    def likelihood(text: str) -> float:
        numbers = alphabet.numbers(text)
        if numbers is None:
            return NEVER
        by_slots = sum(log_slots[i, n] for i, n in enumerate(numbers)) + log_slots[len(numbers) :, 0].sum()
        return float(by_slots + ctc_log_likelihood(log_columns, numbers)) / 2

    seen = alphabet.text([int(n) for n in slots.argmax(axis=1)])
    return Evidence((seen, *alphabet.best_of_forms(slots), _collapse(columns, alphabet)), likelihood)


def of_columns(alphabet: Alphabet, views: Sequence[Probabilities]) -> Evidence:
    """A CTC reader's log probabilities (steps, classes), one or more views of the same plate, which count the same."""
    proposals = [_collapse(views[0], alphabet)]
    for view in views:
        forms = alphabet.likely_forms(np.exp(view))
        proposals += [alphabet.text(list(found)) for form in forms if (found := best_of_form(view, form))]

    def likelihood(text: str) -> float:
        numbers = alphabet.numbers(text)
        if numbers is None:
            return NEVER
        return sum(ctc_log_likelihood(view, numbers) for view in views) / len(views)

    return Evidence(tuple(proposals), likelihood)


def decide(evidence: Sequence[Evidence], kinds: dict[str, float]) -> Reading:
    """The likeliest text that the grammar allows, by all readers together. kinds: name -> probability."""
    likeliest_kind = max(kinds, key=kinds.__getitem__)
    best, best_score, best_kind = "", 0.0, likeliest_kind
    for text in dict.fromkeys(text for one in evidence for text in one.proposals):
        kind = _kind_for(text, kinds)
        if kind is None:
            continue
        score = float(np.exp(sum(one.log_likelihood(text) for one in evidence) / len(evidence)))
        if score > best_score:
            best, best_score, best_kind = text, score, kind
    if best_score >= UNREADABLE:
        return Reading(best, best_kind, min(1.0, best_score))
    seen = evidence[0].proposals[0]
    return Reading(seen, likeliest_kind, best_score, refusal(seen, likeliest_kind) or Refusal.NOTHING)


def _kind_for(text: str, kinds: dict[str, float]) -> str | None:
    """The likeliest kind that may say it, None where there is none."""
    fitting = {kind: kinds[kind] for kind in kinds_of(text) if kind in kinds}
    return max(fitting, key=fitting.__getitem__) if fitting else None


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
