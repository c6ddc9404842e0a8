"""The policy in force: loaded, checked, changed. A change is signed and committed, and only then in force.

What is checked at start, each refused with one sentence: the newest version carries the signature of this site's key,
is of this district and site, is no older than the newest that the journal has seen in force, and can be compiled.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gateway.access import passes
from gateway.access.decide import INVALID_PASS_KEY
from gateway.access.passes import Pass
from gateway.access.policy import Credential, Policy
from gateway.access.presence import NO_PASSES
from gateway.errors import OperationRefusedError, StoreError
from gateway.model import CredentialKind, Presented
from gateway.store import policy_file, policy_revocations
from gateway.store.policy_compile import compile_document
from gateway.store.policy_document import (
    NO_REVOCATIONS,
    Cause,
    PolicyDocument,
    Revocations,
    SignedBody,
    canonical,
    decode_body,
)
from gateway.store.policy_signing import PolicyKey, make_key_file, read_key
from gateway.store.policy_versions import PolicyVersions, SignedVersion, VersionRow, open_versions
from runtime.errors import ConfigError
from runtime.log import get

log = get("policy")

POLICY_SEEN = "policy-version"  # in the journal's kept values, written with the event of each version
FIRST_IMPORT_OPERATOR = "set-up"
_NOTHING = (PolicyDocument(version=1), NO_REVOCATIONS)  # before the first version


@dataclass(frozen=True, slots=True)
class Place:
    """Whose policy it is, and which portals it must describe. exits: the reader on the inner side of a portal, of which
    the policy must say that who asks there leaves."""

    district: str
    site: str
    portals: tuple[str, ...] = ()
    exits: Mapping[str, str] = field(default_factory=dict)

    def problem(self, policy: Policy) -> str:
        """What `policy` lacks for this gateway, as key, expected and what to do; "" where it lacks nothing."""
        for name in self.portals:
            if name not in policy.portals:
                return f"portal {name!r} of this gateway is missing; add a [[portal]] table for it"
        for name, reader in self.exits.items():
            if name in policy.portals and not policy.portals[name].leaving(reader):
                return (
                    f"portal {name!r}: exit_points: expected the exit_reader {reader!r} of gateway.toml among them,"
                    " since who asks there leaves; add it"
                )
        return ""


@dataclass(frozen=True, slots=True)
class InForce:
    """One version: as it is kept, as people write it, and as `decide` uses it; and what stays revoked from then on."""

    row: VersionRow
    document: PolicyDocument
    policy: Policy
    lasting: Revocations = NO_REVOCATIONS


class PolicyStore:
    """The versions, the key that signs them, and the version in force. Synchronous; one process writes."""

    def __init__(self, versions: PolicyVersions, key: PolicyKey, place: Place) -> None:
        self._versions = versions
        self._key = key
        self._place = place
        self._in_force: InForce | None = None

    @property
    def key(self) -> PolicyKey:
        """The site's key: visitor passes are signed by it, too."""
        return self._key

    @property
    def versions(self) -> PolicyVersions:
        """What is kept."""
        return self._versions

    @property
    def in_force(self) -> InForce:
        """The version that decides now. Raises StoreError before `load` or the first `commit`."""
        if self._in_force is None:
            raise StoreError(f"{self._versions.file}: no policy is in force yet; import one: zhian access import")
        return self._in_force

    def close(self) -> None:
        """Close the file."""
        self._versions.close()

    def load(self, newest_seen: int = 0) -> bool:
        """Take the newest version into force; False where there is none yet. Raises StoreError, ConfigError.

        newest_seen: the highest version of which another record of this gateway (its journal) says it was in force.
        """
        file = self._versions.file
        stored = self._versions.newest()
        newest = max(newest_seen, self._versions.newest_number())
        if newest > (stored.row.version if stored else 0):
            has = f"the newest here is {stored.row.version}" if stored else "there is none here"
            raise StoreError(
                f"{file}: version {newest} of the policy was in force, but {has}; restore this file from the newest"
                " backup, or stop core and decide yourself: zhian access import FILE --over"
            )
        if stored is None:
            return False
        self._in_force = self.verified(stored)
        self._check_portals(self._in_force.policy, str(file))
        return True

    def verified(self, stored: SignedVersion) -> InForce:
        """A stored version, its signature and place checked, compiled. Raises StoreError, ConfigError."""
        source = f"{self._versions.file}: version {stored.row.version}"
        if not self._key.policy_is_ours(stored.body, stored.signature):
            raise StoreError(
                f"{source} is not signed by this site's policy key; put the right key file back, or restore the"
                " file from a backup"
            )
        try:
            body = decode_body(stored.body)
        except msgspec.MsgspecError as e:
            raise StoreError(f"{source} was written by another release ({e}); install the matching one") from e
        if (body.district, body.site) != (self._place.district, self._place.site):
            raise StoreError(
                f"{source} is the policy of {body.district}/{body.site}, this gateway is at"
                f" {self._place.district}/{self._place.site}; put back the site's own file"
            )
        row = VersionRow(body.version, body.made_ms, body.operator, body.cause, hashlib.sha256(stored.body).hexdigest())
        if row != stored.row:
            raise StoreError(f"{source} differs from what its row says; restore the file from a backup")
        return InForce(row, body.document, compile_document(body.document, source, body.version), body.revocations)

    def at(self, at_ms: int) -> InForce | None:
        """The version that was in force at `at_ms` (Unix ms); None before the oldest that is kept."""
        version = self._versions.in_force_at(at_ms)
        return None if version is None else self.version(version)

    def version(self, version: int) -> InForce:
        """A kept version. Raises StoreError."""
        if self._in_force is not None and version == self._in_force.row.version:
            return self._in_force
        return self.verified(self._versions.load(version))

    def commit(
        self,
        document: PolicyDocument,
        *,
        base: int | None,
        operator: str,
        cause: Cause,
        now_ms: int,
        imported_file: str | None = None,
        at_least: int = 0,
        clock_certain: bool = False,
    ) -> InForce:
        """Make `document` the next version and take it into force; after this returns, it survives a power cut.

        Whatever was ever revoked is revoked in it, too, but for what a "restore" takes back.
        clock_certain: `now_ms` is right, so that passes which ended long ago are forgotten.
        base: the version the editor began with; another one in force refuses the edit. None: whatever is in force.
        at_least: the new version's number is not below it. Raises OperationRefusedError, ConfigError, StoreError.
        """
        present = self._in_force.row if self._in_force else None
        if base is not None and base != (present.version if present else 0):
            raise OperationRefusedError(_conflict(base, present))
        version = max(self._versions.newest_number() + 1, at_least)
        before, lasting = (self._in_force.document, self._in_force.lasting) if self._in_force else _NOTHING
        lasting = policy_revocations.after_edit(lasting, before, document, cause)
        if clock_certain:
            lasting = policy_revocations.without_expired(lasting, datetime.fromtimestamp(now_ms / 1000, UTC))
        document = replace(policy_revocations.applied(lasting, document), version=version)
        policy = compile_document(document, "policy", version)
        self._check_portals(policy, "policy")
        made_ms = max(now_ms, present.made_ms if present else 0)  # a clock set back does not reorder versions
        body = canonical(
            SignedBody(
                district=self._place.district,
                site=self._place.site,
                version=version,
                made_ms=made_ms,
                operator=operator,
                cause=cause,
                document=document,
                revocations=lasting,
            )
        )
        try:
            decode_body(body)  # what could not be read again at the next start is refused now
        except msgspec.MsgspecError as e:
            raise OperationRefusedError(f"the policy would be too large or misshapen ({e}); nothing was changed") from e
        row = VersionRow(version, made_ms, operator, cause, hashlib.sha256(body).hexdigest())
        self._versions.append(SignedVersion(row, self._key.sign_policy(body), body), imported_file)
        self._in_force = InForce(row, document, policy, lasting)
        return self._in_force

    def pass_text(self, claims: Pass) -> str:
        """What the QR code of a pass says, signed. Raises OperationRefusedError for claims outside the limits."""
        try:
            return passes.encode(claims, self._key.id, self._key.sign_pass)
        except passes.PassError as e:
            raise OperationRefusedError(str(e)) from None

    def read_pass(self, text: str) -> tuple[Presented, Mapping[str, Credential]]:
        """A scanned text as `decide` takes it: what was presented, and for a pass of this site what it says.

        Needs no network and no list: what the policy says of a pass that it knows goes before what the pass says.
        """
        try:
            claims = passes.read(text, self._signed_here)
        except passes.PassError as e:
            log.info("a scanned code is no pass of this site", cause=str(e))
            return Presented(CredentialKind.QR, INVALID_PASS_KEY), NO_PASSES
        credential = passes.as_credential(claims)
        return Presented(CredentialKind.QR, credential.key), {credential.key: credential}

    def _signed_here(self, key_id: bytes, message: bytes, signature: bytes) -> bool:
        return key_id == self._key.id and self._key.pass_is_ours(message, signature)

    def _check_portals(self, policy: Policy, source: str) -> None:
        """Every portal of this gateway must be described: better now than at the first card."""
        if problem := self._place.problem(policy):
            raise ConfigError(f"{source}: {problem}")


def _conflict(base: int, present: VersionRow | None) -> str:
    if present is None:
        return f"this edit began with version {base}, but no version is in force; import it without a base"
    return (
        f"this edit began with version {base}, but version {present.version} of operator {present.operator!r}"
        f" ({present.cause}) is in force; export it, make your changes there, and import that"
    )


def open_key(path: Path, versions_file: Path) -> PolicyKey:
    """The site's key; made at the very first start, while nothing is signed yet. Raises ConfigError."""
    if not path.exists() and not versions_file.exists():
        make_key_file(path)
    return read_key(path)


def open_policy(
    versions_file: Path, key_file: Path, place: Place, first_import: Path, *, now_ms: int, newest_seen: int
) -> PolicyStore:
    """The store with a policy in force: the newest version, or at the very first start what `first_import` says.

    The file counts once. Later it is only read by `zhian access import`, since a restart must not undo what was
    changed since (a revoked card, say). Raises ConfigError, StoreError.
    """
    if not versions_file.exists() and newest_seen == 0:
        policy_file.read(first_import)  # a wrong file leaves neither key nor store behind
    key = open_key(key_file, versions_file)
    store = PolicyStore(open_versions(versions_file), key, place)
    if not store.load(newest_seen):
        raw = policy_file.read_bytes(first_import)
        document = policy_file.parse(raw, str(first_import))
        compile_document(document, str(first_import))
        store.commit(
            document,
            base=None,
            operator=FIRST_IMPORT_OPERATOR,
            cause="import",
            now_ms=now_ms,
            imported_file=policy_file.digest(raw),
            at_least=document.version,
        )
    return store


def file_was_changed(store: PolicyStore, file: Path) -> bool:
    """Whether policy.toml differs from what was last imported: it then waits for `zhian access import`."""
    try:
        return policy_file.digest(policy_file.read_bytes(file)) != store.versions.imported_file()
    except ConfigError:
        return False  # gone or unreadable: nothing that could be imported


def seen(kept: Mapping[str, str]) -> int:
    """The newest version of which the journal knows that it was in force; 0 where it knows of none."""
    value = kept.get(POLICY_SEEN, "")
    return int(value) if value.isdecimal() else 0


def seen_by_journal(database: Path) -> int:
    """As `seen`, of a journal that core does not have open now; 0 where there is none. Raises StoreError."""
    if not database.exists():
        return 0
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return seen(
                dict(connection.execute("SELECT key, value FROM kept WHERE key = ?", (POLICY_SEEN,)).fetchall())
            )
        finally:
            connection.close()
    except sqlite3.OperationalError as e:
        if "no such table" in str(e):
            return 0
        raise StoreError(f"{database}: cannot be read ({e}); check the disk") from e
    except sqlite3.Error as e:
        raise StoreError(f"{database}: cannot be read ({e}); check the disk") from e
