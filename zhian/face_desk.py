"""The part of `zhian face` that changes something: the enrolment desk, photos, withdrawal, the statement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import tzinfo

Config = Annotated[Path, typer.Option(help="gateway.toml of this gateway.")]
Operator = Annotated[str | None, typer.Option(help="Who does it: written into the event as a token.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else there.")]


def add(app: typer.Typer) -> None:
    """Put the commands under `zhian face`."""
    app.command(name="desk")(desk)
    app.command(name="list")(list_)
    app.command(name="enrol")(enrol)
    app.command(name="withdraw")(withdraw)
    app.command(name="statement")(statement)


def desk(
    config: Config,
    camera: Annotated[str | None, typer.Option("--camera", help="The desk's camera; else the first for faces.")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 = any free one.", min=0, max=65535)] = 8086,
) -> None:
    """Serve the enrolment desk: consent, pictures, the list, withdrawal with a receipt, the impact assessment."""
    import asyncio

    from gateway.enrolment.process import serve
    from runtime import log, stop

    log.set_up("enrolment")
    asyncio.run(stop.until_signalled(serve(config, camera, "127.0.0.1", port)))


def list_(config: Config, as_json: Json = False) -> None:
    """Who is enrolled with which consent, and what was erased. Core must run."""
    import msgspec

    from gateway.enrolment.showing import short
    from zhian import access_site
    from zhian.access_texts import table

    site = access_site.open_site(config)
    answer = access_site.ask(site, lambda core: core.faces())
    if as_json:
        told = {"faces": answer.faces, "erased": answer.erased, "alone": answer.alone, "broken": answer.broken}
        print(json.dumps(msgspec.to_builtins(told), ensure_ascii=False))
        return
    if answer.broken:
        print(f"faces are off: {answer.broken}")
        return
    called = {one.id: one.zh for one in answer.holders}
    rows = (
        (
            *(f.holder, called.get(f.holder, ""), ",".join(f.portals), _day(f.until_ms, site.zone)),
            *(f.other_way, f.asked_by, f.guardian, short(f.enrolment)),
        )
        for f in answer.faces
    )
    print("\n".join(table(rows, indent="")) if answer.faces else "nobody is enrolled")
    print(f"{len(answer.faces)} enrolled; from {answer.filing_threshold} on, a site files with the authorities")
    print(
        "a face alone opens where the policy says so"
        if answer.alone
        else "a face alone opens nothing: see `zhian face statement`"
    )
    for one in answer.erased[:10]:
        key = "key destroyed" if one.key_destroyed else "no key was left"
        print(
            f"erased {one.number}: {_day(one.at_ms, site.zone)} {short(one.enrolment)}, {one.cause}, {one.references}"
            f" references, {key}, {one.digest[:16]}"
        )


def enrol(
    holder: Annotated[str, typer.Argument(help="The holder's id in the policy.")],
    config: Config,
    photo: Annotated[list[Path], typer.Option("--photo", help="A photo of the face; give several.")],
    portal: Annotated[list[str], typer.Option("--portal", help="Where the face may open; give several.")],
    until: Annotated[str, typer.Option("--until", help="When consent ends: 2027-05-01, at most a year ahead.")],
    other_way: Annotated[str, typer.Option("--other-way", help="The other way in that was offered: card.")],
    asked_by: Annotated[str, typer.Option("--asked-by", help="Who explained it and asked.")],
    agreed: Annotated[bool, typer.Option("--agreed", help="The person, or the guardian, has agreed.")] = False,
    below_14: Annotated[bool, typer.Option("--below-14", help="The person is younger than 14.")] = False,
    guardian: Annotated[str, typer.Option("--guardian", help="Who consented for a person below 14.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Erase the holder's earlier enrolment.")] = False,
    operator: Operator = None,
    as_json: Json = False,
) -> None:
    """Enrol a consenting holder's face from photos. The photos are read and not kept. Core must run."""
    import cv2
    import msgspec

    from gateway import config as configuration
    from gateway.enrolment.capture import references_of
    from gateway.operations.messages import EnrolFace
    from gateway.vision.faces.reader import load
    from runtime.errors import UserError
    from zhian import access_site
    from zhian.face import read_picture

    if not agreed:
        raise UserError("face enrol: expected --agreed, since a face is enrolled with consent only; ask first")
    who = access_site.operator_or_me(operator)
    site = access_site.open_site(config)
    ends = _end(until, site.zone)
    cv2.setNumThreads(1)
    faces = load(must_be_accepted=configuration.read(config).site.kind == "real")
    references = references_of(faces, [(str(path), read_picture(path)) for path in photo])
    asked = EnrolFace(
        holder,
        tuple(portal),
        asked_by,
        other_way,
        ends,
        references,
        faces.embedder.sha256,
        who,
        below_14,
        guardian,
        replace,
    )
    made = access_site.ask(site, lambda core: core.enrol_face(asked))
    if as_json:
        print(json.dumps(msgspec.to_builtins(made), ensure_ascii=False))
        return
    print(
        f"{made.holder}: enrolled with {made.references} references until {_day(made.until_ms, site.zone)};"
        f" number {made.enrolment}"
    )


def withdraw(
    holder: Annotated[str, typer.Argument(help="Whose face is erased.")],
    config: Config,
    operator: Operator = None,
    as_json: Json = False,
) -> None:
    """Erase everything of a holder's face, and print the receipt. Core must run."""
    import msgspec

    from zhian import access_site

    who = access_site.operator_or_me(operator)
    receipt = access_site.ask(access_site.open_site(config), lambda core: core.withdraw_face(holder, who))
    if as_json:
        print(json.dumps(msgspec.to_builtins(receipt), ensure_ascii=False))
        return
    print(f"{holder}: erased {receipt.references} references and their key; receipt {receipt.number}, {receipt.digest}")


def statement(
    language: Annotated[str, typer.Option("--language", help="zh or en")] = "en", as_json: Json = False
) -> None:
    """Print what face recognition here cannot promise, and how an operator accepts that."""
    from gateway.vision.pad import statement as said
    from runtime.errors import UserError

    if language not in said.LANGUAGES:
        raise UserError(
            f"face statement: --language expects one of {', '.join(said.LANGUAGES)}, got {language!r}; choose one"
        )
    now = said.statement()
    if as_json:
        print(json.dumps({"version": now.version, "text": now.texts[language]}, ensure_ascii=False))
        return
    print(now.texts[language].rstrip())
    print(f'\nTo accept it, write into gateway.toml and restart core:\n[faces]\naccepted_statement = "{now.version}"')


def _day(ms: int, zone: tzinfo) -> str:
    """At the site."""
    from datetime import datetime

    return f"{datetime.fromtimestamp(ms / 1000, tz=zone):%Y-%m-%d}"


def _end(day: str, zone: object) -> object:
    """The end of that day at the site. Raises UserError."""
    from datetime import datetime, time

    from runtime.errors import UserError

    try:
        return datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time(23, 59, 59), zone)  # type: ignore[arg-type]  # noqa: DTZ007
    except ValueError:
        raise UserError(
            f"face enrol: --until expected a day such as 2027-05-01, got {day[:20]!r}; correct it"
        ) from None
