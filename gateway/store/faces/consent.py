"""What a holder agreed to before a reference was made. Pure.

Sources: Personal Information Protection Law (PRC, 2021), articles 28-31 (sensitive personal information: a specific
purpose, separate consent, a guardian's below 14) and the Measures on the Security Management of the Application of
Facial Recognition Technology (CAC, in force since 1 June 2025): another way to verify must be offered, and who stores
the faces of 100 000 people files with the authorities. Read in translation; a site's own counsel decides.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from gateway.errors import OperationRefusedError

GUARDIAN_BELOW_YEARS = 14
LONGEST_DAYS = 366  # a consent is asked again at least once a year
FILING_THRESHOLD = 100_000  # stored faces
PURPOSE = "passing the portals named here"  # the only one there is
MAX_TEXT = 120


class Consent(Struct, frozen=True, forbid_unknown_fields=True):
    """One holder's consent. Times in Unix ms.

    portals: where the face may open. asked_by: who asked and explained. other_way: the way in that was offered instead.
    below_14: the holder is younger than GUARDIAN_BELOW_YEARS; then `guardian` names who consented.
    """

    holder: str
    portals: tuple[str, ...]
    asked_by: str
    other_way: str
    given_ms: int
    until_ms: int
    below_14: bool = False
    guardian: str = ""

    def open_at(self, now_ms: int) -> bool:
        """Whether it holds now."""
        return self.given_ms <= now_ms < self.until_ms


def check(consent: Consent, now_ms: int) -> None:
    """Raises OperationRefusedError, one sentence: what is missing, or longer than allowed."""

    def refuse(what: str) -> OperationRefusedError:
        return OperationRefusedError(f"consent of {consent.holder!r}: {what}; nothing was stored")

    for name in ("asked_by", "other_way"):
        text = getattr(consent, name)
        if not text.strip() or len(text) > MAX_TEXT:
            raise refuse(f"{name}: expected 1 to {MAX_TEXT} characters, got {len(text)}")
    if not consent.portals:
        raise refuse("expected at least one portal that it is for, got none")
    if consent.below_14 and not consent.guardian.strip():
        raise refuse(f"a holder below {GUARDIAN_BELOW_YEARS} needs a guardian's consent, and no guardian is named")
    if len(consent.guardian) > MAX_TEXT:
        raise refuse(f"guardian: expected at most {MAX_TEXT} characters, got {len(consent.guardian)}")
    if consent.until_ms <= now_ms:
        raise refuse(f"it ended at {day(consent.until_ms)}")
    if consent.until_ms - consent.given_ms > LONGEST_DAYS * 86_400_000:
        raise refuse(f"expected at most {LONGEST_DAYS} days, got until {day(consent.until_ms)}")


def day(ms: int) -> str:
    """`2026-11-22` in UTC."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d")


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Consent).decode
