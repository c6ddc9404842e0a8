"""`zhian demo`: a whole virtual community on this machine, with pages to look at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

BANNER = """
zhian demo: a simulated community lives on this machine. Everything is real but the walls:
MicroPython door nodes on an OSDP bus, plates read by a TFLite model, one journal, one broker, one district center.
"""


def command(
    headless: Annotated[bool, typer.Option("--headless", help="No pages; print only the result.")] = False,
    for_s: Annotated[float | None, typer.Option("--for", help="Stop after this many seconds.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
    scenario: Annotated[Path | None, typer.Option(help="Another scenario file.")] = None,
    folder: Annotated[Path | None, typer.Option("--dir", help="Keep all files here (an empty folder).")] = None,
    port: Annotated[int, typer.Option(help="The property manager's page.", min=1, max=65535)] = 8080,
    center_port: Annotated[int, typer.Option(help="The district center's page.", min=1, max=65535)] = 8090,
    world_port: Annotated[int, typer.Option(help="The simulator's page.", min=1, max=65535)] = 8070,
) -> None:
    """Run a virtual community: cards, PINs, cars, a stranger, a forced door; every event arrives at the center.

    Ctrl-C ends it and counts what was made, what arrived and what was lost. Exit 1 if an event was lost or doubled.
    """
    from runtime.stop import until_signalled
    from zhian import community
    from zhian.site_files import Ports

    community.check_platform()
    say = (lambda text: print(text, file=sys.stderr, flush=True)) if as_json else (lambda text: print(text, flush=True))
    pages = {"--port": port, "--center-port": center_port, "--world-port": world_port}
    if not headless:
        _refuse_taken(pages)
    mqtt = community.FIRST_PORTS.mqtt
    while community.taken(mqtt):
        mqtt += 1
    ports = Ports(mqtt, port, center_port, world_port)
    result: dict[str, int] = {}
    with _folder(folder) as place:
        asyncio.run(until_signalled(_run(place, scenario, ports, headless, for_s, say, result)))
    if as_json and result:
        print(json.dumps(result))
    else:
        _print_result(result, say)
    if not result or result["lost"] or result["duplicated"]:
        raise typer.Exit(1)


async def _run(place, scenario_file, ports, headless, for_s, say, result) -> None:  # type: ignore[no-untyped-def]
    from pages.login import new_token
    from sim.scenario import listed, load
    from zhian import site_files
    from zhian.community import Community

    file = scenario_file or next(path for path in listed() if path.stem == "daily-life")
    files = site_files.write(load(file), file.resolve(), place, ports)
    token = None if headless else new_token()
    here = Community(files, say, token)
    say(BANNER)
    began = time.monotonic()
    await here.start(here.commands(loop=True))
    try:
        say(f"\nAll parts are up after {time.monotonic() - began:.0f} s. Files and logs: {place}")
        if token is not None:
            _print_pages(ports, token, say)
        watch = asyncio.create_task(here.supervisor.watch())
        try:
            async with asyncio.timeout(for_s):
                await watch
        except TimeoutError:
            pass
    finally:
        say("\nStopping: core first, once the center has everything, then the rest.")
        result.update((await here.stop()).plain())
        for crash in here.supervisor.crashes:
            say(f"  note: {crash}")


def _print_pages(ports, token: str, say) -> None:  # type: ignore[no-untyped-def]
    say(f"""
  Property manager   http://127.0.0.1:{ports.gateway_page}/    doors live, events with reasons, open a door
  District center    http://127.0.0.1:{ports.center_page}/    live events, gateways online
  Simulator          http://127.0.0.1:{ports.world_page}/    present a card, drive a car, force a door
  MQTT broker        127.0.0.1:{ports.mqtt} (mutual passwords, loopback only)

  Each page asks once for this token:   {token}

Ctrl-C stops everything.""")


def _print_result(result: dict[str, int], say) -> None:  # type: ignore[no-untyped-def]
    if not result:
        return
    say(
        "\nEvents made {events_made}, stored at the center {events_stored}, lost {lost}, stored twice {duplicated}."
        "\nGranted {granted}, denied {denied}, plates read {plates_read}, alarms {alarms}.".format(**result)
    )


def _refuse_taken(pages: dict[str, int]) -> None:
    from runtime.errors import UserError
    from zhian import community

    for option, port in pages.items():
        if list(pages.values()).count(port) > 1:
            raise UserError(f"{option} {port}: two pages cannot share a port; give each its own")
        if community.taken(port):
            raise UserError(f"port {port} on 127.0.0.1 is taken by another program; choose another with {option}")


@contextlib.contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """The given empty folder, kept; or a temporary one, removed at the end."""
    from runtime.errors import UserError
    from zhian.community import short_folder

    if folder is None:
        made = Path(tempfile.mkdtemp(prefix="zhian-"))
        try:
            short_folder(made)
            yield made
        except UserError:
            raise  # it names a log in there: the folder stays
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        shutil.rmtree(made, ignore_errors=True)
        return
    folder = folder.resolve()
    short_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as e:
        raise UserError(f"{folder}: expected an empty folder, this cannot be one ({e.strerror}); choose another") from e
    if not empty:
        raise UserError(f"{folder}: this folder is not empty; choose an empty one, or leave --dir away")
    yield folder
