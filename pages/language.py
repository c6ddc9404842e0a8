"""Which of the two languages a visitor reads, and the words of a page in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

ZH = "zh-CN"
EN = "en"
LANGUAGES = (ZH, EN)
COOKIE = "zhian-language"  # one for every page of ours on this host: cookies do not know ports, and here that helps
MAX_HEADER_CHARS = 200

Texts = Mapping[str, tuple[str, str]]
"""key -> (Chinese, English). Both may hold the same `{named}` places, filled by str.format."""


def choose(cookie: str | None, accept_language: str) -> str:
    """The visitor's own choice, else the best of Accept-Language (RFC 9110, 12.5.4), else Chinese."""
    if cookie in LANGUAGES:
        return cookie
    best, best_q = ZH, 0.0
    for item in accept_language[:MAX_HEADER_CHARS].split(","):
        tag, _, q_text = item.partition(";")
        known = _known(tag.strip().lower())
        q = _quality(q_text)
        if known and q > best_q:
            best, best_q = known, q
    return best


def _known(tag: str) -> str | None:
    main = tag.split("-")[0]
    return {"zh": ZH, "en": EN}.get(main)


def _quality(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


class Words:
    """The texts of a page in one language. A key that is missing is a fault of ours: KeyError."""

    def __init__(self, texts: Texts, language: str) -> None:
        self._texts = texts
        self._place = LANGUAGES.index(language)
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its places filled."""
        text = self._texts[key][self._place]
        return text.format(**values) if values else text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def pick(self, zh: str, en: str) -> str:
        """The one of two given texts that this visitor reads."""
        return (zh, en)[self._place]

    def label(self, label: Mapping[str, str]) -> str:
        """A device's or site's label, kept as {"zh": ..., "en": ...}; the other language where one is missing."""
        first, second = ("zh", "en") if self.language == ZH else ("en", "zh")
        return label.get(first) or label.get(self.language) or label.get(second) or ""
