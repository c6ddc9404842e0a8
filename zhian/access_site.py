"""What `zhian access` and `zhian portal` share: a gateway's policy from its files, and its running core."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from gateway import config as configuration
from gateway.config import GatewayConfig
from gateway.drivers.only_one import only_one
from gateway.errors import OperationsUnavailableError
from gateway.operations.client import OperationsClient
from gateway.store import policy_file
from gateway.store.policy_compile import compile_document
from gateway.store.policy_document import PolicyDocument, canonical
from gateway.store.policy_store import InForce, Place, PolicyStore, open_key, open_policy, seen_by_journal
from gateway.store.policy_versions import VersionRow, open_versions, open_versions_read_only
from gateway.wiring import exit_readers, portal_names
from runtime.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway's files, as its gateway.toml names them."""

    file: Path
    config: GatewayConfig

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.config.site.timezone)

    @property
    def place(self) -> Place:
        """Whose policy it is, and what it must describe."""
        site = self.config.site
        return Place(site.district, site.site, tuple(self.portals()), exit_readers(self.config))

    @property
    def versions(self) -> Path:
        """Where the versions are."""
        return configuration.policy_database(self.file, self.config)

    @property
    def policy_toml(self) -> Path:
        """The file that counts at the first start."""
        return configuration.resolve(self.file, self.config.policy.file)

    @property
    def journal(self) -> Path:
        """Where the events are."""
        return configuration.database_file(self.file, self.config)

    def now(self) -> datetime:
        """The site's local time by this machine's clock."""
        return datetime.now(self.zone)

    def portals(self) -> list[str]:
        """Every portal that the policy must describe."""
        return list(portal_names(self.config))


def open_site(config: Path) -> Site:
    """Read gateway.toml. Raises ConfigError."""
    return Site(config, configuration.read(config))


def stored(site: Site) -> PolicyStore:
    """The versions, read-only, verified: beside a running core or without one. Raises UserError."""
    if not site.versions.exists():
        raise UserError(f"{site.versions}: no policy is stored yet; start core once, or run zhian access import")
    key = open_key(configuration.policy_key_file(site.file, site.config), site.versions)
    store = PolicyStore(open_versions_read_only(site.versions), key, site.place)
    store.load()
    return store


def present(site: Site) -> InForce:
    """The policy of the site: what is stored, or before the first start what policy.toml says. Raises UserError."""
    if site.versions.exists():
        return stored(site).in_force
    return from_file(site.policy_toml)


def from_file(file: Path) -> InForce:
    """A policy.toml as if it were in force. Raises ConfigError."""
    document = policy_file.read_document(file)
    policy = compile_document(document, str(file))
    return InForce(VersionRow(document.version, 0, "", "import", ""), document, policy)


def core(site: Site) -> OperationsClient:
    """The operations of the running core."""
    return OperationsClient(configuration.operations_socket(site.file, site.config))


def ask(site: Site, call: Callable[[OperationsClient], Awaitable[T]]) -> T:
    """One call to the running core. Raises OperationRefusedError, OperationsUnavailableError."""

    async def one() -> T:
        return await call(core(site))

    return asyncio.run(one())


def operator_or_me(operator: str | None) -> str:
    """The name that is written down: the one given, else this account's."""
    return (operator or getpass.getuser())[:64]


def take(site: Site, file: Path, document: PolicyDocument, operator: str, *, over: bool) -> int:
    """Hand a document to core, or where core does not run, make it the next version here. Returns its number.

    over: whatever version is in force, and also where the stored one is older than what the journal knows.
    """
    base = None if over else document.version
    own = file.resolve() == site.policy_toml.resolve()
    digest = policy_file.digest(policy_file.read_bytes(file)) if own else None
    try:
        return ask(site, lambda client: client.replace_policy(canonical(document), base, operator, digest))
    except OperationsUnavailableError:
        with only_one(configuration.resolve(site.file, site.config.paths.data)):
            return _take_here(site, file, document, operator, base, digest)


def _take_here(
    site: Site, file: Path, document: PolicyDocument, operator: str, base: int | None, digest: str | None
) -> int:
    newest_seen = seen_by_journal(site.journal)
    key_file = configuration.policy_key_file(site.file, site.config)
    now_ms = int(site.now().timestamp() * 1000)
    if not site.versions.exists() and newest_seen == 0:
        store = open_policy(site.versions, key_file, site.place, file, now_ms=now_ms, newest_seen=0)
        store.close()
        return store.in_force.row.version
    store = PolicyStore(open_versions(site.versions), open_key(key_file, site.versions), site.place)
    try:
        store.load(0 if base is None else newest_seen)
        made = store.commit(
            document,
            base=base,
            operator=operator,
            cause="import",
            now_ms=now_ms,
            imported_file=digest,
            at_least=newest_seen + 1,
        )
    finally:
        store.close()
    return made.row.version


def refused(file: Path, policy: InForce, site: Site | None) -> str:
    """Why core of `site` would refuse the policy for what it lacks, or ""."""
    problem = site.place.problem(policy.policy) if site else ""
    return f"{file}: {problem}" if problem else ""


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read: a policy holds names and plates. Raises UserError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
    except OSError as e:
        raise UserError(f"{path}: cannot be written ({e.strerror}); choose another file") from e
