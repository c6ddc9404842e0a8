"""`zhian access`: the site's policy from the command line: ask it, change it, undo it, issue passes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True)

Config = Annotated[Path, typer.Option(help="gateway.toml")]
Operator = Annotated[str | None, typer.Option(help="Who does it: written into the version and its event.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Language = Annotated[str | None, typer.Option(help="zh or en; else as the environment says.")]


@app.callback()
def _access() -> None:
    """Who may pass, where and when: ask the policy, change it, undo it, issue visitor passes."""


@app.command()
def explain(
    portal: Annotated[str, typer.Option(help="Which portal.")],
    config: Annotated[Path | None, typer.Option(help="gateway.toml: its running core, else its stored policy.")] = None,
    at: Annotated[str, typer.Option(help='"Sunday 15:00", "yesterday 23:10", ISO time, or now.')] = "now",
    who: Annotated[str | None, typer.Option(help="Only this holder (its id).")] = None,
    with_: Annotated[str | None, typer.Option("--with", help="Only with this kind: card, plate, qr ...")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="List those who could not pass, too.")] = False,
    file: Annotated[Path | None, typer.Option(help="Ask this policy.toml instead: a dry run of an edit.")] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of --file without --config.")] = "Asia/Shanghai",
    language: Language = None,
    as_json: Json = False,
) -> None:
    """Who could pass a portal at a moment, and why somebody could not. Changes nothing."""
    from zhian import access_answers

    access_answers.explain(
        access_answers.Asked(portal, at, who, with_, refused, config, file, timezone), language, as_json
    )


@app.command()
def holders(config: Config, language: Language = None, as_json: Json = False) -> None:
    """The holders with their groups, credentials and passes, by the names that revoke and pass take."""
    from zhian import access_answers

    access_answers.holders(config, language, as_json)


@app.command()
def export(
    config: Config,
    to: Annotated[Path | None, typer.Option(help="Write here (owner only) instead of to stdout.")] = None,
    version: Annotated[int | None, typer.Option(help="An earlier version.")] = None,
) -> None:
    """The policy as TOML, with the version that an edit of it will be based on."""
    from gateway.store import policy_file
    from zhian import access_site

    site = access_site.open_site(config)
    found = access_site.present(site) if version is None else access_site.stored(site).version(version)
    text = policy_file.written(found.document)
    if to is None:
        print(text, end="")
        return
    access_site.write_private(to, text.encode())
    print(f"{to}: version {found.row.version}; change it, then zhian access import {to}")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="policy.toml")],
    config: Config,
    operator: Operator = None,
    over: Annotated[bool, typer.Option("--over", help="Whatever version is in force now.")] = False,
    as_json: Json = False,
) -> None:
    """Take a changed policy into force. Refused where another version than the file's is in force."""
    import json

    from zhian import access_site
    from zhian.policy_findings import findings, kept_revoked

    site = access_site.open_site(config)
    new = access_site.from_file(file)
    told = findings(new, site.portals(), site.now())
    version = access_site.take(site, file, new.document, access_site.operator_or_me(operator), over=over)
    told += kept_revoked(new.document, access_site.present(site).document)
    if as_json:
        print(json.dumps({"version": version, "findings": told}, ensure_ascii=False))
        return
    for line in told:
        print(f"note: {line}")
    print(f"version {version} is in force")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="policy.toml")],
    config: Annotated[Path | None, typer.Option(help="gateway.toml, whose portals it must describe.")] = None,
    as_json: Json = False,
) -> None:
    """Whether a policy could be taken into force, and what in it probably is not meant. Exit 1 if it could not."""
    import json
    from datetime import UTC, datetime

    from runtime.errors import UserError
    from zhian import access_site
    from zhian.policy_findings import findings

    error, told = "", []
    try:
        site = access_site.open_site(config) if config else None
        new = access_site.from_file(file)
        told = findings(new, site.portals() if site else [], site.now() if site else datetime.now(UTC))
        error = access_site.refused(file, new, site)
    except UserError as e:
        error = str(e)
    if as_json:
        print(json.dumps({"file": str(file), "ok": not error, "error": error, "findings": told}, ensure_ascii=False))
    else:
        for line in told:
            print(f"note: {line}")
        if not error:
            print(f"{file}: can be taken into force")
    if error and not as_json:
        raise UserError(error)
    raise typer.Exit(1 if error else 0)


@app.command()
def versions(config: Config, as_json: Json = False) -> None:
    """Every version that is kept: who made it, when, by what, and its digest."""
    from zhian import access_answers

    access_answers.versions(config, as_json)


@app.command()
def undo(
    config: Config,
    version: Annotated[int | None, typer.Option(help="Go back to this version; else to the one before.")] = None,
    operator: Operator = None,
) -> None:
    """Make an earlier version the next one. What is revoked or missing now comes back revoked."""
    from zhian import access_site
    from zhian.policy_findings import kept_revoked

    who, site = access_site.operator_or_me(operator), access_site.open_site(config)
    before = access_site.present(site).document
    made = access_site.ask(site, lambda client: client.undo_policy(version, who))
    for line in kept_revoked(before, access_site.present(site).document):
        print(f"note: {line}")
    print(f"version {made} is in force")


@app.command()
def revoke(
    holder: Annotated[str, typer.Argument(help="The holder's id.")],
    credential: Annotated[str, typer.Argument(help="Its id, or <kind>:<key>, or pass-<id>.")],
    config: Config,
    operator: Operator = None,
) -> None:
    """From now on this one credential opens nothing. Core must run."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    site = access_site.open_site(config)
    made = access_site.ask(site, lambda client: client.revoke_credential(holder, credential, who))
    print(f"revoked; version {made} is in force")


@app.command()
def restore(
    holder: Annotated[str, typer.Argument(help="The holder's id.")],
    credential: Annotated[str, typer.Argument(help="Its id, or <kind>:<key>, or pass-<id>.")],
    config: Config,
    operator: Operator = None,
) -> None:
    """Take a revocation back. Core must run."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    site = access_site.open_site(config)
    made = access_site.ask(site, lambda client: client.restore_credential(holder, credential, who))
    print(f"restored; version {made} is in force")


@app.command()
def forget(
    config: Config,
    holder: Annotated[str | None, typer.Option(help="Where this holder, their cars and visitors are.")] = None,
    zone: Annotated[str | None, typer.Option(help="Who is in this zone.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Where everybody is.")] = False,
    operator: Operator = None,
) -> None:
    """Forget where somebody is, so that anti-passback lets them in again. Core must run."""
    from runtime.errors import UserError
    from zhian import access_site

    asked: list[tuple[Literal["holder", "zone", "all"], str]] = []
    asked += [("holder", holder)] if holder is not None else []
    asked += [("zone", zone)] if zone is not None else []
    asked += [("all", "")] if everybody else []
    if len(asked) != 1:
        raise UserError("expected one of --holder, --zone and --all, got " + str(len(asked)) + " of them; give one")
    who, (what, name) = access_site.operator_or_me(operator), asked[0]
    count = access_site.ask(access_site.open_site(config), lambda client: client.forget_presence(what, name, who))
    print(f"forgotten: {count} of the people, visitors and cars that were in a zone")


@app.command(name="pass")
def pass_(
    holder: Annotated[str, typer.Argument(help="The holder who answers for the visitor.")],
    config: Config,
    portal: Annotated[list[str], typer.Option(help="A portal that it opens; several times for several.")],
    until: Annotated[str, typer.Option(help='Until when: "today 20:00", or ISO time.')],
    from_: Annotated[str, typer.Option("--from", help="From when.")] = "now",
    uses: Annotated[int | None, typer.Option(help="How often it opens; else until its end.")] = None,
    plate: Annotated[str | None, typer.Option(help="The visitor's car.")] = None,
    note: Annotated[str, typer.Option(help="For the list of passes, e.g. plumber.")] = "",
    save: Annotated[Path | None, typer.Option(help="Also write the QR code here: .png or .svg")] = None,
    operator: Operator = None,
    as_json: Json = False,
) -> None:
    """Issue a signed visitor pass and show it as a QR code. Core must run."""
    from zhian import access_answers

    access_answers.issue_pass(
        access_answers.AskedPass(config, holder, tuple(portal), from_, until, uses, plate, note, save, operator),
        as_json,
    )
