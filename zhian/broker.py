"""`zhian broker`: the embedded MQTT broker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _broker() -> None:
    """The embedded MQTT broker (nats-server)."""


@app.command()
def run(config: Annotated[Path, typer.Option(help="center.toml", show_default=False)]) -> None:
    """Serve MQTT on loopback until SIGTERM or Ctrl-C."""
    import asyncio

    from center.broker import process
    from runtime import log, stop

    log.set_up("broker")
    asyncio.run(stop.until_signalled(process.run(config)))
