"""The rules of what people may do: who, on what, and what is told back. No sockets, no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Never, Protocol

from gateway.access.decide import State, accepted
from gateway.access.policy import Policy
from gateway.access.presence import Forgotten
from gateway.errors import GatewayError, OperationRefusedError
from gateway.model import CredentialKind, PortalMode, SiteStatus
from gateway.operations import explain
from gateway.operations.faces import FaceDesk
from gateway.operations.faces import perform as perform_on_faces
from gateway.operations.messages import (
    AddVisitorPass,
    Answer,
    BeginLockdown,
    Done,
    EndLockdown,
    EnrolFace,
    Explain,
    ExplainAnswer,
    ForgetPresence,
    ForgottenAnswer,
    HearBus,
    Heard,
    HeardAnswer,
    ListFaces,
    OpenPortal,
    PassAnswer,
    PolicyAnswer,
    Refused,
    ReplacePolicy,
    Request,
    ResetFire,
    RestoreCredential,
    RevokeCredential,
    RotateKey,
    SetPortalMode,
    Status,
    StatusAnswer,
    UndoPolicy,
    WithdrawFace,
)
from runtime.errors import UserError

FIRST_YEAR, LAST_YEAR = 2000, 2100  # of any moment that is asked about
EXPLAIN_SLICE = 20  # people looked at between two turns of the event loop: below a millisecond, so no door waits


class Openable(Protocol):
    """A portal that an operator can open."""

    async def override(self, operator: str) -> None:
        """Return once it was recorded and the device acknowledged. Raises GatewayError."""
        ...


class SiteControl(Protocol):
    """The portals of the gateway together. Each method returns once it happened and its event is recorded, and raises
    GatewayError with one sentence where it did not."""

    async def set_mode(self, portal: str, mode: PortalMode, operator: str) -> None: ...

    async def begin_lockdown(self, operator: str) -> None: ...

    async def end_lockdown(self, operator: str) -> None: ...

    async def reset_fire(self, operator: str, although_unknown: bool = False) -> None: ...

    async def forget_presence(self, what: Forgotten, name: str, operator: str) -> int:
        """Forget where some are; returns how many were in a zone until then."""
        ...

    def state(self, portal: str) -> State:
        """What `decide` would be given for this portal now, but for the passes that are shown there."""
        ...

    def local_now(self) -> datetime:
        """The site's local time, aware."""
        ...


class IssuedPass(Protocol):
    """A visitor pass that was entered in the policy. `text` is what its QR code says."""

    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def version(self) -> int: ...


class PolicyDesk(Protocol):
    """Edits of the policy. Each returns the version that is in force because of it, and raises UserError with one
    sentence where nothing was changed. The next request is decided by the new version."""

    @property
    def policy(self) -> Policy:
        """What decides now."""
        ...

    async def replace(self, upload: str, base: int | None, operator: str, imported: str | None = None) -> int: ...

    async def undo(self, version: int | None, operator: str) -> int: ...

    async def revoke(self, holder: str, credential: str, operator: str) -> int: ...

    async def restore(self, holder: str, credential: str, operator: str) -> int: ...

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
    ) -> IssuedPass: ...

    async def at(self, at_ms: int) -> Policy | None:
        """The policy that was in force then; None before the oldest that is kept."""
        ...


class HeardBytes(Protocol):
    """Bytes of a line."""

    @property
    def time_ns(self) -> int: ...

    @property
    def from_panel(self) -> bool: ...

    @property
    def data(self) -> bytes: ...


class BusDesk(Protocol):
    """The lines of the gateway, as a technician asks of them. Raises GatewayError with one sentence."""

    async def rotate_key(self, device: str, operator: str) -> None:
        """Return once the device has proved that it has its new key, and it is recorded who asked."""
        ...

    def heard(self, bus: str, count: int) -> Sequence[HeardBytes]:
        """The newest bytes of a line, oldest first."""
        ...


def anybody_of_this_user(request: Request) -> None:
    """Who may ask for what. Accounts and roles do not exist yet: whoever reaches the socket, which only processes of
    core's own user can, may do everything, and `operator` is a name that is written down, not one that was proven.
    A check of roles takes the place of this function and raises OperationRefusedError."""


class Operations:
    """Carries out requests that came from this machine's own user over the operations socket."""

    def __init__(
        self,
        portals: Mapping[str, Openable],
        status: Callable[[], SiteStatus],
        site: SiteControl | None = None,
        policy: PolicyDesk | None = None,
        buses: BusDesk | None = None,
        faces: FaceDesk | None = None,
        authorise: Callable[[Request], None] = anybody_of_this_user,
    ) -> None:
        self._portals = portals
        self._status = status
        self._site = site
        self._policy = policy
        self._buses = buses
        self._faces = faces
        self._authorise = authorise

    async def perform(self, request: Request) -> Answer:
        """The answer means that the thing happened, or says in one sentence why it did not."""
        try:
            self._authorise(request)
            _check_moments(request)
            match request:
                case Status():
                    return StatusAnswer(self._status())
                case OpenPortal():
                    return await self._open(request)
                case Explain():
                    return await self._explain(request)
                case ForgetPresence():
                    return await self._forget(request)
                case RotateKey() | HearBus():
                    return await self._bus(request)
                case EnrolFace() | WithdrawFace() | ListFaces():
                    return await perform_on_faces(self._faces or _absent("faces"), request)
                case SetPortalMode() | BeginLockdown() | EndLockdown() | ResetFire():
                    return await self._control(request)
                case _:
                    return await self._edit(request)
        except OperationRefusedError as e:
            return Refused(str(e), e.code, e.about)
        except UserError as e:
            return Refused(str(e))

    async def _open(self, request: OpenPortal) -> Answer:
        try:
            await self._named(request.portal).override(request.operator)
        except OperationRefusedError:
            raise
        except GatewayError as e:
            return Refused(f"portal {request.portal!r} was not opened: {e}")
        return Done()

    def _named(self, portal: str) -> Openable:
        if (found := self._portals.get(portal)) is None:
            raise OperationRefusedError(f"there is no portal {portal!r}; this gateway has {sorted(self._portals)}")
        return found

    async def _control(self, request: SetPortalMode | BeginLockdown | EndLockdown | ResetFire) -> Answer:
        site = self._site or _absent("portals that are led together")
        match request:
            case SetPortalMode(portal=portal, mode=mode, operator=operator):
                self._named(portal)
                self._check_mode(portal, mode)
                await site.set_mode(portal, mode, operator)
            case BeginLockdown(operator=operator):
                await site.begin_lockdown(operator)
            case EndLockdown(operator=operator):
                await site.end_lockdown(operator)
            case ResetFire(operator=operator, although_unknown=although_unknown):
                await site.reset_fire(operator, although_unknown)
        return Done()

    def _check_mode(self, portal: str, mode: PortalMode) -> None:
        """Raises OperationRefusedError for a mode in which nobody at all could enter."""
        described = self._policy.policy.portals.get(portal) if self._policy else None
        if mode is PortalMode.CARD_AND_PIN and described is not None and not accepted(described, mode):
            raise OperationRefusedError(
                f"portal {portal!r} accepts no card, so nobody could enter in mode card-and-pin; choose another mode"
            )

    async def _bus(self, request: RotateKey | HearBus) -> Answer:
        desk = self._buses or _absent("buses")
        if isinstance(request, RotateKey):
            await desk.rotate_key(request.device, request.operator)
            return Done()
        newest = desk.heard(request.bus, request.count)
        return HeardAnswer(tuple(Heard(one.time_ns, one.from_panel, one.data) for one in newest))

    async def _forget(self, request: ForgetPresence) -> Answer:
        site = self._site or _absent("portals that are led together")
        desk = self._policy or _absent("a policy that can be asked")
        if (request.what == "all") is not (request.name == ""):
            raise OperationRefusedError("name a holder, or a zone, or all; nothing was changed")
        if request.what == "zone" and request.name not in desk.policy.zones:
            zones = sorted(desk.policy.zones)
            raise OperationRefusedError(f"there is no zone {request.name!r}; the policy has {zones or 'none'}")
        return ForgottenAnswer(await site.forget_presence(request.what, request.name, request.operator))

    async def _edit(
        self, request: ReplacePolicy | UndoPolicy | RevokeCredential | RestoreCredential | AddVisitorPass
    ) -> Answer:
        desk = self._policy or _absent("a policy that can be edited")
        match request:
            case ReplacePolicy(upload=upload, base=base, operator=operator, imported=imported):
                return PolicyAnswer(await desk.replace(upload, base, operator, imported))
            case UndoPolicy(version=version, operator=operator):
                return PolicyAnswer(await desk.undo(version, operator))
            case RevokeCredential(holder=holder, credential=credential, operator=operator):
                return PolicyAnswer(await desk.revoke(holder, credential, operator))
            case RestoreCredential(holder=holder, credential=credential, operator=operator):
                return PolicyAnswer(await desk.restore(holder, credential, operator))
        issued = await desk.issue_pass(
            holder=request.holder,
            portals=request.portals,
            valid_from=request.valid_from,
            valid_until=request.valid_until,
            uses=request.uses,
            plate=request.plate,
            note=request.note,
            operator=request.operator,
        )
        return PassAnswer(issued.id, issued.text, issued.version)

    async def _explain(self, request: Explain) -> Answer:
        site = self._site or _absent("portals that are led together")
        desk = self._policy or _absent("a policy that can be asked")
        now = site.local_now()
        at = now if request.at is None else request.at.astimezone(now.tzinfo)
        # From now on it is the policy in force, also where that was made while the clock was ahead.
        policy = desk.policy if at >= now else await desk.at(int(at.timestamp() * 1000))
        if policy is None:
            raise OperationRefusedError(f"no version of the policy is kept from {at:%Y-%m-%d %H:%M}; ask for later")
        question = _question(request, at, policy)
        live = site.state(request.portal)
        state = live if request.at is None else explain.planned(live)
        found = []
        for finding in explain.findings(question, policy, state):
            found.append(finding)
            if len(found) % EXPLAIN_SLICE == 0:
                await asyncio.sleep(0)
        return ExplainAnswer(explain.collected(question, policy, state, found, live=request.at is None))


def _check_moments(request: Request) -> None:
    """Raises OperationRefusedError for a time that no clock of a site shows: in another time zone it might not be."""
    moments: tuple[datetime | None, ...] = ()
    if isinstance(request, Explain):
        moments = (request.at,)
    elif isinstance(request, AddVisitorPass):
        moments = (request.valid_from, request.valid_until)
    elif isinstance(request, EnrolFace):
        moments = (request.valid_until,)
    for moment in moments:
        if moment is not None and not FIRST_YEAR <= moment.year < LAST_YEAR:
            raise OperationRefusedError(
                f"expected a time from {FIRST_YEAR} until {LAST_YEAR}, got {moment.isoformat()}; correct it"
            )


def _question(request: Explain, at: datetime, policy: Policy) -> explain.Question:
    kind = None
    if request.with_kind is not None:
        if request.with_kind not in [*CredentialKind]:
            raise OperationRefusedError(
                f"expected one of {', '.join(CredentialKind)}, got {request.with_kind!r}; choose a kind of credential"
            )
        kind = CredentialKind(request.with_kind)
    return explain.asked(policy, explain.Question(request.portal, at, request.who, kind, request.refused))


def _absent(what: str) -> Never:
    raise OperationRefusedError(f"this gateway's core has no {what}; update it")
