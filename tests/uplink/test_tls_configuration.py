"""gateway.toml's way to the center: TLS whole or not at all, no password beyond this machine, an id from the key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from center.broker.authority import make_authority, make_certificate
from gateway import config as configuration
from gateway import wiring
from runtime.errors import ConfigError

BASE = """
[site]
district = "east"
site = "garden"
gateway = "gw-1"
label = {zh = "柳园", en = "Willow Garden"}
site_key_file = "site.key"
[paths]
data = "data"
run = "run"
[policy]
file = "policy.toml"
[uplink]
mode = "mqtt"
"""
TLS = "tls_ca_file = 'ca.pem'\ntls_certificate_file = 'gw.pem'\ntls_key_file = 'gw.key'\n"


def written(folder: Path, uplink: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(BASE + uplink)
    return file


@pytest.mark.parametrize(
    ("uplink", "words"),
    [
        ("tls_ca_file = 'ca.pem'\n", "go together"),
        ("host = 'broker.example'\nclient_id_file = 'c'\nusername = 'u'\npassword_file = 'p'\n", "uplink.host.*clear"),
        ("username = 'u'\n", "client_id_file"),
        ("host = 'a b'\n" + TLS, "uplink.host"),
    ],
)
def test_half_a_tls_is_refused(tmp_path: Path, uplink: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        configuration.read(written(tmp_path, uplink))


def test_with_tls_the_client_id_comes_from_the_key_and_no_password_is_sent(tmp_path: Path) -> None:
    file = written(tmp_path, "host = 'broker.example'\nport = 8883\n" + TLS)
    key = tmp_path / "gw.key"
    key.write_bytes(b"a private key")
    key.chmod(0o600)
    config = configuration.read(file)
    told = wiring.uplink_settings(file, config)
    assert told is not None
    assert told.tls is not None
    assert (told.host, told.username, told.password) == ("broker.example", None, None)
    assert len(told.client_id) == 32, "a certificate that cannot be read must not keep the doors from starting"
    now = datetime.now(UTC)
    make_authority(tmp_path / "ca", "authority", now)
    made = make_certificate(tmp_path / "ca", tmp_path / "made", "garden-gw-1", now)
    (tmp_path / "gw.pem").write_bytes(made.read_bytes())
    named = wiring.uplink_settings(file, config)
    assert named is not None
    assert named.client_id == f"garden-gw-1/{told.client_id}", "at the broker it belongs to this user"
    key.write_bytes(b"another private key")
    again = wiring.uplink_settings(file, config)
    assert again is not None
    assert again.client_id != told.client_id
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="only its owner"):
        wiring.uplink_settings(file, config)
