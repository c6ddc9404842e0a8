"""`zhian vision`: the worker process that reads pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def group() -> None:
    """The worker process that reads pictures."""


@app.command()
def run(config: Annotated[Path, typer.Option("--config", help="gateway.toml")]) -> None:
    """Read the plates of every camera and tell core. Ends on SIGTERM."""
    import asyncio
    import os

    # Before numpy is loaded: its small systems of equations are solved sooner by one thread than by several that spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gateway.vision import worker
    from runtime import log, stop

    log.set_up("vision")
    asyncio.run(stop.until_signalled(worker.run(config)))
