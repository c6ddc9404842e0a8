"""A small policy and a store in a folder, for the tests of the policy."""

from __future__ import annotations

from pathlib import Path

from gateway.store import policy_file
from gateway.store.policy_document import PolicyDocument
from gateway.store.policy_store import Place, PolicyStore, open_policy

PLACE = Place("west", "garden", ("lobby",))
NOW_MS = 1_795_320_000_000  # 2026-11-22 12:00 at +08:00

TEXT = """
version = 1
[[portal]]
name = "lobby"
accepts = [["card"], ["card", "pin"], ["qr"]]
[[portal]]
name = "gate"
accepts = [["plate"]]
[[schedule]]
id = "office"
[[schedule.span]]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:00"
to = "18:00"
[[holder]]
id = "lin"
name = { zh = "林晓", en = "Lin Xiao" }
groups = ["residents"]
[[holder]]
id = "wang"
name = { zh = "王强", en = "Wang Qiang" }
groups = ["staff"]
[[credential]]
id = "lin-card"
holder = "lin"
kind = "card"
key = "26:1"
[[credential]]
holder = "wang"
kind = "card"
key = "26:2"
[[rule]]
group = "residents"
portals = ["lobby"]
[[rule]]
group = "staff"
portals = ["lobby"]
schedule = "office"
"""


def document(text: str = TEXT) -> PolicyDocument:
    return policy_file.parse(text.encode(), "policy.toml")


def store_in(folder: Path, *, newest_seen: int = 0, place: Place = PLACE, now_ms: int = NOW_MS) -> PolicyStore:
    """As core opens it; the first time from policy.toml."""
    file = folder / "policy.toml"
    if not file.exists():
        file.write_text(TEXT, "utf-8")
    data = folder / "data"
    return open_policy(data / "policy.sqlite", data / "policy.key", place, file, now_ms=now_ms, newest_seen=newest_seen)
