"""The AsyncAPI document: whole, and accepted by the parser of the AsyncAPI project (npm, versions locked)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from center.contract.asyncapi import asyncapi
from center.contract.catalogue import CATALOGUE, Severity
from center.contract.topics import GatewayName, Kind, topic

PACKAGE = Path(__file__).parent / "asyncapi"
BUILD = Path(__file__).resolve().parents[2] / "build"
INSTALL_TIMEOUT_S = 100


def test_every_event_is_a_message_and_every_alarm_is_on_the_alarm_channel() -> None:
    document = asyncapi()
    types = {entry.type for entry in CATALOGUE.values()}
    assert set(document["channels"]["events"]["messages"]) == types
    alarms = {e.type for e in CATALOGUE.values() if e.severity in (Severity.ALARM, Severity.LIFE_SAFETY)}
    assert set(document["channels"]["alarms"]["messages"]) == alarms
    assert types < set(document["components"]["messages"])


def test_addresses_are_the_topics() -> None:
    channels = asyncapi()["channels"]
    names = {"district": "east", "site": "garden", "gateway": "gw-1"}
    addresses = {channel["address"].format(**names) for channel in channels.values()}
    assert addresses == {topic(GatewayName(**names), kind) for kind in (Kind.EVENT, Kind.ALARM, Kind.STATE, Kind.ACK)}


@pytest.fixture(scope="module")
def parser() -> Path:
    """The folder with the parser installed; kept under build/ from run to run."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("npm is not installed, so the document is not checked by @asyncapi/parser (setup: Debian's npm)")
    lock = (PACKAGE / "package-lock.json").read_bytes()
    folder = BUILD / f"asyncapi-parser-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGE / name, folder)
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
        if done.returncode:
            pytest.skip(f"@asyncapi/parser cannot be installed here (no registry?): {done.stderr.strip()[-200:]}")
        (folder / "installed").touch()
    shutil.copy(PACKAGE / "check.js", folder)
    return folder


def check(parser: Path, document: dict[str, Any]) -> dict[str, Any]:
    said = subprocess.run(
        ["node", "check.js"],
        cwd=parser,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


def test_the_parser_accepts_the_document(parser: Path) -> None:
    answer = check(parser, asyncapi())
    assert answer["errors"] == []
    assert answer["accepted"]
    assert answer["messages"] == len(CATALOGUE) + 2


def test_the_parser_would_refuse_a_wrong_one(parser: Path) -> None:
    document = asyncapi()
    document["operations"]["receive-events"]["action"] = "listen"
    document["components"]["messages"]["zhian.portal.closed"]["examples"][0]["payload"]["data"]["open_ms"] = "long"
    answer = check(parser, document)
    assert not answer["accepted"]
    assert "receive-events" in " ".join(answer["errors"])
