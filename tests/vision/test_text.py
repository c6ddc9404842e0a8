"""Probabilities to text: both heads count, the grammar decides, and an empty picture is refused."""

import itertools
import math

import numpy as np
import pytest

from gateway.vision.grammar import DIGITS, LETTERS, PROVINCES, Refusal, refusal
from gateway.vision.text import ALONE, CERTAIN, IS_A_PLATE, Alphabet, Evidence, ctc_log_likelihoods, of_columns, of_own
from gateway.vision.text import decide as decide_all

CHARACTERS = PROVINCES + DIGITS + LETTERS
ALPHABET = Alphabet(CHARACTERS)
CLASSES, STEPS = len(CHARACTERS) + 1, 32
BLUE, GREEN = {"blue": 0.9, "green": 0.05, "yellow": 0.05}, {"blue": 0.05, "green": 0.9, "yellow": 0.05}


def decide(alphabet, columns, slots, kinds):
    return decide_all([of_own(alphabet, [(columns, slots)])], kinds)


def heads(text, sure=0.98):
    """(columns, slots) of a net that sees `text`."""
    numbers = ALPHABET.numbers(text)
    rest = (1 - sure) / (CLASSES - 1)
    slots, columns = np.full((8, CLASSES), rest, np.float32), np.full((STEPS, CLASSES), rest, np.float32)
    for i in range(8):
        slots[i, numbers[i] if i < len(numbers) else 0] = sure
    for step in range(STEPS):
        i, inside = divmod(step, 4)
        columns[step, numbers[i] if i < len(numbers) and inside < 2 else 0] = sure
    return columns, slots


@pytest.mark.parametrize(("text", "kinds", "kind"), [("京A12345", BLUE, "blue"), ("粤BD12345", GREEN, "green")])
def test_a_clear_text_is_read_with_a_high_score(text, kinds, kind):
    reading = decide(ALPHABET, *heads(text), kinds)
    assert (reading.text, reading.kind, reading.refused) == (text, kind, None)
    assert 0.5 < reading.score <= 1


def test_the_kind_follows_the_length():
    assert decide(ALPHABET, *heads("粤BD12345"), BLUE).kind == "green"
    assert decide(ALPHABET, *heads("京A12345"), GREEN).kind in ("blue", "yellow")


def test_what_only_a_blue_plate_can_say_needs_more_to_win_on_a_green_one():
    likely = {"京AD1234": 0.5, "京AD12334": 0.4}
    seen = Evidence(tuple(likely), tuple, lambda texts: np.log([likely[text] for text in texts]))
    assert decide_all([seen], {"blue": 0.5, "green": 0.5}).text == "京AD1234"
    reading = decide_all([seen], {"blue": 0.01, "green": 0.99})
    assert (reading.text, reading.kind) == ("京AD12334", "green")
    assert reading.score == pytest.approx(0.4 * 0.99)


def test_a_kind_that_is_not_offered_at_all_takes_nothing_away():
    offered = decide(ALPHABET, *heads("京A12345"), {"blue": 0.2})
    assert offered.score == pytest.approx(decide(ALPHABET, *heads("京A12345"), {"blue": 1.0}).score)


@pytest.mark.parametrize(("sure", "expected"), [(0.9985, "京A12345"), (0.995, "京A12346")])
def test_the_first_reader_decides_alone_only_where_it_is_nearly_certain(sure, expected):
    first, blue = of_columns(ALPHABET, [heads("京A12345", sure)[0]]), {"blue": 1.0}
    alone = decide_all([first], blue).score
    assert alone > CERTAIN
    assert (alone >= ALONE) is (expected == "京A12345")
    second = of_own(ALPHABET, [heads("京A12346", 0.99999)])
    assert decide_all([first, second], blue, least=IS_A_PLATE).text == expected


def test_the_grammar_corrects_a_digit_in_the_place_of_the_letter():
    columns, slots = heads("京B12345")
    eight, letter = ALPHABET.numbers("8B")
    slots[1, eight], slots[1, letter] = 0.5, 0.45
    assert decide(ALPHABET, columns, slots, BLUE).text == "京B12345"


def test_two_heads_that_disagree_lower_the_score():
    agreed = decide(ALPHABET, *heads("京A12345"), BLUE)
    torn = decide(ALPHABET, heads("京A12345", 0.9)[0], heads("京A12346", 0.9)[1], BLUE)
    assert torn.score < 0.6 * agreed.score


def test_nothing_there_is_refused():
    columns, slots = heads("")
    reading = decide(ALPHABET, columns, slots, BLUE)
    assert reading.refused is Refusal.NOTHING
    assert reading.score < 0.02


def test_what_cannot_be_a_plate_is_refused_with_why():
    reading = decide(ALPHABET, *heads("A京12345", 0.995), BLUE)
    assert reading.refused is Refusal.PROVINCE
    assert reading.text == "A京12345"


def test_ctc_likelihood_is_the_sum_over_all_alignments_for_all_texts_and_views_at_once():
    rng = np.random.default_rng(3)
    views = rng.dirichlet(np.ones(3), (2, 5)).astype(np.float64)
    texts = [[1], [1, 2], [1, 1], [2, 1, 2]]
    found = ctc_log_likelihoods(views, texts)
    for n, wanted in enumerate(texts):
        for v, probabilities in enumerate(views):
            total = 0.0
            for path in itertools.product(range(3), repeat=5):
                merged = [step for step, _ in itertools.groupby(path) if step]
                if merged == wanted:
                    total += math.prod(probabilities[t, step] for t, step in enumerate(path))
            assert found[n, v] == pytest.approx(math.log(total))


def test_a_text_longer_than_the_columns_has_no_likelihood():
    assert ctc_log_likelihoods(np.full((1, 2, 3), 1 / 3), [[1, 2, 1]])[0, 0] < -100


@pytest.mark.parametrize("seed", range(30))
def test_the_search_is_left_out_only_where_it_could_find_nothing_better(seed):
    """Two readers that see two noisy views of two numbers, more or less sure."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 0.6)

    def seen(text):
        columns = heads(text, 0.9)[0] + noise * rng.random((STEPS, CLASSES)).astype(np.float32) * rng.random((STEPS, 1))
        return columns / columns.sum(axis=1, keepdims=True)

    evidence = [of_columns(ALPHABET, [seen("京A12345"), seen("京A12345")]), of_columns(ALPHABET, [seen("京A12346")])]
    plain = decide_all(evidence, BLUE)
    every = [text for one in evidence for text in (*one.plain, *one.search())]
    allowed = [text for text in dict.fromkeys(every) if refusal(text, "blue") is None]
    scores = np.exp(sum(one.log_likelihoods(allowed) for one in evidence) / 2) if allowed else [0.0]
    if plain.score >= CERTAIN:
        assert max(scores) == pytest.approx(plain.score)
    assert plain.score >= max(scores) - 1e-9
