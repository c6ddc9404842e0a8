"""Core's refusals at the desk: each sentence of core's sources has a text in both languages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.enrolment import refusals
from gateway.enrolment.refusals import KEYS, reason, recognised
from gateway.enrolment.texts import TEXTS
from gateway.errors import GatewayError
from gateway.store.faces.consent import MAX_TEXT, Consent, check
from gateway.store.faces.keys import EnrolmentKeys
from pages.language import EN, ZH, Words

GATEWAY = Path(__file__).parents[2] / "gateway"
FACES = ("consent.py", "desk.py", "keys.py", "ledger.py", "store.py")
RAISED = ("OperationRefusedError", "StoreError", "refuse")
WORDS = {language: Words({**TEXTS, **refusals.TEXTS}, language) for language in (ZH, EN)}
DAY = 86_400_000


def sentence(said: ast.expr) -> str:
    """What an f-string says, with something plausible in its places."""
    if isinstance(said, ast.Constant):
        return str(said.value)
    parts = said.values if isinstance(said, ast.JoinedStr) else []
    made = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            made += part.value
        else:
            value = "asked_by" if ast.unparse(part.value) == "name" else "120"
            made += f"'{value}'" if part.conversion == ord("r") else value
    return made


def said_in(tree: ast.AST) -> list[tuple[str, str]]:
    """(sentence, code) of every refusal that is written out there."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    told = [
        (sentence(c.args[0]), c.args[1].value if len(c.args) > 1 else "")
        for c in calls
        if c.func.id in RAISED and c.args
    ]
    return [(text, code) for text, code in told if text and not text.startswith("consent of '120': 120;")]


def everything_core_says() -> list[tuple[str, str]]:
    told = [one for name in FACES for one in said_in(ast.parse((GATEWAY / "store/faces" / name).read_text("utf-8")))]
    edits = ast.parse((GATEWAY / "store/policy_edits.py").read_text("utf-8"))
    face = next(n for n in edits.body if isinstance(n, ast.FunctionDef) and n.name == "with_face")
    return told + said_in(face)


@pytest.mark.parametrize(("said", "code"), everything_core_says())
def test_every_refusal_of_cores_desk_has_both_languages(said, code):
    key = f"refusal.{code}" if code else f"core.{recognised(said)[0]}"
    assert key in WORDS[ZH], f"core may say: {said!r}; add it to gateway/enrolment/refusals.py"


def test_the_sources_are_really_read():
    told = everything_core_says()
    assert len(told) > 25
    assert {code for _, code in told if code} == {"face-enrolled", "face-alike"}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_chinese_and_an_english_text(key):
    zh, en = refusals.TEXTS[f"core.{key}"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in zh)
    assert en.isascii() or "“" in en
    assert set(refusals.TEXTS) == {f"core.{one}" for one in KEYS}


def consent(**changes) -> Consent:
    given = {"holder": "lin", "portals": ("lobby",), "asked_by": "chen", "other_way": "card", "given_ms": 0,
             "until_ms": DAY}  # fmt: skip
    return Consent(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({"asked_by": ""}, f"须为 1 至 {MAX_TEXT} 个字", f"1 to {MAX_TEXT} characters"),
        ({"below_14": True}, "未满 14 周岁须由监护人同意", "Below 14 a guardian consents"),
        ({"until_ms": 0}, "到期日已过", "has ended already"),
        ({"until_ms": 400 * DAY}, "同意期最长 366 天", "at most 366 days"),
    ],
)
def test_what_core_really_says_is_read_in_both_languages(changes, zh, en):
    with pytest.raises(GatewayError) as refused:
        check(consent(**changes), 1)
    for language, expected in ((ZH, zh), (EN, en)):
        assert expected in reason(str(refused.value), WORDS[language], str, str)


def test_a_disk_that_refuses_is_said_without_its_path(tmp_path):
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(GatewayError) as refused:
        EnrolmentKeys(tmp_path / "keys")
    said = reason(str(refused.value), WORDS[ZH], str, str)
    assert said == "无法读取人脸密钥；请检查网关的磁盘。"


def test_portals_and_holders_are_called_as_people_call_them():
    called = {"lobby": "单元门", "lin": "林晓"}
    assert "“单元门”" in reason("portal 'lobby' accepts no face; add", WORDS[ZH], str, called.get)
    assert "“林晓”" in reason("there is no holder 'lin'; ...", WORDS[ZH], called.get, str)


def test_what_is_unknown_is_shown_as_it_came():
    assert reason("the moon is full", WORDS[ZH], str, str) == "the moon is full"
