"""The longer answers of `zhian access`: explain, holders, versions, passes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gateway.errors import OperationsUnavailableError, StoreError
from gateway.model import CredentialKind
from gateway.operations import explain as explaining
from gateway.operations.explain import Question
from gateway.operations.explanation import Explanation
from gateway.operations.messages import AddVisitorPass, PassAnswer
from gateway.store.policy_edits import credential_name
from gateway.store.reading import JournalReading, RecordedEvent
from runtime.errors import UserError
from zhian import access_site, moments
from zhian.access_site import Site
from zhian.access_texts import explanation, language, one_of, printable, table

AROUND = timedelta(minutes=15)  # events so near to a past moment are shown beside the answer
MAX_PAGES = 40  # of the journal, backwards, until that moment

FROM_CORE = ("来自运行中的网关", "from the running core")
FROM_STORE = ("来自已存的策略", "from the stored policy; core does not run")
FROM_FILE = ("来自文件，尚未生效", "from the file, not in force")


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `zhian access explain`."""

    portal: str
    at: str
    who: str | None
    with_: str | None
    refused: bool
    config: Path | None
    file: Path | None
    timezone: str


def explain(asked: Asked, told_language: str | None, as_json: bool) -> None:
    """Print who could pass, and for a past moment what was recorded then."""
    tongue = language(told_language)
    site = access_site.open_site(asked.config) if asked.config else None
    if site is None and asked.file is None:
        raise UserError("--config: give gateway.toml, or a policy.toml with --file")
    zone = site.zone if site else _zone(asked.timezone)
    now = datetime.now(zone)
    at = moments.parse(asked.at, now)
    answer, source = _explained(asked, site, at, None if asked.at == "now" else at)
    recorded = _recorded(site, asked, at, answer) if site and asked.file is None and at < now else []
    if as_json:
        plain = msgspec.to_builtins(answer) | {"source": source[1], "recorded": [_plain(event) for event in recorded]}
        print(json.dumps(plain, ensure_ascii=False))
        return
    print("\n".join(explanation(answer, source, tongue)))
    if recorded:
        print("当时的记录:" if tongue == "zh-CN" else "Recorded around then:")
        print("\n".join(table(_event_row(event, zone, tongue) for event in recorded)))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise UserError(f"--timezone: expected an IANA name such as Asia/Shanghai, got {name[:60]!r}") from None


def _explained(
    asked: Asked, site: Site | None, at: datetime, unless_now: datetime | None
) -> tuple[Explanation, tuple[str, str]]:
    """The answer and where it comes from: the file, the running core, or what is stored."""
    if asked.file is not None:
        return _planned(asked, access_site.from_file(asked.file).policy, at), FROM_FILE
    if site is None:
        raise UserError("--config: give gateway.toml")
    try:
        answer = access_site.ask(
            site, lambda core: core.explain(asked.portal, unless_now, asked.who, asked.with_, asked.refused)
        )
    except OperationsUnavailableError:
        if not site.versions.exists():
            return _planned(asked, access_site.present(site).policy, at), FROM_FILE
        store = access_site.stored(site)
        then = store.at(int(at.timestamp() * 1000))
        if then is None:
            raise UserError(f"no version of the policy is kept from {at:%Y-%m-%d %H:%M}; ask for later") from None
        return _planned(asked, then.policy, at), FROM_STORE
    return answer, FROM_CORE


def _planned(asked: Asked, policy, at: datetime) -> Explanation:  # type: ignore[no-untyped-def]
    if asked.with_ is not None and asked.with_ not in [*CredentialKind]:
        raise UserError(f"--with: expected one of {', '.join(CredentialKind)}, got {asked.with_[:20]!r}; choose one")
    kind = CredentialKind(asked.with_) if asked.with_ else None
    question = explaining.asked(policy, Question(asked.portal, at, asked.who, kind, asked.refused))
    return explaining.as_planned(question, policy)


def _recorded(site: Site, asked: Asked, at: datetime, answer: Explanation) -> list[RecordedEvent]:
    """Decisions at that portal around a past moment, of the person asked about where one is."""
    first_ms, last_ms = (int((at + shift).timestamp() * 1000) for shift in (-AROUND, AROUND))
    names = [dict(one.name) for one in answer.findings] if asked.who else None
    reading, found, before = JournalReading(site.journal), [], None
    try:
        for _ in range(MAX_PAGES):
            page = reading.newest(limit=500, before_seq=before, portal=asked.portal)
            found += [
                event
                for event in page
                if first_ms <= event.time_ms <= last_ms
                and event.type.startswith("zhian.access.")
                and (names is None or event.holder_name in names)
            ]
            if not page or page[-1].time_ms < first_ms:
                break
            before = page[-1].seq
    except StoreError:
        return []  # no journal here: the policy's answer stands alone
    return found[::-1]


def _event_row(event: RecordedEvent, zone: ZoneInfo, tongue: str) -> tuple[str, ...]:
    zh = tongue == "zh-CN"
    name = (event.holder_name or {}).get("zh" if zh else "en", "")
    when = datetime.fromtimestamp(event.time_ms / 1000, zone)
    title, why = (event.title_zh, event.reason_zh) if zh else (event.title_en, event.reason_en)
    return (f"{when:%H:%M:%S}", title, name, event.credential or "", why or "")


def _plain(event: RecordedEvent) -> dict[str, object]:
    return {
        "seq": event.seq,
        "time_ms": event.time_ms,
        "type": event.type,
        "reason": event.reason,
        "credential": event.credential,
        "holder_name": event.holder_name,
    }


def holders(config: Path, told_language: str | None, as_json: bool) -> None:
    """Print the holders and what they hold. Credentials that tell of duress are in no list."""
    tongue = language(told_language)
    document = access_site.present(access_site.open_site(config)).document
    held: dict[str, list[str]] = {holder.id: [] for holder in document.holder}
    for one in document.credential:
        if not one.duress:
            secret = one.id is None and one.kind in ("pin", "code")
            held[one.holder].append((one.kind if secret else credential_name(one)) + ("!" if one.revoked else ""))
    for issued in document.pass_:
        held[issued.holder].append(f"pass-{issued.id}" + ("!" if issued.revoked else ""))
    if as_json:
        plain = [
            {"holder": one.id, "name": msgspec.to_builtins(one.name), "groups": one.groups, "credentials": held[one.id]}
            for one in document.holder
        ]
        print(json.dumps(plain, ensure_ascii=False))
        return
    rows = (
        (one.id, one_of((one.name.zh, one.name.en), tongue), ",".join(one.groups), " ".join(held[one.id]))
        for one in document.holder
    )
    print("\n".join(table(rows, indent="")))
    if any(name.endswith("!") for names in held.values() for name in names):
        print("! = 已挂失" if tongue == "zh-CN" else "! = revoked")


def versions(config: Path, as_json: bool) -> None:
    """Print the versions that are kept, newest first; the newest is in force."""
    site = access_site.open_site(config)
    store = access_site.stored(site)
    rows = store.versions.rows()
    if as_json:
        print(json.dumps([msgspec.to_builtins(row) for row in rows]))
        return
    print(
        "\n".join(
            table(
                (
                    (
                        str(row.version),
                        f"{datetime.fromtimestamp(row.made_ms / 1000, site.zone):%Y-%m-%d %H:%M:%S}",
                        row.cause,
                        row.operator,
                        row.digest[:16],
                    )
                    for row in rows
                ),
                indent="",
            )
        )
    )
    from gateway.store.policy_store import file_was_changed

    if file_was_changed(store, site.policy_toml):
        print(f"{site.policy_toml} differs from what was imported; zhian access import takes it over")


@dataclass(frozen=True, slots=True)
class AskedPass:
    """The options of `zhian access pass`."""

    config: Path
    holder: str
    portals: tuple[str, ...]
    begins: str
    ends: str
    uses: int | None
    plate: str | None
    note: str
    save: Path | None
    operator: str | None


def issue_pass(asked: AskedPass, as_json: bool) -> None:
    """Issue a pass and show it."""
    import segno

    if asked.save is not None and asked.save.suffix not in (".png", ".svg"):
        raise UserError(f"--save: expected a name that ends in .png or .svg, got {asked.save.name!r}; rename it")
    site = access_site.open_site(asked.config)
    now = site.now()
    begins, ends = (moments.parse(text, now).replace(microsecond=0) for text in (asked.begins, asked.ends))
    message = {
        "type": "add-visitor-pass",
        "holder": asked.holder,
        "portals": asked.portals,
        "valid_from": begins,
        "valid_until": ends,
        "operator": access_site.operator_or_me(asked.operator),
        "uses": asked.uses,
        "plate": asked.plate,
        "note": asked.note,
    }
    try:
        request = msgspec.convert(message, AddVisitorPass)
    except msgspec.ValidationError as e:
        raise UserError(f"this pass cannot be: {e}; correct the option") from None
    issued: PassAnswer = access_site.ask(site, lambda core: core.add_visitor_pass(request))
    code = segno.make(issued.text, error="m", micro=False)
    if asked.save is not None:
        code.save(str(asked.save), scale=8)
    if as_json:
        print(
            json.dumps(
                {
                    "id": issued.id,
                    "text": issued.text,
                    "version": issued.version,
                    "valid_from": begins.isoformat(),
                    "valid_until": ends.isoformat(),
                    "qr_version": code.version,
                }
            )
        )
        return
    code.terminal(compact=True)
    print(
        f"pass-{issued.id} of {printable(asked.holder)}: {', '.join(asked.portals)},"
        f" {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M}"
    )
    print(issued.text)
    print(f"version {issued.version} is in force; revoke it with: zhian access revoke {asked.holder} pass-{issued.id}")
