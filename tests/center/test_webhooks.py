"""Webhooks over real HTTP: signed, in order, at least once, with dead letters, and never led astray."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeDatabase
from receiver import Receiver, Says
from test_store import EPOCH, OTHER, frame, store

from center import config as configuration
from center.contract.catalogue import PortalForced
from center.egress.attempt import Answer, Poster, Result, meaning
from center.egress.delivery import NOTED_EVERY, Delivery, Pace
from center.egress.endpoint import Endpoint, Secrets, check_url, endpoints
from center.egress.ledger import Ledger
from center.egress.signature import headers, secret_text, secrets_of
from center.errors import WebhookError
from center.store.reading import EventReading
from center.store.search import Search
from center.store.writing import EventWriter
from runtime.errors import ConfigError

KEY = bytes(range(32))
FAST = Pace(look_every_s=0.01, first_wait_s=0.02, longest_wait_s=0.05)


def endpoint(url: str, **changes: Any) -> Endpoint:
    values = {
        "name": "police",
        "url": url,
        "search": Search(),
        "secrets": Secrets((KEY,)),
        "timeout_s": 5.0,
        "give_up_after_s": 3600.0,
        "ca_file": None,
    }
    return Endpoint(**{**values, **changes})


async def until(condition: Callable[[], Any], what: str, deadline_s: float = 20) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(0.01)  # between two looks at another process's or thread's work


@contextlib.asynccontextmanager
async def delivering(make_database: MakeDatabase, to: Endpoint):
    database = make_database()
    poster = Poster(to)
    delivery = Delivery(to, EventReading(database), Ledger(database), poster, pace=FAST)
    task = asyncio.create_task(delivery.run())
    ledger = Ledger(make_database())
    await until(lambda: ledger.progress(), "the endpoint is known")
    try:
        yield ledger
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await poster.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(came.body)["id"] for came in receiver.arrived]


def test_the_signature_is_that_of_the_standard() -> None:
    """The example that the libraries of Standard Webhooks are tested with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (made["webhook-id"], made["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


async def test_events_arrive_signed_in_order_as_cloudevents(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    store(both_writer, frame(1))  # before the endpoint was configured: not for it
    async with delivering(make_database, endpoint(receiver.url)) as ledger:
        store(both_writer, frame(2, 3), frame(5, data=PortalForced("lobby")))
        store(both_writer, frame(1), name=OTHER)
        await until(lambda: len(receiver.arrived) == 4, "four events")
        await until(lambda: ledger.progress()[0].behind == 0, "noted")
    assert ids(receiver) == [f"{EPOCH}-{n}" for n in (2, 3, 5, 1)]
    came = receiver.arrived[2]
    event = json.loads(came.body)
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "zhian.portal.forced", "/east/garden/gw-1")
    assert came.headers["content-type"].startswith("application/cloudevents+json")
    signed = f"{came.headers['webhook-id']}.{came.headers['webhook-timestamp']}.".encode() + came.body
    expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert came.headers["webhook-signature"] == expected
    assert abs(int(came.headers["webhook-timestamp"]) - time.time()) < 60
    assert len({one.headers["webhook-id"] for one in receiver.arrived}) == 4
    (progress,) = ledger.progress()
    assert (progress.delivered, progress.dead_letters, progress.failing_since_ms) == (4, 0, 0)


async def test_only_what_the_filter_lets_through(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    alarms = endpoint(receiver.url, search=Search(severity_at_least="alarm", gateway="gw-1"))
    async with delivering(make_database, alarms) as ledger:
        store(both_writer, frame(1, 2), frame(3, data=PortalForced("lobby")), frame(4, 5))
        await until(lambda: ledger.progress()[0].behind == 0, "everything was looked at")
    assert ids(receiver) == [f"{EPOCH}-3"]


async def test_a_failing_endpoint_is_tried_again_with_the_same_id_and_nothing_overtakes(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    failures = iter([Says(500), Says(503, {"retry-after": "0"}), Says(302, {"location": "/elsewhere"}), Says(404)])
    receiver.answer = lambda came: next(failures, Says()) if json.loads(came.body)["id"].endswith("-2") else Says()
    async with delivering(make_database, endpoint(receiver.url)) as ledger:
        store(both_writer, frame(1, 2, 3))
        await until(lambda: ledger.progress()[0].behind == 0, "delivered in the end")
    assert ids(receiver) == [f"{EPOCH}-{n}" for n in (1, 2, 2, 2, 2, 2, 3)]
    assert len({came.headers["webhook-id"] for came in receiver.arrived[1:6]}) == 1
    assert {came.path for came in receiver.arrived} == {"/events"}, "a redirect was followed"
    assert ledger.progress()[0].delivered == 3


async def test_nobody_there_then_there(make_database: MakeDatabase, both_writer: EventWriter) -> None:
    receiver = Receiver()
    url = receiver.url
    receiver._server.server_close()
    async with delivering(make_database, endpoint(url)) as ledger:
        store(both_writer, frame(1, 2))
        await until(lambda: ledger.progress()[0].problem, "the failure is told")
        (progress,) = ledger.progress()
        assert (progress.delivered, progress.behind) == (0, 2)
        assert progress.failing_since_ms > 0


async def test_what_is_refused_becomes_a_dead_letter_and_can_be_tried_again(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    receiver.answer = lambda came: Says(422) if json.loads(came.body)["id"].endswith("-2") else Says()
    async with delivering(make_database, endpoint(receiver.url)) as ledger:
        store(both_writer, frame(1, 2, 3))
        await until(lambda: ledger.progress()[0].behind == 0, "gone on after it")
        (letter,) = ledger.dead("police")
        assert (letter.row, letter.attempts, letter.problem) == (2, 1, "refused with HTTP 422")
        assert json.loads(letter.document)["id"] == f"{EPOCH}-2"
        assert ledger.ask_again("police", 7) == 0
        assert ledger.ask_again("police") == 1
        await until(lambda: ledger.dead()[0].attempts == 2 and not ledger.dead()[0].retry, "tried again")
        receiver.answer = lambda _: Says()
        assert ledger.ask_again("police", 2) == 1
        await until(lambda: not ledger.dead(), "delivered at last")
        assert ledger.progress()[0].delivered == 3
    assert ids(receiver) == [f"{EPOCH}-{n}" for n in (1, 2, 3, 2, 2)]


async def test_an_event_that_is_never_taken_is_given_up(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    receiver.answer = lambda came: Says(500) if json.loads(came.body)["id"].endswith("-1") else Says()
    async with delivering(make_database, endpoint(receiver.url, give_up_after_s=0.1)) as ledger:
        store(both_writer, frame(1, 2))
        await until(lambda: ledger.progress()[0].behind == 0, "gone on after it")
    (letter,) = ledger.dead()
    assert letter.attempts >= 2
    assert letter.problem == "answered with an error (HTTP 500)"
    assert ids(receiver)[-1] == f"{EPOCH}-2"


async def test_a_restart_goes_on_where_it_was(
    make_database: MakeDatabase, both_writer: EventWriter, receiver: Receiver
) -> None:
    """At least once: everything arrives, in order, and what is sent twice is at most what was not noted yet."""
    many = 3 * NOTED_EVERY
    stop_at = NOTED_EVERY + 5
    async with delivering(make_database, endpoint(receiver.url)):
        store(both_writer, frame(*range(1, many + 1)))
        await until(lambda: len(receiver.arrived) >= stop_at, "some of them")
    async with delivering(make_database, endpoint(receiver.url)) as ledger:
        await until(lambda: ledger.progress()[0].behind == 0, "all of them")
    got = [int(one.split("-")[1]) for one in ids(receiver)]
    assert sorted(set(got)) == list(range(1, many + 1))
    assert len(got) - many <= 2 * NOTED_EVERY
    first_seen = list(dict.fromkeys(got))
    assert first_seen == sorted(first_seen)


async def test_an_endpoint_that_does_not_answer_in_time(receiver: Receiver) -> None:
    hold = threading.Event()
    receiver.answer = lambda _: Says(hold=hold)
    poster = Poster(endpoint(receiver.url, timeout_s=0.2))
    try:
        assert await poster("/a/b/c", "x-1", b"{}") == Answer(Result.FAILED, "no answer within 0.2 s")
    finally:
        hold.set()
        await poster.close()


async def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.answer = lambda _: Says(200, body=b"x" * (8 << 20))
    poster = Poster(endpoint(receiver.url))
    assert (await poster("/a/b/c", "x-1", b"{}")).result is Result.DELIVERED
    assert (await poster("/a/b/c", "x-2", b"{}")).result is Result.DELIVERED
    await poster.close()


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (200, "", Answer(Result.DELIVERED)),
        (204, "", Answer(Result.DELIVERED)),
        (413, "", Answer(Result.REFUSED, "refused with HTTP 413")),
        (429, "7", Answer(Result.FAILED, "answered with an error (HTTP 429)", 7.0)),
        (503, "999999", Answer(Result.FAILED, "answered with an error (HTTP 503)", 3600.0)),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", Answer(Result.FAILED, "answered with an error (HTTP 503)")),
        (410, "", Answer(Result.FAILED, "answered with an error (HTTP 410)")),
    ],
)
def test_meaning_of_answers(status: int, retry_after: str, expected: Answer) -> None:
    assert meaning(status, retry_after) == expected


def test_waits_double_and_are_spread() -> None:
    pace = Pace(first_wait_s=2, longest_wait_s=60)
    assert [pace.wait_s(n, 0, 1.0) for n in (1, 2, 3, 4, 5, 6, 999)] == [2, 4, 8, 16, 32, 60, 60]
    assert pace.wait_s(3, 0, 0.0) == 4
    assert pace.wait_s(1, 30, 0.5) == 30


@pytest.mark.parametrize(
    "url", ["https://district.example/x", "http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:8/"]
)
def test_urls_that_are_used(url: str) -> None:
    check_url(url, "here")


@pytest.mark.parametrize(
    "url",
    [
        "http://district.example/x",
        "http://192.168.1.4/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/x",
        "https://0.0.0.0/x",
        "https://user:" + "secret@district.example/x",
        "https://district.example/x#part",
        "https://district.example:port/",
        "https:///x",
        "ftp://district.example/x",
        "file:///etc/passwd",
        "https://a b/",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(WebhookError, match="expected https://HOST/PATH") as e:
        check_url(url, "here")
    assert "secret" not in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_c2hvcnQ=", secret_text(KEY)[6:], " ".join([secret_text(KEY)] * 3)]
)
def test_secrets_that_are_refused_are_not_shown(text: str) -> None:
    with pytest.raises(WebhookError, match="expected 1 or 2 secrets") as e:
        secrets_of(text, "a file")
    assert len(text) < 10 or text not in str(e.value)


def test_two_secrets_sign_both() -> None:
    keys = secrets_of(f"{secret_text(KEY)} {secret_text(KEY[::-1])}", "a file")
    assert headers("msg_1", 1, b"{}", keys)["webhook-signature"].count("v1,") == 2
    assert KEY.hex() not in repr(Secrets(keys))


CONFIG = """
[center]
data = "data"
run = "run"
[broker]
data = "broker"
users_file = "users.json"
[ingest]
username = "center"
password_file = "p"
client_id_file = "c"
"""


def test_endpoints_of_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "center.toml"
    (tmp_path / "key").write_text(secret_text(KEY) + "\n")
    one = '[[webhook]]\nname = "police"\nurl = "https://police.example/in"\nsecret_file = "key"\n'
    file.write_text(CONFIG + one + 'type = "zhian.access."\nseverity_at_least = "warning"\n')
    (found,) = endpoints(file, configuration.read(file))
    assert (found.search.type, found.search.severity_at_least) == ("zhian.access.", "warning")
    assert secret_text(KEY) not in repr(found)
    for text, error, expected in (
        (one + one, WebhookError, "used twice"),
        (one.replace('"key"', '"absent"'), ConfigError, "no such secret of a webhook"),
        (one.replace("https:", "http:"), WebhookError, "expected https"),
        (one + 'ca_file = "absent"\n', WebhookError, "no such ca_file"),
        (one + "verify = false\n", ConfigError, "verify: this key is not known"),
    ):
        file.write_text(CONFIG + text)
        with pytest.raises(error, match=expected):
            endpoints(file, configuration.read(file))
