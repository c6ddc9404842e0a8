"""Who has entered, kept in memory: a restart of the process ends every session. Time enters as an argument."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

LIFETIME_S = 12 * 3600.0  # one shift
MAX_SESSIONS = 32  # the oldest ends when another enters


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that entered. `label` names it in records and is no secret; `key` and `csrf` are."""

    key: str
    csrf: str
    label: str
    ends_s: float


class Sessions:
    """Every open session of this process."""

    def __init__(self, lifetime_s: float = LIFETIME_S) -> None:
        self._lifetime_s = lifetime_s
        self._open: dict[str, Session] = {}  # insertion order = age

    def begin(self, now_s: float) -> Session:
        """Open a session; the oldest gives way where there are too many."""
        while len(self._open) >= MAX_SESSIONS:
            self._open.pop(next(iter(self._open)))
        key = secrets.token_urlsafe(32)
        label = f"page-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        session = Session(key=key, csrf=secrets.token_urlsafe(32), label=label, ends_s=now_s + self._lifetime_s)
        self._open[key] = session
        return session

    def find(self, key: str | None, now_s: float) -> Session | None:
        """The open session of this cookie value, if it has not expired."""
        session = self._open.get(key) if key else None
        if session is not None and now_s >= session.ends_s:
            del self._open[session.key]
            return None
        return session

    def end(self, key: str) -> None:
        """Close it; closing twice is fine."""
        self._open.pop(key, None)
