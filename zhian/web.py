"""`zhian web`: the property manager's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def web() -> None:
    """The property manager's pages."""


@app.command()
def run(config: Annotated[Path, typer.Option(help="gateway.toml of this gateway.")]) -> None:
    """Serve the pages and REST of this gateway until stopped. Core may be started before or after."""
    import asyncio

    from gateway.web.app import serve
    from runtime import log, stop

    log.set_up("web")
    asyncio.run(stop.until_signalled(serve(config)))
