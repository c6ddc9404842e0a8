"""Edits of the policy while core runs: one at a time, committed, in force at the next request, told as an event.

Implements `operations.PolicyDesk`. The order of every edit is sign, commit, publish, announce: a power cut before the
commit leaves the old version, after it the new one; an event that could not be recorded is recorded at the next start.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from center.contract.catalogue import PolicyChanged
from gateway.access.passes import Pass
from gateway.access.policy import Policy
from gateway.errors import OperationRefusedError, StoreError
from gateway.ports import Clock, NewEntry, Recorder
from gateway.store import policy_edits, policy_revocations
from gateway.store.policy_document import Cause, PolicyDocument, decode_document
from gateway.store.policy_edits import NewPass
from gateway.store.policy_store import POLICY_SEEN, InForce, PolicyStore
from gateway.store.policy_versions import MAX_BODY_BYTES
from runtime.log import get

log = get("policy")
UPLOAD = re.compile(r"policy-[0-9a-f]{16}\.json")
PASS_ID_BYTES = 8

Edit = Callable[[InForce], PolicyDocument]


@dataclass(frozen=True, slots=True)
class IssuedPass:
    """A visitor pass: what its QR code says, and since which version of the policy it is known."""

    id: str
    text: str
    version: int


class PolicyDesk:
    """The one place through which a running core's policy changes."""

    def __init__(
        self,
        store: PolicyStore,
        clock: Clock,
        recorder: Recorder,
        *,
        publish: Callable[[Policy], None],
        token: Callable[[str, str], str],
        incoming: Path,
        changed: Callable[[Policy], Awaitable[None]] | None = None,
    ) -> None:
        """publish: makes a policy the one that the next request is decided by. token: as Judge.token.
        incoming: folder in which the operations client leaves whole documents. changed: awaited after each edit."""
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._publish = publish
        self._token = token
        self._incoming = incoming
        self._changed = changed
        self._one_at_a_time = asyncio.Lock()

    @property
    def in_force(self) -> InForce:
        """The version that decides now."""
        return self._store.in_force

    @property
    def policy(self) -> Policy:
        """The policy that decides now."""
        return self._store.in_force.policy

    async def at(self, at_ms: int) -> Policy | None:
        """The policy that was in force at `at_ms` (Unix ms); None before the oldest that is kept. Raises StoreError."""
        async with self._one_at_a_time:
            found = await asyncio.to_thread(self._store.at, at_ms)
        return found.policy if found else None

    async def replace(self, upload: str, base: int | None, operator: str, imported: str | None = None) -> int:
        """Take the document of the file `upload` of `incoming`; returns its version. base: the version it was made
        from, None = whatever is in force. imported: sha256 of the site's policy.toml, where
        it is that. Raises OperationRefusedError, ConfigError, StoreError."""
        document = await asyncio.to_thread(self._read_upload, upload)
        made = await self._change(lambda _: document, operator, "import", base, imported)
        return made.row.version

    async def revoke(self, holder: str, credential: str, operator: str) -> int:
        """Once this has returned, the credential opens nothing. Raises OperationRefusedError, StoreError."""
        made = await self._change(
            lambda now: policy_edits.with_revocation(now.document, holder, credential, True), operator, "revoke"
        )
        return made.row.version

    async def restore(self, holder: str, credential: str, operator: str) -> int:
        """Take a revocation back. Raises OperationRefusedError, StoreError."""
        made = await self._change(
            lambda now: policy_edits.with_revocation(now.document, holder, credential, False), operator, "restore"
        )
        return made.row.version

    async def undo(self, version: int | None, operator: str) -> int:
        """A new version with the document of `version` (None: the one before). What is revoked or missing now comes
        back revoked. Raises OperationRefusedError, ConfigError, StoreError."""
        made = await self._change(lambda now: undone(self._store, now, version), operator, "undo")
        return made.row.version

    async def issue_pass(
        self,
        *,
        holder: str,
        portals: tuple[str, ...],
        valid_from: datetime,
        valid_until: datetime,
        uses: int | None,
        plate: str | None,
        note: str,
        operator: str,
    ) -> IssuedPass:
        """Sign a visitor pass and enter it in the policy, so that it is listed and can be revoked.
        Raises OperationRefusedError, ConfigError, StoreError."""
        asked = NewPass(holder, portals, valid_from, valid_until, uses, plate, note)
        pass_id = secrets.token_hex(PASS_ID_BYTES)
        now, certain = self._clock.local(), self._clock.certain
        policy_edits.check_pass(asked, now)
        text = self._store.pass_text(
            Pass(
                bytes.fromhex(pass_id),
                holder,
                portals,
                int(valid_from.timestamp()),
                int(valid_until.timestamp()),
                uses,
            )
        )
        made = await self._change(
            lambda present: policy_edits.with_pass(present.document, asked, pass_id, now, clock_certain=certain),
            operator,
            "pass",
        )
        return IssuedPass(pass_id, text, made.row.version)

    def check_face(self, holder: str, portals: tuple[str, ...], valid_until: datetime) -> None:
        """Raises OperationRefusedError where `admit_face` would; changes nothing."""
        policy_edits.with_face(self.in_force.document, holder, portals, valid_until)

    async def admit_face(self, holder: str, portals: tuple[str, ...], valid_until: datetime, operator: str) -> int:
        """The holder's face counts at these portals until then. Raises OperationRefusedError, StoreError."""
        made = await self._change(
            lambda now: policy_edits.with_face(now.document, holder, portals, valid_until), operator, "face"
        )
        return made.row.version

    async def dismiss_face(self, holder: str, operator: str) -> int:
        """The holder's face counts nowhere any more; the version in force where it did not. Raises StoreError."""
        if policy_edits.without_face(self.in_force.document, holder) is self.in_force.document:
            return self.in_force.row.version
        made = await self._change(lambda now: policy_edits.without_face(now.document, holder), operator, "face")
        return made.row.version

    async def announce(self) -> None:
        """Record the events of versions that have none yet: once at the start of core; each edit does it itself."""
        async with self._one_at_a_time:
            await self._announce()

    async def _announce(self) -> None:
        rows = await asyncio.to_thread(self._store.versions.unannounced)
        if not rows:
            return
        events = [
            NewEntry(PolicyChanged(row.version, row.digest[:16], self._token("operator", row.operator))) for row in rows
        ]
        await self._recorder.record(events, keep={POLICY_SEEN: str(rows[-1].version)})
        await asyncio.to_thread(self._store.versions.mark_announced, rows[-1].version)

    async def _change(
        self, edit: Edit, operator: str, cause: Cause, base: int | None = None, imported: str | None = None
    ) -> InForce:
        async with self._one_at_a_time:
            made = await asyncio.to_thread(self._commit, edit, operator, cause, base, imported)
            self._publish(made.policy)
            log.info("a new version of the policy is in force", version=made.row.version, cause=cause)
            try:
                await self._announce()
                if self._changed is not None:
                    await self._changed(made.policy)
            except (
                StoreError
            ) as e:  # the edit itself is safe, and says who made it; its event follows at the next start
                log.error("the policy's change could not be recorded in the journal yet", error=str(e))
        return made

    def _commit(self, edit: Edit, operator: str, cause: Cause, base: int | None, imported: str | None) -> InForce:
        return self._store.commit(
            edit(self._store.in_force),
            base=base,
            operator=operator,
            cause=cause,
            now_ms=self._clock.now_ms(),
            imported_file=imported,
            clock_certain=self._clock.certain,
        )

    def _read_upload(self, name: str) -> PolicyDocument:
        if not UPLOAD.fullmatch(name):
            raise OperationRefusedError("an upload is named policy-<16 hex digits>.json; hand it in with zhian access")
        try:
            with (self._incoming / name).open("rb") as file:
                raw = file.read(MAX_BODY_BYTES + 1)
        except OSError as e:
            raise OperationRefusedError(f"the document {name} cannot be read ({e.strerror}); hand it in again") from e
        if len(raw) > MAX_BODY_BYTES:
            raise OperationRefusedError(f"the document has more than {MAX_BODY_BYTES} bytes; hand in a smaller one")
        try:
            return decode_document(raw)
        except (msgspec.MsgspecError, RecursionError) as e:
            raise OperationRefusedError(f"the document cannot be read: {e}; hand it in with zhian access import") from e


def undone(store: PolicyStore, now: InForce, version: int | None) -> PolicyDocument:
    """The document of an earlier version, which opens for nothing that is revoked or missing now: undoing an edit
    never opens a door for a card that was lost meanwhile. Raises OperationRefusedError, StoreError."""
    if version is None:
        before = [row.version for row in store.versions.rows() if row.version < now.row.version]
        if not before:
            raise OperationRefusedError(f"version {now.row.version} is the first; there is nothing to undo")
        version = before[0]
    if version == now.row.version:
        raise OperationRefusedError(f"version {version} is in force already; name an earlier one")
    return policy_revocations.undoing(store.version(version).document, now.document)
