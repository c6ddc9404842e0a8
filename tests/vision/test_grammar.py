"""What can be a registration number, as a table."""

import pytest

from gateway.vision.grammar import FORM_OF, FORMS, Refusal, kinds_of, refusal, sentence

TABLE = [
    ("京A12345", "blue", None),
    ("皖AFL605", "blue", None),
    ("新Z9Z9Z9", "yellow", None),
    ("京AB1C20", "blue", None),
    ("京AB1C2D", "blue", Refusal.LETTERS),
    ("新ZZZZZ9", "yellow", Refusal.LETTERS),
    ("鲁BK8K9K", "yellow-two-row", Refusal.LETTERS),
    ("粤BD12345", "green", None),
    ("粤BF1234K", "green", Refusal.ENERGY),
    ("粤B12345D", "green-large", None),
    ("粤B12345D", "green", Refusal.ENERGY),
    ("粤BDA1234", "green", None),
    ("粤BL12345", "green", Refusal.ENERGY),
    ("粤B12345Z", "green-large", Refusal.ENERGY),
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
    ("川A0128警", "police", None),
    ("川A01289", "police", Refusal.MARK),
    ("川A0128警", "blue", Refusal.CHARACTER),
    ("使123456", "embassy", None),
    ("京123456", "embassy", Refusal.PROVINCE),
    ("沪22478领", "consulate", None),
    ("沪A2478领", "consulate", Refusal.CHARACTER),
    ("粤Z7D20港", "hong-kong-macau", None),
    ("粤B7D20港", "hong-kong-macau", Refusal.AUTHORITY),
    ("京Z7D20港", "hong-kong-macau", Refusal.PROVINCE),
    ("浙A3621学", "learner", None),
    ("冀R0531挂", "trailer", None),
    ("鲁B8K921", "yellow-two-row", None),
]


@pytest.mark.parametrize(("text", "kind", "expected"), TABLE)
def test_refusal(text, kind, expected):
    assert refusal(text, kind) is expected


def test_every_refusal_appears_in_the_table_and_has_words():
    assert {r for *_, r in TABLE if r} == set(Refusal)
    assert all(sentence(r) for r in Refusal)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_describes_numbers_that_are_allowed(form):
    text = "".join(allowed[0] for allowed in form)
    assert all(FORM_OF[kind] == form for kind in kinds_of(text))
    assert kinds_of(text)


def test_what_no_kind_may_say_has_no_kind():
    assert kinds_of("京A1234警警") == ()
    assert kinds_of("京A12345") == ("blue", "yellow", "yellow-two-row")
