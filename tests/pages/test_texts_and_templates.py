"""Every text exists in both languages, and pages hold no text, script or style of their own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

import center.web.texts
import gateway.aiming.texts
import gateway.enrolment.texts
import gateway.web.texts
import pages.texts
import sim.web.texts
from pages.language import EN, ZH, Texts, Words, choose

ROOT = Path(__file__).parents[2]
KIT = ROOT / "pages"
AREAS: dict[str, tuple[Texts, Path]] = {
    "kit": (pages.texts.TEXTS, KIT / "templates"),
    "gateway": (gateway.web.texts.TEXTS, ROOT / "gateway/web/templates"),
    "center": (center.web.texts.TEXTS, ROOT / "center/web/templates"),
    "aiming": (gateway.aiming.texts.TEXTS, ROOT / "gateway/aiming/templates"),
    "enrolment": (gateway.enrolment.texts.TEXTS, ROOT / "gateway/enrolment/templates"),
    "sim": (sim.web.texts.TEXTS, ROOT / "sim/web/templates"),
}
TEMPLATES = [path for _, folder in AREAS.values() for path in sorted(folder.glob("*.html"))]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
SAME_IN_BOTH = {"kit.language.zh-CN", "kit.language.en"}


@pytest.mark.parametrize("area", AREAS)
def test_every_text_is_in_both_languages_with_the_same_places(area: str) -> None:
    for key, (zh, en) in AREAS[area][0].items():
        assert zh.strip(), key
        assert en.strip(), key
        if key not in SAME_IN_BOTH:
            assert CHINESE.search(zh), f"{key}: no Chinese in {zh!r}"
            assert not CHINESE.search(en), f"{key}: Chinese in {en!r}"
        assert places(zh) == places(en), key


def places(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("area", AREAS)
def test_every_key_that_is_used_exists_and_every_text_is_used(area: str) -> None:
    texts, folder = AREAS[area]
    folders = [used for _, used in AREAS.values()] if area == "kit" else [folder]
    code = "".join(path.read_text() for each in folders for path in (*each.glob("*.html"), *each.parent.glob("*.py")))
    known = set(texts) | set(pages.texts.TEXTS) | {"page.title"}
    for key in re.findall(r"""\bt\(["']([a-z.-]+)["']""", code):
        assert key in known or key.endswith(".") or area == "kit", f"{area}: {key}"
    built = {
        "severity",
        "state",
        "mode",
        "act",
        "reason",
        "credential",
        "lock",
        "leaf",
        "led",
        "node",
        "arm",
        "do",
        "done",
        "open",
        "broken",
        "aim",
        "cause",
        "form",
        "problem",
        "refusal",
        "kind",
    }
    for key in texts:
        if key.partition(".")[0] not in built and not key.startswith(("kit.error.", "kit.language.")):
            assert len(re.findall(rf"""["']{re.escape(key)}["']""", code)) >= 2, f"{area}: {key} is never used"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: "/".join(path.parts[-3:]))
def test_templates_hold_no_text_script_or_style_of_their_own(path: Path) -> None:
    plain = JINJA.sub("", path.read_text())
    found = _Scan()
    found.feed(plain)
    assert found.wrong == []
    assert not CHINESE.search(plain)


class _Scan(HTMLParser):
    """Letters between tags, inline script and style, addresses elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.wrong.append(f"{tag} {name}")
            if name in ("src", "href", "action") and value and "//" in value:
                self.wrong.append(f"{tag} {name}={value}")
            if name in ("title", "aria-label", "alt", "placeholder") and value and re.search("[A-Za-z]", value):
                self.wrong.append(f"{tag} {name}={value}")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if re.search("[A-Za-z]", data):
            self.wrong.append(data.strip())


def test_scripts_and_styles_reach_for_nothing_elsewhere() -> None:
    for path in (*KIT.glob("static/*"), *(ROOT / "sim/web/static").glob("*")):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "eval(" not in text, path


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, "", ZH), (None, "en-GB,en;q=0.9", EN), (None, "zh-TW,en;q=0.5", ZH), (None, "fr,en;q=0.3,zh;q=0.8", ZH),
        (None, "de", ZH), ("en", "zh-CN", EN), ("zh-CN", "en", ZH), ("xx", "en", EN), (None, "en;q=x, zh;q=0.1", ZH),
        (None, ";;;,,=q", ZH), (None, "en;q=0", ZH),
    ],
)  # fmt: skip
def test_language_is_the_visitors(cookie: str | None, accepted: str, language: str) -> None:
    assert choose(cookie, accepted) == language


def test_label_falls_back_to_the_other_language() -> None:
    assert Words({}, EN).label({"zh": "大堂"}) == "大堂"
    assert Words({}, ZH).label({"zh": "大堂", "en": "Lobby"}) == "大堂"
    assert Words({}, ZH).label({}) == ""
