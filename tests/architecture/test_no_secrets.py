"""Nothing of one machine and no secret is in the repository."""

from __future__ import annotations

import re

import pytest
from source_tree import REPOSITORY, tracked_files

# Put together from parts, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(
        r"(?<![\w.-])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "Us" + "ers"]) + r")/"
    ),
    "a home folder": re.compile(r"/ho" + r"me/(?!pi\b)[a-z]"),
    "a private key": re.compile("-----BEGIN [A-Z ]*" + "PRIVATE KEY"),
    "an access token": re.compile(
        "|".join(
            [
                "gh" + "[pousr]_[A-Za-z0-9]{30}",
                "AK" + "IA[A-Z0-9]{16}",
                "xo" + "x[bap]-[0-9]",
                "py" + "pi-AgE",
                "sk" + "-[a-z0-9]{20}",
            ]
        )
    ),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+]{2,}://[^\s/:@{}<>$\"']+:[^\s/:@{}<>$\"']+@"),
}
TEXT_LIMIT_BYTES = 3_000_000
SECRET_SUFFIXES = {".pem", ".key", ".p12", ".pfx", ".scbk", ".sqlite", ".db"}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    wrong = []
    for path in tracked_files():
        raw = (REPOSITORY / path).read_bytes()
        if b"\0" in raw[:4096] or len(raw) > TEXT_LIMIT_BYTES:
            continue  # binary; looked at by name below
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                wrong.append(f"{path}:{number}: {what}: {line.strip()[:80]}")
    assert not wrong, "\n".join(wrong)


def test_no_file_is_a_key_or_a_database() -> None:
    assert [str(path) for path in tracked_files() if path.suffix in SECRET_SUFFIXES] == []


def test_patterns_find_what_they_are_for() -> None:
    planted = {
        "a path of one machine": "open('/wo" + "rk/x')",
        "a home folder": "/ho" + "me/alice/x",
        "a private key": "-----BEGIN EC " + "PRIVATE KEY-----",
        "an access token": "gh" + "p_" + "a" * 36,
        "a password in a URL": "mqtt://me:" + "secret@broker:1883",
    }
    assert planted.keys() == FORBIDDEN.keys()
    for what, text in planted.items():
        assert FORBIDDEN[what].search(text), what
