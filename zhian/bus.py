"""`zhian bus`: what an installer does with an RS-485 line: look, give keys, try lights, listen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.drivers.osdp.conversation import Found
    from zhian.bus_line import Wired

app = typer.Typer(no_args_is_help=True)

Config = Annotated[Path, typer.Option(help="gateway.toml")]
Device = Annotated[str, typer.Argument(help="The reader's name in gateway.toml.")]
Operator = Annotated[str | None, typer.Option(help="Who does it: written into the event.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@app.callback()
def _bus() -> None:
    """RS-485 lines: look who is there, give keys, try lights, listen. Core must not run, unless a command says so."""


def _add_trace() -> None:
    from zhian import bus_trace

    app.add_typer(bus_trace.app, name="trace", help="Save what is said on a line, and read it.")


_add_trace()


@app.command()
def scan(
    config: Annotated[Path | None, typer.Option(help="gateway.toml: its lines, at their baud rates.")] = None,
    port: Annotated[str | None, typer.Option(help="A line that is in no gateway.toml.")] = None,
    baud: Annotated[str, typer.Option(help="With --port: a baud rate, or all.")] = "all",
    first: Annotated[int, typer.Option("--from", min=0, max=126, help="The first address.")] = 0,
    last: Annotated[int, typer.Option("--to", min=0, max=126, help="The last address.")] = 126,
    as_json: AsJson = False,
) -> None:
    """Who is there: every address, what the device says of itself and what it can do. Nothing of it is proven."""
    from zhian import bus_line

    addresses = range(first, last + 1)
    progress = None if as_json else _progress
    if config is not None:
        lines = bus_line.open_lines(config)
        with lines.own():
            found = {b.name: _scan(lines.port(b), [b.baud], addresses, progress) for b in lines.buses}
    elif port is not None:
        found = {port: _scan(port, _bauds(baud), addresses, progress)}
    else:
        from runtime.errors import UserError

        raise UserError("scan: expected --config or --port; name what to look at")
    _print_found(found, as_json)


@app.command(name="list")
def list_(config: Config, as_json: AsJson = False) -> None:
    """The devices of gateway.toml: where they are, whether they answer, how their key stands. Also while core runs."""
    import json

    from gateway.errors import OperationsUnavailableError
    from zhian import access_site, bus_line
    from zhian.access_texts import table

    lines = bus_line.open_lines(config)
    try:
        online = access_site.ask(access_site.open_site(config), lambda core: core.status()).devices
    except OperationsUnavailableError:
        with lines.own():
            online = {r.name: _answers(lines.device(r.name)) for r in lines.config.reader}
    rows = []
    for reader in lines.config.reader:
        wired = lines.device(reader.name)
        key = "new key under way" if wired.key_file.staged() else "own key" if wired.key_file.key() else "no key"
        rows.append((reader.name, reader.bus, reader.address, wired.place.baud, bool(online.get(reader.name)), key))
    if as_json:
        names = ("device", "bus", "address", "baud", "answers", "key")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    told = (
        (name, bus, str(at), str(rate), "answers" if up else "silent", key) for name, bus, at, rate, up, key in rows
    )
    print("\n".join(table([("device", "bus", "address", "baud", "", "key"), *told], indent="")))


@app.command(name="install-key")
def install_key(
    device: Device,
    config: Config,
    window_s: Annotated[float, typer.Option("--window", help="How long to wait for install mode, in s.")] = 120.0,
) -> None:
    """Give a device in install mode its own key, and keep it in the file that gateway.toml names."""
    from gateway.drivers.osdp import ceremony
    from zhian import bus_line

    lines = bus_line.open_lines(config)
    wired = lines.device(device)

    def waiting() -> None:
        typer.echo(f"{device}: press its install button now; waiting {window_s:g} s ...", err=True)

    with lines.own():
        identity = asyncio.run(ceremony.install_key(wired.place, wired.key_file, window_s, waiting))
    print(f"{device}: has its own key ({wired.key_file.path}) and proved it; serial {identity.serial}")


@app.command(name="rotate-key")
def rotate_key(device: Device, config: Config, operator: Operator = None) -> None:
    """Give a device a fresh key under its present one. Through core where it runs, else here."""
    from gateway.errors import OperationsUnavailableError
    from zhian import access_site, bus_line

    lines = bus_line.open_lines(config)
    wired = lines.device(device)
    who = access_site.operator_or_me(operator)
    try:
        access_site.ask(access_site.open_site(config), lambda core: core.rotate_key(device, who))
    except OperationsUnavailableError:
        with lines.own():
            bus_line.run(bus_line.rotate(wired))
    print(f"{device}: has a fresh key ({wired.key_file.path}) and proved it")


@app.command(name="set-line")
def set_line(
    device: Device,
    config: Config,
    address: Annotated[int | None, typer.Option(min=0, max=126, help="The new address.")] = None,
    baud: Annotated[int | None, typer.Option(help="The new baud rate.")] = None,
) -> None:
    """Move a device to another address or baud rate; where it does not come there, it is taken back."""
    from gateway.drivers.osdp import ceremony
    from runtime.errors import UserError
    from zhian import bus_line

    lines = bus_line.open_lines(config)
    wired = lines.device(device)
    wanted = (wired.place.address if address is None else address, wired.place.baud if baud is None else baud)
    if wanted == (wired.place.address, wired.place.baud):
        raise UserError(f"{device}: expected another address or baud rate than it has; name --address or --baud")
    others = sorted(one.name for one in lines.config.reader if one.bus == wired.reader.bus and one.name != device)
    if wanted[1] != wired.place.baud and others:
        raise UserError(
            f"{device}: a line has one baud rate, and {', '.join(others)} would stay at {wired.place.baud}; "
            "connect it alone, with a gateway.toml that has only this reader on the bus, and move one after the other"
        )
    with lines.own():
        place = asyncio.run(ceremony.set_line(wired.place, bus_line.session_of(wired), *wanted))
    if (place.address, place.baud) != wanted:
        raise UserError(f"{device}: did not come to address {wanted[0]} at {wanted[1]} baud; it is where it was")
    print(f"{device}: answers at address {place.address}, {place.baud} baud; now write that into {config}")


@app.command()
def light(
    device: Device,
    colour: Annotated[str, typer.Argument(help="red, green, amber or off")],
    config: Config,
    for_s: Annotated[float, typer.Option("--for", help="Seconds; 0: from now on.", min=0, max=600)] = 3.0,
) -> None:
    """Show a colour on a reader."""
    from firmware.wire import codes
    from firmware.wire.commands import Led
    from runtime.errors import UserError

    colours = {"off": codes.BLACK, "red": codes.RED, "green": codes.GREEN, "amber": codes.AMBER}
    if colour not in colours:
        raise UserError(f"colour: expected one of {', '.join(colours)}, got {colour[:20]!r}; choose a colour")
    look, none = (1, 0, colours[colour], colours[colour]), (0, 0, codes.BLACK, codes.BLACK)
    if for_s:
        led = Led(0, 0, codes.LED_SET_TEMPORARY, look, max(1, round(for_s * 10)), codes.LED_NOP, none)
    else:
        led = Led(0, 0, codes.LED_CANCEL_TEMPORARY, none, 0, codes.LED_SET_PERMANENT, look)
    _tell(device, config, led)


@app.command()
def beep(
    device: Device, config: Config, times: Annotated[int, typer.Option(min=1, max=20, help="How often.")] = 1
) -> None:
    """Sound a reader's buzzer."""
    from firmware.wire import codes
    from firmware.wire.commands import Buzzer

    _tell(device, config, Buzzer(0, codes.TONE_DEFAULT, 1, 1, times))


@app.command()
def text(
    device: Device,
    words: Annotated[str, typer.Argument(help="Up to 64 characters of ASCII.")],
    config: Config,
    for_s: Annotated[int, typer.Option("--for", min=0, max=255, help="Seconds; 0: from now on.")] = 5,
) -> None:
    """Show a text on a reader's display."""
    from firmware.wire import codes
    from firmware.wire.commands import MAX_TEXT_BYTES, Text
    from runtime.errors import UserError

    if not (words.isascii() and words.isprintable() and 0 < len(words) <= MAX_TEXT_BYTES):
        raise UserError(f"text: expected 1..{MAX_TEXT_BYTES} printable ASCII characters; shorten or spell it so")
    control = codes.TEXT_TEMPORARY if for_s else codes.TEXT_PERMANENT
    _tell(device, config, Text(0, control, for_s, 1, 1, words.encode("ascii")))


def _tell(device: str, config: Path, message: object) -> None:
    from zhian import bus_line

    lines = bus_line.open_lines(config)
    with lines.own():
        bus_line.run(bus_line.tell(lines.device(device), [message]))  # type: ignore[list-item]
    print(f"{device}: done")


def _answers(wired: Wired) -> bool:
    from zhian import bus_line

    place = wired.place
    return bool(asyncio.run(bus_line.scan(place.port, [place.baud], [place.address], lambda _baud, _at: None)))


def _scan(port: str, bauds: list[int], addresses: range, progress) -> list[Found]:  # type: ignore[no-untyped-def]
    from zhian import bus_line

    return asyncio.run(bus_line.scan(port, bauds, addresses, progress or (lambda _baud, _at: None)))


def _progress(baud: int, address: int) -> None:
    if address % 16 == 0:
        typer.echo(f"{baud} baud, address {address} ...", err=True)


def _bauds(told: str) -> list[int]:
    from gateway.drivers.osdp.ceremony import BAUDS
    from runtime.errors import UserError

    if told == "all":
        return list(BAUDS)
    if not told.isdecimal() or int(told) not in BAUDS:
        raise UserError(f"--baud: expected all or one of {BAUDS}, got {told[:20]!r}; choose one")
    return [int(told)]


def _print_found(found: dict[str, list[Found]], as_json: bool) -> None:
    import json

    from gateway.drivers.osdp.names import described
    from zhian.access_texts import table

    if as_json:
        print(json.dumps([_as_dict(line, one) for line, devices in found.items() for one in devices]))
        return
    for line, devices in found.items():
        print(f"{line}: {len(devices)} devices" if devices else f"{line}: nobody answers")
        rows = []
        for one in devices:
            who = _who(one)
            rows.append((str(one.address), str(one.baud), who["vendor"], who["model"], who["serial"], who["firmware"]))
        if rows:
            print("\n".join(table([("address", "baud", "vendor", "model", "serial", "firmware"), *rows])))
        for one in devices:
            can = described(one.capabilities.entries) if one.capabilities else ["does not say what it can do"]
            print(f"  address {one.address}: {', '.join(can)}")


def _who(one: Found) -> dict[str, str]:
    told = one.identity
    if told is None:
        return dict.fromkeys(("vendor", "model", "serial", "firmware"), "?")
    return {
        "vendor": told.vendor.hex(),
        "model": f"{told.model}.{told.version}",
        "serial": str(told.serial),
        "firmware": ".".join(str(part) for part in told.firmware),
    }


def _as_dict(line: str, one: Found) -> dict[str, object]:
    entries = one.capabilities.entries if one.capabilities else []
    return {
        "line": line,
        "address": one.address,
        "baud": one.baud,
        **_who(one),
        "capabilities": [{"function": f, "compliance": level, "items": n} for f, level, n in entries],
    }
