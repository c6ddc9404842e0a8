"""The one-time token that stands between a fresh page process and its first visitor. Time enters as an argument."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from enum import Enum

from pages.errors import PageError

VARIABLE = "ZHIAN_PAGE_TOKEN"
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no I, O, 0, 1: read aloud and typed on a phone
TOKEN_CHARS = 20  # 32 letters: 5 bits each, 100 bits in all
MIN_GIVEN_CHARS = 12  # of a token from the environment
MAX_TYPED_CHARS = 200
WRONG_TRIES = 5  # then every try waits, right or wrong
WAIT_S = 30.0


class Answer(Enum):
    """What became of a try."""

    ENTERED = "entered"
    WRONG = "wrong"
    WAIT = "wait"


def new_token() -> str:
    """A fresh token in groups of five, e.g. `K7QFM-2XHRD-9PWNC-4TBZA`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(TOKEN_CHARS))
    return "-".join(letters[i : i + 5] for i in range(0, TOKEN_CHARS, 5))


def token_from_environment() -> str | None:
    """Take ZHIAN_PAGE_TOKEN out of the environment, so that no child process sees it. None where it is not set."""
    given = os.environ.pop(VARIABLE, None)
    if given is not None and len(_plain(given)) < MIN_GIVEN_CHARS:
        raise PageError(
            f"{VARIABLE}: expected at least {MIN_GIVEN_CHARS} letters or digits, got {len(_plain(given))}; "
            "set a longer one or unset it to have one made"
        )
    return given


def _plain(token: str) -> str:
    """Case, blanks and dashes do not count: people type it."""
    return "".join(c for c in token.upper() if c.isalnum())


def _digest(token: str) -> bytes:
    return hashlib.sha256(_plain(token[:MAX_TYPED_CHARS]).encode()).digest()


class Login:
    """Holds the present token. A token lets in one visitor; then a new one is made and announced.

    announce: called with each token that was made after the first was used, e.g. to print it.
    """

    def __init__(self, token: str, announce: Callable[[str], None] = lambda _: None) -> None:
        self.token = token
        self.announce = announce
        self._wrong = 0
        self._closed_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next try is looked at; 0 when tries are open."""
        return max(0.0, self._closed_until_s - now_s)

    def enter(self, typed: str, now_s: float) -> Answer:
        """Try a token. After WRONG_TRIES wrong ones, none is looked at for WAIT_S; each further wrong one waits again.

        now_s: a monotonic clock. Compared in constant time.
        """
        if self.wait_s(now_s) > 0:
            return Answer.WAIT
        if not hmac.compare_digest(_digest(typed), _digest(self.token)):
            self._wrong += 1
            if self._wrong >= WRONG_TRIES:
                self._closed_until_s = now_s + WAIT_S
            return Answer.WRONG
        self._wrong = 0
        self.token = new_token()
        self.announce(self.token)
        return Answer.ENTERED
