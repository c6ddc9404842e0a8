"""`zhian access` from files alone: import, export, conflict, explain, check; and moments as people say them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from test_operations import FakeDesk, FakeSite
from typer.testing import CliRunner

from gateway import config as configuration
from gateway.access.policy import Zone
from gateway.drivers.local_socket import LocalSocket
from gateway.drivers.operations_link import OperationsLink
from gateway.operations.messages import MAX_LINE_BYTES
from gateway.operations.operations import Operations
from runtime.errors import UserError
from zhian import moments
from zhian.access import app

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=8)))  # a Sunday

GATEWAY = """
site = { district = "west", site = "garden", gateway = "gw-1", label = { zh = "园", en = "G" }, site_key_file = "k" }
paths = { data = "data", run = "run" }
policy = { file = "policy.toml" }
"""
POLICY = """
version = 1
[[portal]]
name = "lobby"
accepts = [["card"]]
[[schedule]]
id = "weekdays"
[[schedule.span]]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:00"
to = "18:00"
[[holder]]
id = "lin"
name = { zh = "林晓", en = "Lin Xiao" }
groups = ["staff"]
[[credential]]
holder = "lin"
kind = "card"
key = "26:1"
[[rule]]
group = "staff"
portals = ["lobby"]
schedule = "weekdays"
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "gateway.toml").write_text(GATEWAY, "utf-8")
    (tmp_path / "policy.toml").write_text(POLICY, "utf-8")
    return tmp_path


def zhian(site, *words: str):
    """(exit code, stdout, the error's sentence)."""
    config = [] if "--file" in words or words[0] == "check" else ["--config", str(site / "gateway.toml")]
    result = CliRunner().invoke(app, [*words, *config])
    error = str(result.exception) if isinstance(result.exception, UserError) else ""
    return result.exit_code, result.stdout, error


def test_import_without_core_export_and_the_conflict_of_two_editors(site):
    assert zhian(site, "import", str(site / "policy.toml"), "--operator", "chen")[1].endswith("version 1 is in force\n")
    for name in ("mine.toml", "yours.toml"):
        assert zhian(site, "export", "--to", str(site / name))[0] == 0
        assert (site / name).stat().st_mode & 0o077 == 0
    assert zhian(site, "import", str(site / "mine.toml"), "--operator", "chen")[1].endswith("version 2 is in force\n")
    code, _, error = zhian(site, "import", str(site / "yours.toml"))
    assert code == 1
    assert "this edit began with version 1, but version 2 of operator 'chen' (import) is in force" in error
    assert zhian(site, "import", str(site / "yours.toml"), "--over")[1].endswith("version 3 is in force\n")
    listed = json.loads(zhian(site, "versions", "--json")[1])
    assert [row["version"] for row in listed] == [3, 2, 1]


def test_a_lost_store_is_begun_anew_only_by_name(site):
    import sqlite3

    zhian(site, "import", str(site / "policy.toml"))
    (site / "data/policy.sqlite").unlink()
    with sqlite3.connect(site / "data/gateway.sqlite") as journal:
        journal.execute("CREATE TABLE kept (key TEXT, value TEXT)")
        journal.execute("INSERT INTO kept VALUES ('policy-version', '5')")
    journal.close()
    code, _, error = zhian(site, "import", str(site / "policy.toml"))
    assert code == 1
    assert "version 5 of the policy was in force, but there is none here" in error
    assert zhian(site, "import", str(site / "policy.toml"), "--over")[1].endswith("version 6 is in force\n")


def test_explain_a_file_that_is_not_in_force(site):
    file = str(site / "policy.toml")
    words = ("explain", "--file", file, "--portal", "lobby", "--at", "2026-11-23T10:00", "--language", "en")
    assert "1 of 1 could pass:\n  yes  lin  Lin Xiao  card  card:26:1  staff: weekdays" in zhian(site, *words)[1]
    sunday = (*words[:6], "2026-11-22T15:00", "--language", "zh")
    assert "1 人中 0 人可以通过" in zhian(site, *sunday)[1]
    answer = json.loads(zhian(site, *words, "--json")[1])
    assert (answer["granted"], answer["findings"][0]["reason"]) == (1, "permitted")


def test_check_says_what_is_probably_not_meant(site):
    file = site / "policy.toml"
    file.write_text(POLICY.replace('groups = ["staff"]', 'groups = ["stuff"]'), "utf-8")
    code, said, _ = zhian(site, "check", str(file))
    assert code == 0
    assert "no holder is in group 'staff', which rules or portals name" in said
    assert "no rule is about group 'stuff', which holders are in" in said
    file.write_text("version = 0", "utf-8")
    assert zhian(site, "check", str(file))[0] == 1


def test_an_edit_without_core_is_one_sentence(site):
    zhian(site, "import", str(site / "policy.toml"))
    assert "core does not answer" in zhian(site, "revoke", "lin", "card:26:1")[2]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("now", "2026-11-22T12:00"),
        ("Sunday 15:00", "2026-11-22T15:00"),
        ("on Sunday 3pm", "2026-11-22T15:00"),
        ("sun 11:00", "2026-11-29T11:00"),
        ("last Sunday 15:00", "2026-11-15T15:00"),
        ("monday 7:30", "2026-11-23T07:30"),
        ("yesterday 23:10", "2026-11-21T23:10"),
        ("明天 8点", "2026-11-23T08:00"),
        ("周日 15:00", "2026-11-22T15:00"),
        ("星期天15:00", "2026-11-22T15:00"),
        ("15:30", "2026-11-22T15:30"),
        ("today 12am", "2026-11-22T00:00"),
        ("2026-10-01 09:00", "2026-10-01T09:00"),
        ("2026-11-22T07:00:00Z", "2026-11-22T15:00"),
    ],
)
def test_moments_as_people_say_them(text, means):
    assert moments.parse(text, NOW).isoformat(timespec="minutes").removesuffix("+08:00") == means


@pytest.mark.parametrize("text", ["", "someday 15:00", "sunday", "sunday 25:00", "sunday 13pm", "2026-13-01", "15:60"])
def test_an_unclear_moment_is_one_sentence(text):
    with pytest.raises(UserError, match="expected a moment such as"):
        moments.parse(text, NOW)


def test_an_import_says_what_it_kept_revoked(site):
    file = site / "policy.toml"
    zhian(site, "import", str(file))
    file.write_text(POLICY.replace('key = "26:1"', 'key = "26:1"\nrevoked = true'), "utf-8")
    assert "revoked all the same" not in zhian(site, "import", str(file))[1]
    file.write_text(POLICY.replace("version = 1", "version = 2"), "utf-8")
    told = json.loads(zhian(site, "import", str(file), "--json")[1])["findings"]
    assert (
        "revoked all the same: 'lin card:26:1'; zhian access restore HOLDER CREDENTIAL takes a revocation back" in told
    )
    assert "revoked = true" in zhian(site, "export")[1]


@pytest.mark.parametrize("options", [(), ("--holder", "lin", "--all"), ("--zone", "yard", "--holder", "lin")])
def test_forget_wants_exactly_one_whom(site, options):
    assert "expected one of --holder, --zone and --all" in zhian(site, "forget", *options)[2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--holder", "lin"), ("forget", "holder", "lin", "chen")),
        (("--zone", "yard"), ("forget", "zone", "yard", "chen")),
        (("--all",), ("forget", "all", "", "chen")),
    ],
)
async def test_forget_asks_the_running_core(site, options, told):
    here = FakeSite()
    desk = FakeDesk(site / "run")
    desk.policy = replace(desk.policy, zones={"yard": Zone("yard", "hard")})
    operations = Operations({}, lambda: None, here, desk)  # type: ignore[arg-type,return-value]
    config = configuration.read(site / "gateway.toml")
    path = configuration.operations_socket(site / "gateway.toml", config)
    path.parent.mkdir(parents=True, exist_ok=True)
    listening = asyncio.Event()
    task = asyncio.create_task(LocalSocket(path, OperationsLink(operations).serve, MAX_LINE_BYTES).run(listening))
    await listening.wait()
    try:
        code, said, error = await asyncio.to_thread(zhian, site, "forget", *options, "--operator", "chen")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (code, error) == (0, "")
    assert said == "forgotten: 3 of the people, visitors and cars that were in a zone\n"
    assert here.told == [told]
