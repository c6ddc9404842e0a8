"""What can be a registration number, as a table."""

import pytest

from gateway.vision.grammar import FORMS, LENGTHS, Refusal, refusal, sentence

TABLE = [
    ("京A12345", "blue", None),
    ("皖AFL605", "blue", None),
    ("新ZZZZZ9", "yellow", None),
    ("京AB1C2D", "blue", None),
    ("粤BD12345", "green", None),
    ("粤BF1234K", "green", Refusal.ENERGY),
    ("粤B12345D", "green", None),
    ("粤BDA1234", "green", None),
    ("粤BL12345", "green", Refusal.ENERGY),
    ("粤B12345Z", "green", Refusal.ENERGY),
    ("粤BDAB123", "green", Refusal.ENERGY),
    ("", "blue", Refusal.NOTHING),
    ("京A1234", "blue", Refusal.LENGTH),
    ("京A123456", "blue", Refusal.LENGTH),
    ("京A12345", "green", Refusal.LENGTH),
    ("京A12345", "purple", Refusal.KIND),
    ("XA12345", "blue", Refusal.PROVINCE),
    ("1A12345", "blue", Refusal.PROVINCE),
    ("京112345", "blue", Refusal.AUTHORITY),
    ("京I12345", "blue", Refusal.AUTHORITY),
    ("京O12345", "blue", Refusal.AUTHORITY),
    ("京AO2345", "blue", Refusal.CHARACTER),
    ("京AI2345", "blue", Refusal.CHARACTER),
    ("京A1234京", "blue", Refusal.CHARACTER),
    ("京A1234a", "blue", Refusal.CHARACTER),
    ("京A1234\uff11", "blue", Refusal.CHARACTER),  # a full-width digit
    ("京ABCDEF", "blue", Refusal.SERIAL),
]


@pytest.mark.parametrize(("text", "kind", "expected"), TABLE)
def test_refusal(text, kind, expected):
    assert refusal(text, kind) is expected


def test_every_refusal_appears_in_the_table_and_has_words():
    assert {r for *_, r in TABLE if r} == set(Refusal)
    assert all(sentence(r) for r in Refusal)


def test_every_form_describes_numbers_that_are_allowed():
    for form in FORMS:
        text = "".join(allowed[0] for allowed in form)
        assert any(refusal(text, kind) is None for kind in LENGTHS), text
