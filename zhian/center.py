"""`zhian center`: the district center's processes, and a subscriber that prints events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zhian import center_tools

app = typer.Typer(no_args_is_help=True)
app.command()(center_tools.retention)
app.command()(center_tools.export)
app.add_typer(center_tools.addresses, name="addresses")
app.add_typer(center_tools.webhooks, name="webhooks")
Config = Annotated[Path, typer.Option(help="center.toml", show_default=False)]


@app.command()
def run(config: Config) -> None:
    """Ingest: receive events, store each once, acknowledge; webhooks; retention. Until SIGTERM or Ctrl-C."""
    import asyncio

    from center import running
    from runtime import log, stop

    log.set_up("center")
    asyncio.run(stop.until_signalled(running.run(config)))


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
    broker: Annotated[str | None, typer.Option(help="mqtt://HOST:PORT or mqtts://... of the broker")] = None,
    username: Annotated[str | None, typer.Option(help="a user of role subscriber")] = None,
    password_file: Annotated[Path | None, typer.Option(help="file with that user's password")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="mqtts: whose broker certificate is believed, PEM")] = None,
    certificate_file: Annotated[Path | None, typer.Option(help="mqtts: your certificate, PEM")] = None,
    key_file: Annotated[Path | None, typer.Option(help="mqtts: its key, PEM")] = None,
    type_prefix: Annotated[str, typer.Option("--type", metavar="PREFIX", help="only types that begin so")] = "",
    json: Annotated[bool, typer.Option("--json", help="compact JSON, one object per line")] = False,
) -> None:
    """Print every event as it arrives, as one CloudEvents JSON object; copies are left out."""
    import json as json_text

    from center.subscriber import access_from, follow

    access = access_from(config, broker, username, password_file, (ca_file, certificate_file, key_file))

    def show(event: dict[str, object]) -> None:
        if str(event["type"]).startswith(type_prefix):
            separators = (",", ":") if json else None
            print(json_text.dumps(event, ensure_ascii=False, separators=separators), flush=True)

    follow(access, show)
