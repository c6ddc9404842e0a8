"""`zhian portal`: what an operator on site does with doors and gates: open, modes, lockdown, fire reset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)

Config = Annotated[Path, typer.Option(help="gateway.toml")]
Operator = Annotated[str | None, typer.Option(help="Who does it: written into the event.")]
Portal = Annotated[str, typer.Argument(help="The portal's name.")]


@app.callback()
def _portal() -> None:
    """Open a portal, set its mode, begin and end a lockdown, reset fire. Core must run."""


@app.command(name="list")
def list_(config: Config, as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False) -> None:
    """The portals as they are now."""
    import json

    import msgspec

    from zhian import access_site
    from zhian.access_texts import table

    status = access_site.ask(access_site.open_site(config), lambda core: core.status())
    if as_json:
        print(json.dumps(msgspec.to_builtins(status.portals), ensure_ascii=False))
        return
    rows = (
        (p.name, p.kind, p.state, p.mode, "fire" if p.fire else "", "" if p.online else "offline")
        for p in status.portals
    )
    print("\n".join(table(rows, indent="")))
    if status.lockdown:
        print("the site is locked down: nobody enters, everybody may leave")
    if status.fire:
        print("released by fire, until it is reset on site")


@app.command(name="open")
def open_(portal: Portal, config: Config, operator: Operator = None) -> None:
    """Open a portal once."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    access_site.ask(access_site.open_site(config), lambda core: core.open_portal(portal, who))
    print(f"{portal}: opened")


@app.command()
def mode(
    portal: Portal,
    mode: Annotated[str, typer.Argument(help="locked, unlocked, card-and-pin, lockdown, emergency-open")],
    config: Config,
    operator: Operator = None,
) -> None:
    """Give a portal another mode. Leaving is possible in each of them."""
    from gateway.model import PortalMode
    from runtime.errors import UserError
    from zhian import access_site

    if mode not in [*PortalMode]:
        raise UserError(f"mode: expected one of {', '.join(PortalMode)}, got {mode[:20]!r}; choose a mode")
    who = access_site.operator_or_me(operator)
    access_site.ask(access_site.open_site(config), lambda core: core.set_portal_mode(portal, PortalMode(mode), who))
    print(f"{portal}: {mode}")


@app.command()
def lockdown(config: Config, operator: Operator = None) -> None:
    """Nobody enters the site but the portals' lockdown groups; everybody may leave."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    access_site.ask(access_site.open_site(config), lambda core: core.begin_lockdown(who))
    print("locked down: nobody enters, everybody may leave; end it with zhian portal release")


@app.command()
def release(config: Config, operator: Operator = None) -> None:
    """End the lockdown: each portal returns to the mode it had."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    access_site.ask(access_site.open_site(config), lambda core: core.end_lockdown(who))
    print("the lockdown has ended")


@app.command(name="reset-fire")
def reset_fire(
    config: Config,
    operator: Operator = None,
    although_unknown: Annotated[
        bool, typer.Option("--although-unknown", help="Also where an input that said fire cannot be asked any more.")
    ] = False,
) -> None:
    """End the fire release, on site. Refused while any fire input is still active."""
    from zhian import access_site

    who = access_site.operator_or_me(operator)
    access_site.ask(access_site.open_site(config), lambda core: core.reset_fire(who, although_unknown))
    print("the fire release has been reset")
