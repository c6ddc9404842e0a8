"""`zhian broker`: the embedded MQTT broker, the files for mosquitto, and a small certificate authority."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _broker() -> None:
    """The district's MQTT broker: nats-server, or files for mosquitto; certificates for either."""


@app.command()
def run(config: Annotated[Path, typer.Option(help="center.toml", show_default=False)]) -> None:
    """Serve MQTT until SIGTERM or Ctrl-C; beyond loopback only with TLS. SIGHUP reads the users file again."""
    import asyncio

    from center.broker import process
    from runtime import log, stop

    log.set_up("broker")
    asyncio.run(stop.until_signalled(process.run(config)))


@app.command()
def mosquitto(
    config: Annotated[Path, typer.Option(help="center.toml", show_default=False)],
    out: Annotated[Path, typer.Option(help="folder for mosquitto.conf, acl and passwords", show_default=False)],
) -> None:
    """Write the files that make Debian's mosquitto the district's broker, from center.toml and the users file."""
    from center.broker import files

    for written in files.write_mosquitto(config, out):
        print(written)


@app.command()
def authority(
    out: Annotated[Path, typer.Option(help="folder for ca.pem and ca.key", show_default=False)],
    name: Annotated[str, typer.Option(help="what the certificate calls itself")] = "zhian district authority",
    days: Annotated[int, typer.Option(help="how long it is valid", min=1, max=36_500)] = 3650,
) -> None:
    """Make a certificate authority for the district's broker and its users."""
    from datetime import UTC, datetime

    from center.broker.authority import expires, make_authority

    made = make_authority(out, name, datetime.now(UTC), days)
    print(f"{made} (until {expires(made):%Y-%m-%d}); keep {made.with_suffix('.key')} away from the broker")


@app.command()
def certificate(
    name: Annotated[str, typer.Argument(help="the user in the users file; for the broker itself any name")],
    authority: Annotated[Path, typer.Option(help="folder with ca.pem and ca.key", show_default=False)],
    out: Annotated[Path, typer.Option(help="folder for NAME.pem and NAME.key", show_default=False)],
    host: Annotated[
        list[str] | None, typer.Option(help="for the broker: a name or address under which it is reached; repeat")
    ] = None,
    days: Annotated[int, typer.Option(help="how long it is valid", min=1, max=36_500)] = 825,
) -> None:
    """Make a key and certificate: of a gateway, of the center, of a subscriber, or (with --host) of the broker."""
    from datetime import UTC, datetime

    from center.broker.authority import expires, make_certificate

    made = make_certificate(authority, out, name, datetime.now(UTC), host or (), days)
    print(f"{made} (until {expires(made):%Y-%m-%d})")
