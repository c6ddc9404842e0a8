"""`zhian center`: the district center's processes, and a subscriber that prints events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option(help="center.toml", show_default=False)]


@app.command()
def run(config: Config) -> None:
    """Ingest: receive events, store each once, acknowledge. Until SIGTERM or Ctrl-C."""
    import asyncio

    from center.ingest import ingest
    from runtime import log, stop

    log.set_up("center")
    asyncio.run(stop.until_signalled(ingest.run(config)))


@app.command()
def web(config: Config) -> None:
    """The center's page. Until SIGTERM or Ctrl-C."""
    import asyncio

    from center.web.app import serve
    from runtime import log, stop

    log.set_up("center-web")
    asyncio.run(stop.until_signalled(serve(config)))


@app.command()
def subscribe(
    config: Annotated[Path | None, typer.Option(help="center.toml; else give --broker and credentials")] = None,
    broker: Annotated[str | None, typer.Option(help="mqtt://HOST:PORT of the district's broker")] = None,
    username: Annotated[str | None, typer.Option(help="user with the right to read up/event")] = None,
    password_file: Annotated[Path | None, typer.Option(help="file with that user's password")] = None,
    type_prefix: Annotated[str, typer.Option("--type", metavar="PREFIX", help="only types that begin so")] = "",
    json: Annotated[bool, typer.Option("--json", help="compact JSON, one object per line")] = False,
) -> None:
    """Print every event as it arrives, as one CloudEvents JSON object; copies are left out."""
    import json as json_text

    from center.subscriber import access_from, follow

    access = access_from(config, broker, username, password_file)

    def show(event: dict[str, object]) -> None:
        if str(event["type"]).startswith(type_prefix):
            separators = (",", ":") if json else None
            print(json_text.dumps(event, ensure_ascii=False, separators=separators), flush=True)

    follow(access, show)
