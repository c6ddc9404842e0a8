"""The broker's process: starts, refuses with a sentence, leaves nothing running, keeps secrets."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from center import config as center_config
from center.broker.authority import make_authority, make_certificate
from center.broker.callout import CalloutError, Doorkeeper, Question, question
from center.broker.configuration import configuration
from center.broker.nats_link import own_user
from center.broker.server_log import MAX_LINES, WINDOW_S, ServerLog, redacted
from center.config import Broker, User
from runtime.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 30.0
SECRET = "a-secret-of-the-center"


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.01)  # between two looks at another process


@pytest.fixture
def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    (tmp_path / "users.json").write_text(json.dumps([{"username": "center", "password": SECRET, "role": "center"}]))
    file = tmp_path / "center.toml"
    file.write_text(
        f"[center]\ndata='data'\nrun='run'\n[broker]\ndata='broker'\nusers_file='users.json'\nport={port}\n"
        "[ingest]\nusername='center'\npassword_file='p'\nclient_id_file='c'\n"
    )
    return file


@pytest.fixture
def start(config: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "zhian", "broker", "run", "--config", str(config)],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def answers(port: int) -> bool:
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def servers(config: Path) -> list[int]:
    """Running nats-servers of this test, by their configuration's path."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        if str(config.parent / "run" / "nats-server.conf").encode() in words:
            found.append(int(folder.name))
    return found


def test_sigterm_ends_everything_and_a_second_start_works(start, config: Path, port: int) -> None:
    former = config.parent / "broker" / "jetstream" / "$G"
    (former / "streams").mkdir(parents=True)
    for _ in range(2):
        process = start()
        until(lambda: answers(port), "MQTT answers")
        assert len(servers(config)) == 1
        assert not former.exists(), "nothing reads the former account's data"
        assert (config.parent / "broker" / "jetstream").is_dir()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert servers(config) == []
        assert not answers(port)


def test_kill_9_leaves_no_server_behind(start, config: Path, port: int) -> None:
    process = start()
    until(lambda: answers(port), "MQTT answers")
    process.kill()
    process.wait(DEADLINE_S)
    until(lambda: servers(config) == [], "the server is gone with its parent")
    again = start()
    until(lambda: answers(port), "a new one starts at once")
    assert again.poll() is None


def test_a_server_that_dies_is_an_error(start, config: Path, port: int) -> None:
    process = start()
    assert any("ready" in line for line in iter(process.stderr.readline, ""))
    (server,) = servers(config)
    os.kill(server, signal.SIGKILL)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "nats-server ended by itself (signal 9)" in said


def mqtt_connect(user: bytes, password: bytes) -> bytes:
    body = b"\x00\x04MQTT\x04\xc2\x00\x1e" + b"".join(
        len(one).to_bytes(2, "big") + one for one in (b"x", user, password)
    )
    length, rest = b"", len(body)
    while rest or not length:
        length += bytes([rest & 0x7F | (0x80 if rest > 0x7F else 0)])
        rest >>= 7
    return b"\x10" + length + body


def test_a_huge_connect_ends_nobody_but_itself(start, config: Path, port: int) -> None:
    """What nats-server asks us about it is twice what we take: \\x01 is six bytes in JSON."""
    process = start()
    assert any("ready" in line for line in iter(process.stderr.readline, ""))
    with socket.create_connection(("127.0.0.1", port)) as hostile:
        hostile.sendall(mqtt_connect(b"\x01" * 65535, b"\x01" * 65535))
        assert any("expected at most 1048576" in line for line in iter(process.stderr.readline, ""))
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as honest:
            honest.sendall(mqtt_connect(b"center", SECRET.encode()))
            assert honest.recv(4) == b"\x20\x02\x00\x00"
    assert process.poll() is None


def test_a_taken_port_is_one_sentence(start, config: Path, port: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = start()
        _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert said.startswith(f"zhian: the broker cannot listen on 127.0.0.1:{port} (Address already in use); ")
    assert said.count("\n") == 1
    assert servers(config) == []


def test_the_configuration_file_is_private(start, config: Path, port: int) -> None:
    written = config.parent / "run" / "nats-server.conf"
    written.parent.mkdir()
    written.write_text("left by somebody")
    written.chmod(0o666)
    start()
    until(lambda: answers(port), "MQTT answers")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert SECRET not in written.read_text(), "it holds nobody's password but our own of this run"


def test_no_listener_beyond_loopback(start, config: Path, port: int) -> None:
    start()
    until(lambda: answers(port), "MQTT answers")
    (server,) = servers(config)
    sockets = {link.readlink() for link in Path(f"/proc/{server}/fd").iterdir() if "socket:" in str(link.readlink())}
    listening = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{server}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and Path(f"socket:[{fields[9]}]") in sockets:
                listening[fields[1]] = table
    assert listening
    assert all(address.startswith("0100007F:") for address in listening), listening


GATEWAY = User(
    username="gw-1",
    password='"$x\\' + "y" * 16,
    role="gateway",
    district="east",
    site="garden",
    gateway="gw-1",
)


def test_permissions_name_one_gateway_and_nothing_with_a_wildcard() -> None:
    center = User(username="center", password="x" * 16, role="center")
    broker = Broker(data="b", users_file="u", port=1883)
    doorkeeper = Doorkeeper([center, GATEWAY], by_certificate=False)
    document = json.loads(configuration(broker, Path("/tmp/store"), doorkeeper.issuer, own_user("x" * 16)))
    assert "users" not in document["authorization"], "who is not let in by us is not let in"
    assert GATEWAY.password not in json.dumps(document)
    of_gateway, of_center = (let_in(doorkeeper, user) for user in (GATEWAY, center))
    assert of_gateway["pub"] == {
        "allow": [f"zhian.v1.east.garden.gw-1.up.{k}" for k in ("event", "alarm", "state", "reply")]
    }
    assert of_gateway["sub"] == {"allow": [f"zhian.v1.east.garden.gw-1.down.{k}" for k in ("ack", "command")]}
    assert of_gateway["allowed_connection_types"] == ["MQTT"]
    assert of_center["pub"]["allow"] == ["zhian.v1.*.*.*.down.ack", "zhian.v1.*.*.*.down.command"]
    assert document["mqtt"]["max_ack_pending"] < 1000, "near 65535 NATS grants a subscription and serves nothing"


def asked(user: str, password: str, client_id: str = "x", kind: str = "mqtt", chain: str | None = None) -> Question:
    """As nats-server asks; its own token has a signature that nobody looks at."""
    claims = {
        "server_id": {"id": "NSERVER"},
        "user_nkey": "UNKEY",
        "client_info": {"id": 7, "type": kind, "mqtt_id": client_id},
        "connect_opts": {"user": user, "pass": password},
        **({"client_tls": {"verified_chains": [[chain]]}} if chain is not None else {}),
    }
    body = base64.urlsafe_b64encode(json.dumps({"nats": claims}).encode()).rstrip(b"=")
    return question(b"head." + body + b".signature")


def claims_of(token: bytes) -> dict[str, Any]:
    body = token.split(b".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))))


def let_in(doorkeeper: Doorkeeper, user: User, client_id: str = "x") -> dict[str, Any]:
    answer = doorkeeper.answer(asked(user.username, user.password or "", client_id), 1_790_000_000)
    assert answer.user == user
    response = claims_of(answer.token)
    assert (response["aud"], response["sub"], "error" in response["nats"]) == ("NSERVER", "UNKEY", False)
    return dict(claims_of(response["nats"]["jwt"].encode())["nats"])


CENTER = User(username="center", password="x" * 16, role="center")


@pytest.mark.parametrize(
    ("question_of", "why"),
    [
        (lambda: asked("gw-1", GATEWAY.password, "center/secret"), "belongs to another"),
        (lambda: asked("gw-1", GATEWAY.password, "gw-10/secret"), "belongs to another"),
        (lambda: asked("gw-1", GATEWAY.password, "/secret"), "belongs to another"),
        (lambda: asked("gw-1", GATEWAY.password, "GW-1/secret"), "belongs to another"),
        (lambda: asked("gw-1", CENTER.password), "no such user"),
        (lambda: asked("gw-1", ""), "no such user"),
        (lambda: asked("gw-2", GATEWAY.password), "no such user"),
        (lambda: asked("", ""), "no such user"),
        (lambda: asked("gw-1", GATEWAY.password, kind="nats"), "no such user"),
        (lambda: asked("gw-1", GATEWAY.password, "gw-1/" + "x" * 300), "no such user"),
    ],
)
def test_who_is_refused(question_of, why: str) -> None:
    doorkeeper = Doorkeeper([CENTER, GATEWAY], by_certificate=False)
    answer = doorkeeper.answer(question_of(), 1_790_000_000)
    assert answer.user is None
    assert why in answer.why
    assert claims_of(answer.token)["nats"] == {"type": "authorization_response", "version": 2, "error": "refused"}


def test_ones_own_client_ids_and_those_of_nobody_are_taken() -> None:
    doorkeeper = Doorkeeper([CENTER, GATEWAY], by_certificate=False)
    for client_id in ("gw-1/secret", "gw-1/", "gw-1", "center", "", "anything"):
        let_in(doorkeeper, GATEWAY, client_id)
    doorkeeper.change([CENTER])
    assert doorkeeper.answer(asked("gw-1", GATEWAY.password), 0).user is None
    assert doorkeeper.knows(CENTER)
    assert not doorkeeper.knows(GATEWAY)


def test_with_certificates_a_password_is_worth_nothing(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    make_authority(tmp_path, "authority", now)
    own, other = (make_certificate(tmp_path, tmp_path, name, now).read_text() for name in ("gw-1", "gw-9"))
    doorkeeper = Doorkeeper([CENTER, GATEWAY], by_certificate=True)
    assert doorkeeper.answer(asked("center", "x" * 16, "gw-1/s", chain=own), 0).user == GATEWAY
    for chain in (None, other, "", "not a certificate", own.replace("M", "N", 3)):
        assert doorkeeper.answer(asked("gw-1", GATEWAY.password, chain=chain), 0).user is None


@pytest.mark.parametrize(
    "raw", [b"", b"a", b"a.b.c", b"a.e30.c", b"a.!!!.c", b"a.W10.c", b"a.eyJuYXRzIjp7fX0.c", b"." * 9]
)
def test_what_is_not_understood_is_not_answered(raw: bytes) -> None:
    with pytest.raises(CalloutError):
        question(raw)


def test_client_ids_do_not_reach_the_log() -> None:
    line = (
        '127.0.0.1:41755 - mid:37 - "secret-1" - Replacing old client "127.0.0.1:43719 - mid:33 - \\"secret-1\\""'
        ' since both have the same client ID "secret-1"'
    )
    assert "secret-1" not in redacted(line)
    assert "Replacing old client" in redacted(line)
    assert redacted('- mid:6 - "a\\"b" - Publish Violation - Subject "zhian.v1.x"').endswith('Subject "zhian.v1.x"')


def test_a_flood_of_warnings_is_counted_not_shown() -> None:
    now_s = 0.0
    with structlog.testing.capture_logs() as shown:
        log = ServerLog(structlog.get_logger(), clock=lambda: now_s)
        for number in range(1000):
            log.line(f"[1] 2026/11/22 01:27:13.436057 [ERR] violation {number}")
        log.line("[1] 2026/11/22 01:27:13.436057 [INF] unimportant")
        log.line("[1] 2026/11/22 01:27:13.436057 [INF] ")
        assert len(shown) == MAX_LINES
        now_s = WINDOW_S
        log.line("[1] 2026/11/22 01:27:23.436057 [WRN] again")
    assert shown[MAX_LINES]["not_shown"] == 1000 - MAX_LINES
    assert shown[-1]["said"] == "again"
    assert log.last_words() == ': "again"'


@pytest.mark.parametrize(
    ("users", "word"),
    [
        ("", "JSON list"),
        ("{}", "JSON list"),
        ("[" * 5000, "JSON list"),
        ('[{"username":"a"}]', "user 1: password"),
        ('[{"username":"a","password":"short","role":"center"}]', "user 1: password"),
        ('[{"username":"a","password":"0123456789abcdef","role":"admin"}]', "role"),
        ('[{"username":"a b","password":"0123456789abcdef","role":"center"}]', "username"),
        (
            '[{"username":"a","password":"0123456789abcdef","role":"gateway","district":"d","site":"s"}]',
            "needs district",
        ),
        ('[{"username":"a","password":"0123456789abcdef","role":"center","site":"s"}]', "has no district"),
        ('[{"username":"a","password":"0123456789abcdef","role":"center","admin":true}]', "admin"),
        (json.dumps([{"username": "a", "password": "0123456789abcdef", "role": "center"}] * 2), "used twice"),
        (
            '[{"username":"a","password":"0123456789abcdef","role":"gateway","district":"d","site":"s","gateway":">"}]',
            "gateway",
        ),
    ],
)
def test_wrong_users_are_one_sentence_without_a_secret(tmp_path: Path, users: str, word: str) -> None:
    file = tmp_path / "users.json"
    file.write_text(users)
    with pytest.raises(ConfigError) as e:
        center_config.read_users(file)
    assert word in str(e.value)
    assert str(file) in str(e.value)
    assert not re.search("0123456789abcdef|short", str(e.value))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("content", [b"", b"\n", "密码".encode(), b"a\nb", b"x" * 2000, b"\xff\xfe"])
def test_wrong_secrets_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"password of ingest"):
        center_config.read_secret(file, "password of ingest")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port=", "prot=", "prot"),
        ("[broker]", "[broker]\nhost='0.0.0.0'", "broker.host"),
        ("username='center'", "username=1", "ingest.username"),
        ("data='data'\n", "", "data"),
    ],
)
def test_wrong_configurations_name_the_key(config: Path, old: str, new: str, words: str) -> None:
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=words):
        center_config.read(config)


def test_a_missing_file_says_who_writes_it(tmp_path: Path) -> None:
    for read in (center_config.read_users, lambda path: center_config.read_secret(path, "client id of ingest")):
        with pytest.raises(ConfigError, match="set-up writes it"):
            read(tmp_path / "absent")
