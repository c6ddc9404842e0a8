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
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:-]{1,253}(?!\n)$")]
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what is listened on -> where to find it here
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
    """The broker, also the address at which ingest finds it. Beyond loopback only with TLS and client certificates."""

    data: str  # JetStream's folder
    users_file: str  # JSON list of `User`; written by set-up, readable by its owner only
    host: Host = "127.0.0.1"
    port: Port = 1883
    tls_ca_file: str | None = None  # whose client certificates are believed
    tls_certificate_file: str | None = None  # the broker's own
    tls_key_file: str | None = None

    @property
    def tls(self) -> bool:
        """Every client needs a certificate; its CN is the user."""
        return self.tls_ca_file is not None

    @property
    def address(self) -> str:
        """Where a client on this machine finds it."""
        return _EVERY_ADDRESS.get(self.host, self.host)


class Ingest(Table, frozen=True):
    """How ingest signs in at the broker. The client id is a secret: who knows it could displace ingest."""

    username: Username
    client_id_file: str
    password_file: str | None = None  # not needed with TLS
    host: Host | None = None  # where the broker is, unless it is broker.host
    tls_ca_file: str | None = None  # whose broker certificate is believed; broker.tls_ca_file where it is not given
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None


class Web(Table, frozen=True):
    """The center's page."""

    host: Loopback = "127.0.0.1"
    port: Port = 8090


class Store(Table, frozen=True):
    """Where events are kept: a SQLite file in the data folder, or a PostgreSQL database."""

    kind: Literal["sqlite", "postgresql"] = "sqlite"
    dsn_file: str = ""  # a libpq connection string or URI in a file, because it may hold a password


class Retention(Table, frozen=True):
    """How long events are kept, in whole UTC days since they were received."""

    days: Annotated[int, Meta(ge=1, le=36_500)] = 180


class Metrics(Table, frozen=True):
    """Prometheus: without a token file, whoever can reach the page's port on this machine may read the figures."""

    token_file: str = ""


class Webhook(Table, frozen=True):
    """One endpoint of another system that events are posted to, signed."""

    name: Name
    url: Annotated[str, Meta(max_length=2000)]
    secret_file: str
    type: Annotated[str, Meta(pattern=r"^([a-z-]+\.)*[a-z-]*(?!\n)$", max_length=80)] = ""  # a type, or "zhian.access."
    severity_at_least: Literal["info", "notice", "warning", "alarm", "life-safety"] = "info"
    district: Name | None = None
    site: Name | None = None
    gateway: Name | None = None
    timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0
    # How long one event may hold up the others while the endpoint does not take it; then it is a dead letter.
    give_up_after_h: Annotated[float, Meta(gt=0, le=720)] = 6.0
    ca_file: str = ""  # PEM; for https with a certificate of the district's own authority


class CenterConfig(Table, frozen=True):
    """The whole file."""

    center: Center
    broker: Broker
    ingest: Ingest
    web: Web = Web()
    store: Store = Store()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()
    webhook: tuple[Webhook, ...] = ()


class User(Table, frozen=True):
    """One entry of the users file: who may sign in at the broker, and as which gateway."""

    username: Username  # with TLS: the CN of the certificate
    role: Literal["center", "gateway", "subscriber"]
    password: Password | None = None  # needed without TLS, of no use with it
    district: Name | None = None
    site: Name | None = None
    gateway: Name | None = None


def read(path: Path) -> CenterConfig:
    """Parse center.toml. Raises ConfigError: one sentence with file, key, expected, got and what to do."""
    config = load(path, CenterConfig)
    _check_tls(config, str(path))
    return config


def _check_tls(config: CenterConfig, source: str) -> None:
    broker, ingest = config.broker, config.ingest
    for table, files in (
        ("broker", (broker.tls_ca_file, broker.tls_certificate_file, broker.tls_key_file)),
        ("ingest", (ingest.tls_certificate_file, ingest.tls_key_file)),
    ):
        if None in files and any(files):
            raise ConfigError(
                f"{source}: {table}: tls_ca_file, tls_certificate_file and tls_key_file go together; give all three"
            )
    if not broker.tls and broker.host not in LOOPBACK:
        raise ConfigError(
            f"{source}: broker.host: expected one of {', '.join(LOOPBACK)}, got {broker.host!r}: without TLS passwords"
            " go in clear; set broker.tls_ca_file, tls_certificate_file and tls_key_file first (docs/broker.md)"
        )
    if broker.tls and ingest.tls_certificate_file is None:
        raise ConfigError(
            f"{source}: ingest.tls_certificate_file: missing, and this broker asks every client for a certificate;"
            " give ingest one (zhian broker certificate)"
        )
    if not broker.tls and ingest.password_file is None and ingest.tls_certificate_file is None:
        raise ConfigError(f"{source}: ingest.password_file: missing; without TLS ingest signs in with a password")


def broker_tls_files(config_file: Path, config: CenterConfig) -> tuple[Path, Path, Path] | None:
    """(authority's certificate, broker's certificate, its key); None without TLS."""
    told = config.broker
    if told.tls_ca_file is None or told.tls_certificate_file is None or told.tls_key_file is None:
        return None
    files = (told.tls_ca_file, told.tls_certificate_file, told.tls_key_file)
    return tuple(resolve(config_file, one) for one in files)  # type: ignore[return-value]


def ingest_tls_files(config_file: Path, config: CenterConfig) -> tuple[Path, Path, Path] | None:
    """(authority's certificate, ingest's certificate, its key); None without TLS."""
    told = config.ingest
    ca_file = told.tls_ca_file or config.broker.tls_ca_file
    if ca_file is None or told.tls_certificate_file is None or told.tls_key_file is None:
        return None
    files = (ca_file, told.tls_certificate_file, told.tls_key_file)
    return tuple(resolve(config_file, one) for one in files)  # type: ignore[return-value]


def resolve(config_file: Path, path: str) -> Path:
    """An absolute path; relative ones start at the configuration file's folder."""
    return (config_file.parent / path).resolve()


def database_file(config_file: Path, config: CenterConfig) -> Path:
    """The one SQLite file of the center."""
    return resolve(config_file, config.center.data) / "center.sqlite"


def read_users(path: Path, *, with_passwords: bool = True) -> tuple[User, ...]:
    """The users file; with TLS it needs no passwords. Raises ConfigError with one sentence; never shows a password."""
    raw = _read_bytes(path, MAX_USERS_BYTES, "users file")
    try:
        plain = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(
            f"{path}: expected a JSON list of users, got something else; write it again by set-up"
        ) from None
    if not isinstance(plain, list):
        raise ConfigError(f"{path}: expected a JSON list of users, got something else; write it again by set-up")
    users = tuple(_user(entry, f"{path}: user {i + 1}", with_passwords) for i, entry in enumerate(plain))
    names = [user.username for user in users]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{path}: the username {twice!r} is used twice; give each user its own")
    return users


def _user(entry: object, source: str, with_passwords: bool) -> User:
    # The check would quote the value that is wrong, so the secret is looked at first and apart.
    secret = entry.get("password") if isinstance(entry, dict) else None
    try:
        msgspec.convert(secret, Password if with_passwords else Password | None)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{source}: password: expected 16..128 printable ASCII characters without spaces; make a new one"
        ) from None
    user = check(entry, User, source)
    place = (user.district, user.site, user.gateway)
    if user.role == "gateway" and None in place:
        raise ConfigError(f"{source}: a gateway needs district, site and gateway; add them")
    if user.role != "gateway" and place != (None, None, None):
        raise ConfigError(f"{source}: a {user.role} has no district, site or gateway; remove them")
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
