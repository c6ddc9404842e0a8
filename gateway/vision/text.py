"""From the reader's probabilities to one text: the best one the grammar allows, and how sure both heads are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
IS_A_PLATE = 1e-30  # the same where somebody says that there is a plate: what has to be told is which
UNREADABLE = 0.02  # best allowed text less likely than this: the net saw no such text
# Of two texts only one can be likelier than this, in any number of heads, views and readers together: the geometric
# means of p and of 1 - p add up to 1 at most. So whoever finds such a text need not search any further.
CERTAIN = 0.5
# The reader that comes first decides alone from here on: where it was as sure as this it was right 22 times of 24 on
# rendered crops in strange fonts, from 0.5 on 97 times of 141 (docs/models.md, "Vote").
ALONE = 0.9
LEAST_KIND = 1e-4  # what a kind counts for at least that the picture does not look like
LIKE_A_PLATE = range(5, 11)  # characters of a plain reading for which a search for a plate is worth its time


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands on a plate. `score` is the geometric mean of the two heads' probability of the whole text, times that
    of the kinds that may say it, 0..1; with `refused` set, `text` is what was seen anyway."""

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
    """What one reader saw.

    plain: the texts that cost nothing to find, the first is what was seen; search: further ones, for their price;
    log_likelihoods: its log probability of each of some texts.
    """

    plain: tuple[str, ...]
    search: Callable[[], Iterable[str]]
    log_likelihoods: Callable[[Sequence[str]], NDArray[np.float64]]


def of_own(alphabet: Alphabet, views: Sequence[tuple[Probabilities, Probabilities]]) -> Evidence:
    """Our reader's two heads, for one or more views of the same plate: columns (steps, classes) of CTC, slots (8,
    classes). Heads and views all count the same."""
    log_slots = np.mean([np.log(np.maximum(slots, FLOOR)) for _, slots in views], axis=0)
    heads = np.maximum(np.stack([columns for columns, _ in views]), FLOOR)

    def by_slots(numbers: Sequence[int]) -> float:
        return float(log_slots[np.arange(len(numbers)), numbers].sum() + log_slots[len(numbers) :, 0].sum())

    def likelihoods(texts: Sequence[str]) -> NDArray[np.float64]:
        known, found = _known(alphabet, texts)
        slotted = np.array([by_slots(numbers) for numbers in known.values()])
        found[list(known)] = (slotted + ctc_log_likelihoods(heads, list(known.values())).mean(axis=1)) / 2
        return found

    def search() -> Iterable[str]:
        yield from alphabet.best_of_forms(np.exp(log_slots))
        for _, slots in views if len(views) > 1 else ():
            yield from alphabet.best_of_forms(slots)

    plain = [alphabet.text([int(n) for n in log_slots.argmax(axis=1)])]
    plain += [_collapse(columns, alphabet) for columns, _ in views]
    return Evidence(tuple(dict.fromkeys(plain)), search, likelihoods)


def of_columns(alphabet: Alphabet, views: Sequence[Probabilities]) -> Evidence:
    """A CTC reader's probabilities (steps, classes), one or more views of the same plate, which count the same."""
    all_views = np.maximum(np.stack(views), FLOOR)
    plain = tuple(dict.fromkeys(_collapse(view, alphabet) for view in views))

    def likelihoods(texts: Sequence[str]) -> NDArray[np.float64]:
        known, found = _known(alphabet, texts)
        found[list(known)] = ctc_log_likelihoods(all_views, list(known.values())).mean(axis=1)
        return found

    def search() -> Iterable[str]:
        if any(len(text) in LIKE_A_PLATE for text in plain):
            for view in all_views:
                for form in alphabet.likely_forms(view):
                    yield from (alphabet.text(list(numbers)) for numbers in best_of_form(np.log(view), form))

    return Evidence(plain, search, likelihoods)


def looks_like_a_plate(alphabet: Alphabet, columns: Probabilities) -> bool:
    """Whether the plain reading is about as long as a number: the cheap question before any dear one."""
    return len(_collapse(columns, alphabet)) in LIKE_A_PLATE


def decide(evidence: Sequence[Evidence], kinds: dict[str, float], *, least: float = UNREADABLE) -> Reading:
    """The likeliest text that the grammar allows. kinds: name -> probability.

    The first reader decides alone where it is certain; where it is not, all readers vote and count the same. Every text
    counts for as much as the kinds that may say it: a green plate does not say what only a blue one can.
    least: a likelihood below which there is no text.
    """
    if len(evidence) > 1:
        alone = decide(evidence[:1], kinds, least=least)
        if alone.refused is None and alone.score >= ALONE:
            return alone
    likeliest_kind = max(kinds, key=kinds.__getitem__)
    odds = _scores((text for one in evidence for text in one.plain), evidence, kinds, {})
    if max(odds.values(), default=0.0) < CERTAIN:
        odds = _scores((text for one in evidence for text in one.search()), evidence, kinds, odds)
    best = max(odds, key=odds.__getitem__, default="")
    if odds.get(best, 0.0) >= least:
        return Reading(best, _kind_for(best, kinds) or likeliest_kind, min(1.0, odds[best]))
    seen = evidence[0].plain[0]
    return Reading(seen, likeliest_kind, odds.get(best, 0.0), refusal(seen, likeliest_kind) or Refusal.NOTHING)


def _scores(
    texts: Iterable[str], evidence: Sequence[Evidence], kinds: dict[str, float], before: dict[str, float]
) -> dict[str, float]:
    """`before`, and the score of each further text that the grammar allows."""
    fresh = [text for text in dict.fromkeys(texts) if text not in before and _kind_for(text, kinds) is not None]
    if not fresh:
        return before
    mean = sum(one.log_likelihoods(fresh) for one in evidence) / len(evidence)
    scores = np.exp(mean) * [_share_of_kinds(text, kinds) for text in fresh]
    return before | dict(zip(fresh, scores.tolist(), strict=True))


def _share_of_kinds(text: str, kinds: dict[str, float]) -> float:
    """Probability of the kinds that may say it, among those given."""
    fitting = sum(kinds[kind] for kind in kinds_of(text) if kind in kinds)
    return max(LEAST_KIND, fitting / max(1e-9, sum(kinds.values())))


def _known(alphabet: Alphabet, texts: Sequence[str]) -> tuple[dict[int, list[int]], NDArray[np.float64]]:
    """The class numbers of the texts that the alphabet has, by their place, and NEVER for every text."""
    numbered = {place: alphabet.numbers(text) for place, text in enumerate(texts)}
    return {place: numbers for place, numbers in numbered.items() if numbers}, np.full(len(texts), NEVER)


def _kind_for(text: str, kinds: dict[str, float]) -> str | None:
    """The likeliest kind that may say it, None where there is none."""
    fitting = {kind: kinds[kind] for kind in kinds_of(text) if kind in kinds}
    return max(fitting, key=fitting.__getitem__) if fitting else None


def _collapse(columns: Probabilities, alphabet: Alphabet) -> str:
    """The usual greedy CTC reading: repeats merged, blanks dropped."""
    best = columns.argmax(axis=1)
    keep = best[np.insert(best[1:] != best[:-1], 0, True)]
    return alphabet.text([int(n) for n in keep])


def ctc_log_likelihoods(views: Probabilities, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """(texts, views): log P(text) summed over all alignments, for views (views, steps, classes), class 0 = blank.

    The forward algorithm of Graves et al. 2006, all texts and views in one go, kept in range by a factor a step.
    """
    if not texts:
        return np.zeros((0, len(views)))
    longest = max(map(len, texts))
    states = np.zeros((len(texts), 2 * longest + 1), np.int64)
    for row, text in enumerate(texts):
        states[row, 1 : 2 * len(text) : 2] = text
    may_skip = np.zeros(states.shape)  # over the blank between two different characters
    may_skip[:, 3::2] = (states[:, 3::2] != states[:, 1:-2:2]) & (states[:, 3::2] != 0)
    here = views[:, :, states].transpose(1, 2, 0, 3).astype(np.float64)  # steps, texts, views, states
    skip = may_skip[:, None, 2:]
    alpha = np.zeros(here.shape[1:])
    alpha[..., :2] = here[0, ..., :2]
    log_total = np.zeros(alpha.shape[:2])
    for step in here[1:]:
        grown = alpha.copy()
        grown[..., 1:] += alpha[..., :-1]
        grown[..., 2:] += alpha[..., :-2] * skip
        grown *= step
        factor = grown.max(axis=-1)
        log_total += np.log(np.maximum(factor, 1e-300))
        alpha = grown / np.maximum(factor, 1e-300)[..., None]
    ends = 2 * np.array([len(text) for text in texts])
    rows = np.arange(len(texts))
    whole = alpha[rows, :, ends] + alpha[rows, :, ends - 1]
    return np.asarray(log_total + np.log(np.maximum(whole, 1e-300)), np.float64)
