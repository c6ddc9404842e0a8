"""A gateway that is broken on purpose is caught, by the name of the expectation that it breaks, in a shipped scenario.

Each mutation is made in a copy of the tree, and `zhian sim run` of that copy plays the scenario. All run at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.site, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("center", "device_profiles", "firmware", "gateway", "pages", "runtime", "sim", "zhian")
RUN_S = 180


@dataclass(frozen=True)
class Mutation:
    """Texts of a file that are replaced, and what must then fail in which scenario."""

    scenario: str
    file: str
    changes: tuple[tuple[str, str], ...]
    fails: tuple[str, ...]


MUTATIONS = {
    "whole": Mutation("revoked-and-expired", "gateway/control/door.py", (), ()),  # the copy itself is not to blame
    "a-grant-is-not-recorded": Mutation(
        "revoked-and-expired",
        "gateway/control/door.py",
        (
            (
                "            await self._judge.record(*facts.of_request(self._judge, asked), "
                "late_ok=late_ok, keep=keep)\n",
                "            if not decision.granted:\n"
                "                await self._judge.record(*facts.of_request(self._judge, asked))\n",
            ),
        ),
        ("exactly 1 event access.granted at lobby",),
    ),
    "an-unknown-card-is-let-in": Mutation(
        "revoked-and-expired",
        "gateway/access/decide.py",
        (
            (
                "            False, problem or Reason.UNKNOWN_CREDENTIAL, credential",
                "            True, _PERMITTED, credential",
            ),
        ),
        (
            "lobby stayed locked from step revoked to step good",
            "exactly 1 event access.denied at lobby with reason unknown-credential",
        ),
    ),
    "a-backlog-is-forgotten-before-the-center-stored-it": Mutation(
        "network-stop",
        "gateway/uplink/uplink.py",
        (
            (
                "SendWindow(acked_upto, outbox.last_seq, self._settings.batch_events",
                "SendWindow(outbox.last_seq, outbox.last_seq, self._settings.batch_events",
            ),
            ("        window.acknowledged(ack)\n", ""),
        ),
        ("the center has everything made", "no event was lost or stored twice"),
    ),
}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Every mutated copy plays its scenario, all at the same time."""
    with tempfile.TemporaryDirectory(prefix="zm-") as folder:
        started = {name: start(Path(folder) / str(n), one) for n, (name, one) in enumerate(MUTATIONS.items())}
        yield started
        for process in started.values():
            process.terminate()  # it stops what it started, in order
            process.wait(60)


def start(tree: Path, mutation: Mutation) -> subprocess.Popen[str]:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = tree / mutation.file
    text = path.read_text("utf-8")
    for old, new in mutation.changes:
        assert text.count(old) == 1, f"{mutation.file} has changed; say the mutation anew: {old!r}"
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "zhian", "sim", "run", mutation.scenario, "--json"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_gateway_is_caught_by_name(runs: dict[str, subprocess.Popen[str]], name: str) -> None:
    out, err = runs[name].communicate(timeout=RUN_S)
    assert out, err
    outcome: dict[str, Any] = json.loads(out.splitlines()[-1])
    failed = {row["text"]: row["seen"] for row in outcome["expectations"] if not row["ok"]}
    wanted = MUTATIONS[name].fails
    assert [text for text in wanted if text not in failed] == [], outcome["expectations"]
    assert outcome["ok"] == (not wanted), outcome
    assert runs[name].returncode == (1 if wanted else 0)
