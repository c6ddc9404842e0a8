"""`zhian gateway run`: core."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def gateway() -> None:
    """Core of a gateway: decides at the door."""


@app.command()
def run(
    config: Annotated[Path, typer.Option(help="gateway.toml")],
    verbose: Annotated[bool, typer.Option(help="Log every detail.")] = False,
) -> None:
    """Run core until SIGTERM or Ctrl-C: buses, pins, decisions, journal, uplink."""
    from gateway.app import run as run_core
    from runtime import log
    from runtime.stop import until_signalled

    log.set_up("core", verbose=verbose)
    os.umask(0o077)  # names, plates and keys: nothing core makes is for others to read
    asyncio.run(until_signalled(run_core(config)))
