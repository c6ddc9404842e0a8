"""Write the generated files of brokers, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from center import config as center_config
from center.broker import mosquitto
from center.broker.process import read_users, write_private
from center.errors import BrokerError


def write_mosquitto(config_file: Path, folder: Path) -> list[Path]:
    """mosquitto.conf, acl and (without TLS) passwords in `folder`. Raises ConfigError or BrokerError."""
    settings = center_config.read(config_file)
    users = read_users(config_file, settings)
    tls = center_config.broker_tls_files(config_file, settings)
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # mosquitto may be started anywhere; links stay
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise BrokerError(f"{folder}: the folder cannot be made ({e.strerror}); choose another") from e
    texts = {
        mosquitto.CONFIGURATION: mosquitto.mosquitto_conf(settings.broker, folder, tls),
        mosquitto.ACL: mosquitto.acl(users),
    }
    if tls is None:
        texts[mosquitto.PASSWORDS] = mosquitto.passwords(users, secrets.token_bytes(32))
    for name, text in texts.items():
        write_private(folder / name, text)
    return [folder / name for name in texts]
