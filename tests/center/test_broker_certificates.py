"""Certificates and the files for mosquitto: who can read them, what they say, what is refused with a sentence."""

from __future__ import annotations

import json
import re
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from center import config as center_config
from center.broker.authority import CertificateError, expires, make_authority, make_certificate
from center.broker.files import write_mosquitto
from center.broker.rights import rights
from center.config import User
from center.errors import BrokerError
from runtime.errors import ConfigError

NOW = datetime.now(UTC).replace(microsecond=0)
REPOSITORY = Path(__file__).resolve().parents[2]
TLS = "tls_ca_file='ca.pem'\ntls_certificate_file='broker.pem'\ntls_key_file='broker.key'\n"
CLIENT = "tls_certificate_file='center.pem'\ntls_key_file='center.key'\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_private_and_certificates_say_who_and_until_when(tmp_path: Path) -> None:
    ca = make_authority(tmp_path, "district", NOW)
    broker = make_certificate(tmp_path, tmp_path, "broker", NOW, ["broker.example", "10.0.0.5"])
    client = make_certificate(tmp_path, tmp_path, "gw-1", NOW, days=90)
    for path in (ca, broker, client):
        assert mode(path.with_suffix(".key")) == 0o600
    assert expires(ca) == NOW + timedelta(days=3650)
    assert expires(client) == NOW + timedelta(days=90)
    loaded = x509.load_pem_x509_certificate(client.read_bytes())
    assert loaded.subject.rfc4514_string() == "CN=gw-1"
    names = x509.load_pem_x509_certificate(broker.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["broker.example"]
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(client, client.with_suffix(".key"))


def test_nothing_is_overwritten_and_nothing_outlives_its_authority(tmp_path: Path) -> None:
    ca = make_authority(tmp_path, "district", NOW, days=30)
    before = ca.read_bytes(), ca.with_suffix(".key").read_bytes()
    with pytest.raises(CertificateError, match="exists already"):
        make_authority(tmp_path, "district", NOW)
    assert (ca.read_bytes(), ca.with_suffix(".key").read_bytes()) == before
    assert expires(make_certificate(tmp_path, tmp_path, "gw-1", NOW, days=900)) <= expires(ca)
    with pytest.raises(CertificateError, match="about to expire"):
        make_certificate(tmp_path, tmp_path, "gw-2", NOW + timedelta(days=31))


@pytest.mark.parametrize("name", ["", "a/b", "../gw-1", "x" * 65, "gw 1", "gw-1\n", "CN=center"])
def test_a_name_that_is_no_user_is_refused(tmp_path: Path, name: str) -> None:
    make_authority(tmp_path, "district", NOW)
    with pytest.raises(CertificateError, match="expected 1 to 64"):
        make_certificate(tmp_path, tmp_path, name, NOW)


def test_the_commands(tmp_path: Path) -> None:
    def zhian(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "zhian", "broker", *words]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    folder = str(tmp_path / "a")
    assert "until 20" in zhian("authority", "--out", folder).stdout
    made = zhian("certificate", "broker", "--authority", folder, "--out", folder, "--host", "127.0.0.1")
    assert made.stdout.startswith(f"{folder}/broker.pem (until ")
    again = zhian("authority", "--out", folder)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert zhian("certificate", "gw-1", "--authority", str(tmp_path), "--out", folder).returncode == 1


def district(folder: Path, broker: str = "", ingest: str = "password_file='p'\n") -> Path:
    file = folder / "center.toml"
    file.write_text(
        f"[center]\ndata='data'\nrun='run'\n[broker]\ndata='b'\nusers_file='users.json'\n{broker}"
        f"[ingest]\nusername='center'\nclient_id_file='c'\n{ingest}"
    )
    return file


USERS = [
    {"username": "center", "role": "center", "password": "p" * 16},
    {"username": "wall", "role": "subscriber", "password": "q" * 16},
    {
        "username": "gw-1",
        "role": "gateway",
        "password": "r" * 16,
        "district": "east",
        "site": "garden",
        "gateway": "gw-1",
    },
]


def test_mosquitto_gets_each_users_topics_and_hashed_passwords(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps(USERS))
    configuration, acl, passwords = write_mosquitto(district(tmp_path), tmp_path / "out")
    assert [mode(path) for path in (configuration, acl, passwords)] == [0o600] * 3
    told = configuration.read_text().splitlines()
    assert {"allow_anonymous false", "use_username_as_clientid true", "listener 1883 127.0.0.1"} <= set(told)
    assert not re.search("p{16}|q{16}|r{16}", passwords.read_text())
    gateway = acl.read_text().partition("user gw-1\n")[2].splitlines()
    assert "topic write zhian/v1/east/garden/gw-1/up/event" in gateway
    assert not [line for line in gateway if "+" in line or "#" in line]
    wall = acl.read_text().partition("user wall\n")[2].partition("\n\n")[0]
    assert "write" not in wall


def test_mosquitto_with_tls_asks_for_certificates_and_knows_no_password(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps([{"username": "center", "role": "center"}]))
    file = district(tmp_path, f"host='0.0.0.0'\nport=8883\n{TLS}", CLIENT)
    written = write_mosquitto(file, tmp_path / "out")
    assert [path.name for path in written] == ["mosquitto.conf", "acl"]
    told = set(written[0].read_text().splitlines())
    assert {"require_certificate true", "use_identity_as_username true", f"cafile {tmp_path}/ca.pem"} <= told
    assert "listener 8883 0.0.0.0" in told


def test_a_subscriber_only_listens() -> None:
    may = rights(User(username="wall", role="subscriber"))
    assert may.publish == ()
    assert all(one.startswith("zhian/v1/+/+/+/up/") for one in may.subscribe)


@pytest.mark.parametrize(
    ("broker", "ingest", "words"),
    [
        ("host='0.0.0.0'\n", "password_file='p'\n", "broker.host.*without TLS"),
        ("tls_ca_file='ca.pem'\n", "password_file='p'\n", "go together"),
        (TLS, "password_file='p'\n", "ingest.tls_certificate_file"),
        (TLS, "tls_certificate_file='center.pem'\n", "go together"),
        ("", "", "ingest.password_file"),
    ],
)
def test_half_a_tls_is_refused(tmp_path: Path, broker: str, ingest: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as e:
        center_config.read(district(tmp_path, broker, ingest))
    assert "\n" not in str(e.value)


async def test_a_broker_whose_certificate_has_ended_does_not_start(tmp_path: Path) -> None:
    from center.broker import process

    make_authority(tmp_path, "district", NOW)
    make_certificate(tmp_path, tmp_path, "broker", NOW, ["127.0.0.1"], days=10)
    (tmp_path / "users.json").write_text(json.dumps([{"username": "center", "role": "center"}]))
    with pytest.raises(BrokerError, match="this certificate ended on"):
        await process.run(district(tmp_path, TLS, CLIENT), lambda: NOW + timedelta(days=11))
