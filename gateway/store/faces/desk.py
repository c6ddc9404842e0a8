"""What a running core does with faces: enrol, withdraw, expire, and the gallery for the vision process.

One thing at a time. A withdrawal answers once the key is destroyed and the gallery without the holder was handed on.
"""

from __future__ import annotations

import asyncio
import hmac
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import mul
from pathlib import Path
from typing import Protocol

from center.contract.catalogue import FaceEnrolled, FaceErased
from gateway.access.policy import Policy
from gateway.errors import OperationRefusedError, StoreError
from gateway.model import CredentialKind
from gateway.ports import Clock, NewEntry, Recorder
from gateway.store.faces.consent import FILING_THRESHOLD, Consent, check
from gateway.store.faces.ledger import Receipt
from gateway.store.faces.store import Enrolment, FaceStore, Reference
from runtime.log import get

RETENTION_EVERY_S = 600.0
RETENTION = "face-retention"  # the operator that the policy's history shows for what the job changed
# Cosine above which two references count as one person: none of 282 777 comparisons of two people of LFW reached it; at
# 0.5 two in ten thousand did, which a site of some hundred holders would meet (docs/faces.md).
SAME_PERSON = 0.6
TOLD_KEY = "faces-told"  # among the journal's kept values: number and digest of the newest erasure whose event it has
TOLD_AT_ONCE = 100  # events of erasures in one commit: a site that loses all its holders must not stop the journal
COMPARED_AT_ONCE = 20  # references between two turns of the event loop: far below a millisecond, so no door waits
log = get("faces")


class PolicyEdits(Protocol):
    """What of the policy's desk is used here."""

    @property
    def policy(self) -> Policy: ...

    def check_face(self, holder: str, portals: tuple[str, ...], valid_until: datetime) -> None: ...

    async def admit_face(self, holder: str, portals: tuple[str, ...], valid_until: datetime, operator: str) -> int: ...

    async def dismiss_face(self, holder: str, operator: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Gallery:
    """What the vision process compares with; `version` grows with every change."""

    version: int
    references: tuple[Reference, ...]


class FaceDesk:
    """The one place through which faces change while core runs. `broken` says why there are none, else ""."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        recorder: Recorder,
        policy: PolicyEdits,
        *,
        token: Callable[[str, str], str],
        statement: str,
        accepted: str,
    ) -> None:
        """token: as Judge.token. statement: version of the PAD statement this program prints; accepted: the one an
        operator has accepted. A store that cannot be opened leaves faces off, and core running."""
        self._clock, self._recorder, self._policy, self._token = clock, recorder, policy, token
        self._statement, self._accepted = statement, accepted
        self.gallery_changed: Callable[[], Awaitable[None]] = _nobody  # core sets it
        self._one_at_a_time = asyncio.Lock()
        self._store: FaceStore | None = None
        self._version = 0
        self._unread = False  # a gallery was handed on as empty, since it could not be read
        self.broken = ""
        self._folder = folder
        self._asked_by: dict[str, str] = {}  # enrolment whose erasure is not told yet -> token of who asked for it
        try:
            self._store = FaceStore(folder, clock.now_ms(), told_in(recorder.kept))
        except StoreError as e:
            self.broken = str(e)
            log.error("faces are off", why=str(e))

    def close(self) -> None:
        if self._store is not None:
            self._store.close()

    @property
    def alone_accepted(self) -> bool:
        """Whether an operator has accepted the statement of this very program on what was never tested."""
        return bool(self._statement) and hmac.compare_digest(self._statement, self._accepted)

    @property
    def choices(self) -> tuple[list[tuple[str, str, str]], list[str]]:
        """(holders as id, Chinese, English; portals that accept faces), of the policy in force."""
        policy = self._policy.policy
        holders = [(h.id, h.name["zh"], h.name["en"]) for h in policy.holders.values()]
        portals = [p.name for p in policy.portals.values() if any(CredentialKind.FACE in one for one in p.accepts)]
        return holders, portals

    @property
    def filing_threshold(self) -> int:
        """Stored faces from which a site files with the authorities."""
        return FILING_THRESHOLD

    async def enrol(
        self,
        *,
        holder: str,
        portals: tuple[str, ...],
        asked_by: str,
        other_way: str,
        until_ms: int,
        below_14: bool,
        guardian: str,
        references: Sequence[bytes],
        model_sha256: str,
        operator: str,
        again: bool,
    ) -> Enrolment:
        """Store, enter in the policy, record, hand on. `again`: an earlier enrolment of the holder is replaced.

        Raises OperationRefusedError, ConfigError, StoreError; then nothing of it is kept.
        """
        async with self._one_at_a_time:
            store, now_ms = self._opened(), self._clock.now_ms()
            consent = Consent(holder, portals, asked_by, other_way, now_ms, until_ms, below_14, guardian)
            check(consent, now_ms)
            until = datetime.fromtimestamp(consent.until_ms / 1000, tz=UTC)
            self._policy.check_face(holder, portals, until)  # before an earlier enrolment is replaced
            present = await asyncio.to_thread(store.enrolments)
            earlier = next((e.enrolment for e in present if e.consent.holder == consent.holder), None)
            if not again and earlier is not None:
                raise OperationRefusedError(
                    f"a face of {consent.holder!r} is enrolled already; enrol again with the choice to replace it",
                    "face-enrolled",
                    consent.holder,
                )
            await self._refuse_duplicate(store, consent.holder, references, model_sha256, now_ms)
            made = await asyncio.to_thread(store.enrol, consent, references, model_sha256, now_ms)
            if earlier is not None:  # also where the disk keeps its key for now
                self._asked_by[earlier] = self._token("operator", operator)
            try:
                await self._policy.admit_face(consent.holder, consent.portals, until, operator)
            except BaseException:
                await asyncio.shield(asyncio.to_thread(store.withdraw, consent.holder, now_ms, "incomplete"))
                raise
            self._version += 1
            told = FaceEnrolled(
                self._token("holder", consent.holder),
                self._token("operator", operator),
                made.references,
                consent.until_ms,
            )
            await self._recorder.record([NewEntry(told)], late_ok=True)
            await self._tell()
        log.info("a face was enrolled", references=made.references)
        await self.gallery_changed()
        return made

    async def withdraw(self, holder: str, operator: str) -> Receipt:
        """Erase everything of this holder's face. Raises OperationRefusedError, StoreError where it was not erased."""
        try:
            async with self._one_at_a_time:
                store = self._opened()
                enrolment = await asyncio.to_thread(store.enrolment_of, holder)
                if enrolment is not None:  # before it is tried: the disk may refuse half-way, and the job ends it
                    self._asked_by[enrolment] = self._token("operator", operator)
                receipt = await asyncio.to_thread(store.withdraw, holder, self._clock.now_ms())
        finally:  # also where the list could not be written: the key is gone by then, and the face counts no more
            self._version += 1
            await self.gallery_changed()  # takes the lock to read: not within it
        async with self._one_at_a_time:
            await self._tell()
        try:
            await self._policy.dismiss_face(holder, operator)
        except StoreError as e:  # the face is erased; an entry without one opens nothing
            log.error("the policy still names the face that was erased", error=str(e))
        return receipt

    async def enrolments(self) -> list[Enrolment]:
        """Who is enrolled, with their consent. Raises StoreError."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._opened().enrolments)

    @property
    def receipts(self) -> Sequence[Receipt]:
        """Every erasure, oldest first."""
        return self._store.receipts if self._store is not None else ()

    async def gallery(self, model_sha256: str) -> Gallery:
        """The references of this model whose consent holds now; none where faces are off, or cannot be read: whoever
        was erased must leave the door, and each door has another way in. The retention job hands on what can be read
        again."""
        async with self._one_at_a_time:
            if self._store is None:
                return Gallery(self._version, ())
            try:
                references = await asyncio.to_thread(self._references, model_sha256)
            except StoreError as e:
                log.error("no face counts until they can be read again", error=str(e), after_s=RETENTION_EVERY_S)
                references, self._unread = (), True
            return Gallery(self._version, references)

    async def run(self) -> None:
        """Until cancelled: erase what consent no longer covers, soon after it ends."""
        while True:
            try:
                await self.retain()
            except StoreError as e:
                log.error("the retention of faces will be tried again", error=str(e), after_s=RETENTION_EVERY_S)
            await asyncio.sleep(RETENTION_EVERY_S)

    async def retain(self) -> list[Receipt]:
        """Erase the expired, and those who are holders no more; with an uncertain clock only the latter.

        Also ends what a crash or a full disk left: events of erasures, and faces that only the policy still names.
        """
        async with self._one_at_a_time:
            if self._store is None:
                return []
            holders = frozenset(self._policy.policy.holders)
            now_ms, certain = self._clock.now_ms(), self._clock.certain
            failed: StoreError | None = None
            try:
                done = await asyncio.to_thread(self._store.expire, now_ms, holders, certain=certain)
            except StoreError as e:  # those that were erased nevertheless count no more, and are told
                done, failed = [], e
            changed = bool(done or failed or self._unread)
            self._unread = False
            self._version += changed
            await self._tell()
        if changed:
            await self.gallery_changed()
        try:
            await self._dismiss_erased()
        except StoreError as e:
            failed = failed or e
        if failed is not None:
            raise failed
        return done

    async def _dismiss_erased(self) -> None:
        """The policy names no face that is not stored. Raises StoreError."""
        async with self._one_at_a_time:
            stored = {one.consent.holder for one in await asyncio.to_thread(self._opened().enrolments)}
            named = [key for kind, key in self._policy.policy.credentials if kind is CredentialKind.FACE]
            for holder in named:
                if holder not in stored:
                    await self._policy.dismiss_face(holder, RETENTION)

    def _opened(self) -> FaceStore:
        if self._store is None:
            raise StoreError(self.broken)
        return self._store

    def _references(self, model_sha256: str) -> tuple[Reference, ...]:
        return tuple(self._opened().references(model_sha256, self._clock.now_ms()))

    async def _tell(self) -> None:
        """One event for each erasure that has none yet, in one transaction with the note of it, so that a power cut
        leaves both or neither. What the journal refuses waits for the retention job; an erasure does not fail by it."""
        store = self._opened()
        told = store.told(told_in(self._recorder.kept))  # a commit that was given up, stalled, may have ended well
        while waiting := store.receipts[told : told + TOLD_AT_ONCE]:
            events = [NewEntry(FaceErased(r.cause, r.references, self._who_asked(r))) for r in waiting]
            newest = waiting[-1]
            try:
                await self._recorder.record(events, keep={TOLD_KEY: f"{newest.number} {newest.digest}"})
                told = newest.number
                await asyncio.to_thread(store.note_told, told)
            except StoreError as e:
                log.error("events of erased faces will be tried again", error=str(e), after_s=RETENTION_EVERY_S)
                break
        if self._asked_by:
            for receipt in store.receipts[:told]:
                self._asked_by.pop(receipt.enrolment, None)

    def _who_asked(self, receipt: Receipt) -> str | None:
        """None for what the program ends by itself, also where somebody had asked in vain before."""
        return None if receipt.cause in ("expired", "holder-removed") else self._asked_by.get(receipt.enrolment)

    async def _refuse_duplicate(
        self, store: FaceStore, holder: str, references: Sequence[bytes], model_sha256: str, now_ms: int
    ) -> None:
        """Raises OperationRefusedError where another holder has this face already, StoreError where a stored one cannot
        be compared."""
        probes = [_unit(r) for r in references]
        stored = await asyncio.to_thread(lambda: tuple(store.references_beside(holder, model_sha256, now_ms)))
        for number, one in enumerate(stored):
            if number % COMPARED_AT_ONCE == 0:
                await asyncio.sleep(0)
            other = _unit(one.embedding)
            like = max((sum(map(mul, probe, other)) for probe in probes if len(probe) == len(other)), default=0.0)
            if like >= SAME_PERSON:
                raise OperationRefusedError(
                    f"this face resembles the enrolled one of {one.holder!r} (similarity {like:.2f}, expected below"
                    f" {SAME_PERSON}); check who stands there, and withdraw the other one if it was a mistake",
                    "face-alike",
                    one.holder,
                )


def told_in(kept: Mapping[str, str]) -> tuple[int, str] | None:
    """Number and digest of the newest erasure whose event the journal has; None where it knows of none."""
    number, _, digest = kept.get(TOLD_KEY, "").partition(" ")
    return (int(number), digest) if number.isdecimal() else None


async def _nobody() -> None:
    """No vision process is listening yet."""


def _unit(reference: bytes) -> array[float]:
    """Scaled to length one; zeros stay zeros."""
    values = array("f")
    values.frombytes(reference)
    length = sum(map(mul, values, values)) ** 0.5 or 1.0
    return array("f", (v / length for v in values))
