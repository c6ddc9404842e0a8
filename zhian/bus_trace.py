"""`zhian bus trace`: what was said on a line, saved, decoded, or handed to Wireshark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.drivers.osdp.decode import Told
    from gateway.drivers.osdp.ring import Heard

app = typer.Typer(no_args_is_help=True)

_MAX_FILE_BYTES = 256 * 1024 * 1024
File = Annotated[Path, typer.Argument(help="An OSDPCAP file: JSON lines.")]
Keys = Annotated[list[Path] | None, typer.Option("--key-file", help="A device's key: 32 hex digits. Repeatable.")]


@app.command()
def save(
    bus: Annotated[str, typer.Argument(help="The line's name in gateway.toml.")],
    config: Annotated[Path, typer.Option(help="gateway.toml; core must run.")],
    out: Annotated[Path, typer.Option(help="The capture.")],
) -> None:
    """Save what core said and heard on a line lately (the newest 8192 pieces, 256 kB)."""
    from gateway.drivers.osdp.capture import to_osdpcap
    from gateway.drivers.osdp.ring import Heard
    from zhian import access_site

    heard = access_site.ask(access_site.open_site(config), lambda core: core.hear_bus(bus))
    lines = [to_osdpcap(Heard(one.time_ns, one.from_panel, one.data)) for one in heard]
    access_site.write_private(out, "".join(line + "\n" for line in lines).encode())
    print(f"{out}: {len(lines)} pieces; read them with zhian bus trace show {out}")


@app.command()
def listen(
    port: Annotated[str, typer.Argument(help="A port of its own on the line; nothing is sent.")],
    out: Annotated[Path, typer.Option(help="The capture.")],
    baud: Annotated[int, typer.Option(help="The line's baud rate.")] = 38400,
    for_s: Annotated[float, typer.Option("--for", min=0.1, max=86400, help="Seconds.")] = 60.0,
) -> None:
    """Listen to a line with an adapter of its own, and save what is said. Ends by itself or with Ctrl-C."""
    from gateway.drivers.osdp.capture import to_osdpcap
    from zhian import access_site

    access_site.write_private(out, b"")
    count = 0
    with out.open("a", encoding="ascii") as file:
        for heard in _listened(port, baud, for_s):
            file.write(to_osdpcap(heard, passive=True) + "\n")
            file.flush()
            count += 1
    print(f"{out}: {count} pieces; read them with zhian bus trace show {out}")


@app.command()
def show(
    file: File,
    key_file: Keys = None,
    private: Annotated[bool, typer.Option("--private", help="Also card numbers and keys pressed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Every frame of a capture: when, who, which command, and with the device's key also what it said."""
    import json

    from gateway.drivers.osdp.decode import Decoder

    with_keys = Decoder([_key(path) for path in key_file or []], show=private)
    before_ns = 0
    for told in with_keys.told(_read(file)):
        before_ns = before_ns or told.time_ns
        print(json.dumps(_as_dict(told)) if as_json else _line(told, told.time_ns - before_ns))
        before_ns = told.time_ns


@app.command()
def pcapng(file: File, out: Annotated[Path, typer.Argument(help="The pcapng file.")]) -> None:
    """A capture as pcapng (link type USER15, as libosdp's own), for Wireshark with libosdp's osdp_dissector.lua."""
    from gateway.drivers.osdp.capture import to_pcapng
    from gateway.drivers.osdp.decode import frames_of
    from zhian import access_site

    frames = [heard for heard, _frame in frames_of(_read(file))]
    access_site.write_private(out, b"".join(to_pcapng(frames)))
    print(f"{out}: {len(frames)} frames")


def _read(file: Path) -> Iterator[Heard]:
    from gateway.drivers.osdp.capture import from_osdpcap
    from runtime.errors import UserError

    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise UserError(f"{file}: expected at most {_MAX_FILE_BYTES} bytes; cut the capture")
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from from_osdpcap(_bounded(lines), str(file))
    except OSError as e:
        raise UserError(f"{file}: cannot be read ({e.strerror}); name a capture") from e


def _bounded(lines) -> Iterable[str]:  # type: ignore[no-untyped-def]
    from gateway.drivers.osdp.capture import MAX_LINE_CHARS

    while line := lines.readline(MAX_LINE_CHARS + 1):
        yield line


def _listened(port: str, baud: int, for_s: float) -> Iterator[Heard]:
    import time

    import serial  # type: ignore[import-untyped]

    from gateway.drivers.osdp.ring import Heard
    from runtime.errors import UserError

    end_s = time.monotonic() + for_s
    try:
        with serial.Serial(port, baud, timeout=0.05, exclusive=True) as line:
            while time.monotonic() < end_s:
                if data := line.read(4096):
                    yield Heard(time.time_ns(), False, data)
    except KeyboardInterrupt:
        return
    except (OSError, ValueError) as e:
        raise UserError(f"{port}: cannot be listened to ({e}); name a port that nobody uses") from e


def _key(path: Path) -> bytes:
    from gateway.drivers.osdp import KeyFile
    from runtime.errors import UserError

    if (key := KeyFile(path).key()) is None:
        raise UserError(f"{path}: no such key; name the file that gateway.toml names as key_file")
    return key


def _line(told: Told, since_ns: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(told.time_ns / 1e9, UTC).strftime("%H:%M:%S.%f")
    arrow = "->" if told.from_panel else "<-"
    text = f"{moment} {since_ns / 1e6:+9.3f} ms {arrow} {told.address:3} seq {told.sequence} {told.name:<12}"
    return f"{text} {told.security:<9} {told.detail}".rstrip()


def _as_dict(told: Told) -> dict[str, object]:
    return {
        "time_ns": told.time_ns,
        "from": "panel" if told.from_panel else "device",
        "address": told.address,
        "sequence": told.sequence,
        "code": told.code,
        "name": told.name,
        "security": told.security,
        "bytes": told.size,
        "detail": told.detail,
    }
