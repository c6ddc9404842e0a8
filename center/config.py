"""center.toml as frozen typed tables: every key, default and unit of a center is here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.errors import ConfigError
from runtime.toml_file import Table, check, load

Port = Annotated[int, Meta(ge=1, le=65535)]
Loopback = Literal["127.0.0.1", "::1", "localhost"]  # until accounts and TLS are set up
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Username = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}(?!\n)$")]
# Printable ASCII: what every broker's configuration and MQTT client can carry unchanged. 16 is a floor for machines.
Password = Annotated[str, Meta(pattern=r"^[!-~]{16,128}(?!\n)$")]

MAX_SECRET_BYTES = 1024
MAX_USERS_BYTES = 8_000_000  # about 40 000 gateways


class Center(Table, frozen=True):
    """Folders; relative paths are relative to the configuration file."""

    data: str  # the database
    run: str  # generated configuration of the broker


class Broker(Table, frozen=True):
    """The embedded broker, also the address at which ingest finds it."""

    data: str  # JetStream's folder
    users_file: str  # JSON list of `User`; written by set-up, readable by its owner only
    host: Loopback = "127.0.0.1"
    port: Port = 1883


class Ingest(Table, frozen=True):
    """How ingest signs in at the broker. The client id is a secret: who knows it could displace ingest."""

    username: Username
    password_file: str
    client_id_file: str


class Web(Table, frozen=True):
    """The center's page."""

    host: Loopback = "127.0.0.1"
    port: Port = 8090


class CenterConfig(Table, frozen=True):
    """The whole file."""

    center: Center
    broker: Broker
    ingest: Ingest
    web: Web = Web()


class User(Table, frozen=True):
    """One entry of the users file: who may sign in at the broker, and as which gateway."""

    username: Username
    password: Password
    role: Literal["center", "gateway"]
    district: Name | None = None
    site: Name | None = None
    gateway: Name | None = None


def read(path: Path) -> CenterConfig:
    """Parse center.toml. Raises ConfigError: one sentence with file, key, expected, got and what to do."""
    return load(path, CenterConfig)


def resolve(config_file: Path, path: str) -> Path:
    """An absolute path; relative ones start at the configuration file's folder."""
    return (config_file.parent / path).resolve()


def database_file(config_file: Path, config: CenterConfig) -> Path:
    """The one SQLite file of the center."""
    return resolve(config_file, config.center.data) / "center.sqlite"


def read_users(path: Path) -> tuple[User, ...]:
    """The users file. Raises ConfigError with one sentence; never shows a password."""
    raw = _read_bytes(path, MAX_USERS_BYTES, "users file")
    try:
        plain = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(
            f"{path}: expected a JSON list of users, got something else; write it again by set-up"
        ) from None
    if not isinstance(plain, list):
        raise ConfigError(f"{path}: expected a JSON list of users, got something else; write it again by set-up")
    users = tuple(_user(entry, f"{path}: user {i + 1}") for i, entry in enumerate(plain))
    names = [user.username for user in users]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{path}: the username {twice!r} is used twice; give each user its own")
    return users


def _user(entry: object, source: str) -> User:
    # The check would quote the value that is wrong, so the secret is looked at first and apart.
    secret = entry.get("password") if isinstance(entry, dict) else None
    try:
        msgspec.convert(secret, Password)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{source}: password: expected 16..128 printable ASCII characters without spaces; make a new one"
        ) from None
    user = check(entry, User, source)
    place = (user.district, user.site, user.gateway)
    if user.role == "gateway" and None in place:
        raise ConfigError(f"{source}: a gateway needs district, site and gateway; add them")
    if user.role == "center" and place != (None, None, None):
        raise ConfigError(f"{source}: a center has no district, site or gateway; remove them")
    return user


def read_secret(path: Path, what: str) -> str:
    """One line of text from a file. Raises ConfigError that names the file and never shows what is in it."""
    raw = _read_bytes(path, MAX_SECRET_BYTES, what)
    try:
        text = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise ConfigError(f"{path}: expected one line of printable ASCII as the {what}; write the file again by set-up")
    return text


def _read_bytes(path: Path, limit: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such {what}; set-up writes it") from None
    except OSError as e:
        raise ConfigError(f"{path}: the {what} cannot be read ({e.strerror}); check its permissions") from None
    if len(raw) > limit:
        raise ConfigError(f"{path}: a {what} has at most {limit} bytes; write the file again by set-up")
    return raw
