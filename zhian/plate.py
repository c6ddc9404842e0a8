"""`zhian plate`: read plates from pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.vision.picture import Picture
    from gateway.vision.reader import PlateFound, PlateReader

app = typer.Typer(no_args_is_help=True)
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}


class Reader(StrEnum):
    """Which reader decides the text."""

    OWN = "own"
    PUBLISHED = "published"
    VOTE = "vote"


@app.callback()
def group() -> None:
    """Read plates from pictures."""


@app.command()
def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures; a folder means every JPEG, PNG and BMP in it.")],
    cropped: Annotated[bool, typer.Option("--cropped", help="Each picture is one plate.")] = False,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FOLDER", help="Save each picture there with what was read in it.")
    ] = None,
    reader: Annotated[
        Reader, typer.Option("--reader", help="Our own, the published one, or the vote of both.")
    ] = Reader.OWN,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
) -> None:
    """Read every plate in the pictures. Exit 1 if a picture could not be used; the others are read all the same."""
    from gateway.errors import VisionError

    plates, failed = _load(reader), False
    for path in _pictures(paths):
        try:
            picture, found = _find(plates, path, cropped=cropped)
            drawn = _draw(picture, found, path, draw)
        except VisionError as e:
            failed = True
            print(f"zhian: {e}", file=sys.stderr)
            continue
        if as_json:
            rows = [_row(f) for f in found if f.reading.refused is None]
            named = {"drawn": str(drawn)} if drawn else {}
            print(json.dumps({"file": str(path), "plates": rows} | named, ensure_ascii=False), flush=True)
        else:
            print(f"{path}: {_words(found)}{f'; drawn: {drawn}' if drawn else ''}", flush=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def refused(
    config: Annotated[Path, typer.Option("--config", help="gateway.toml")],
    camera: Annotated[str | None, typer.Option("--camera", help="Only this camera.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=5000, help="How many, newest first.")] = 50,
) -> None:
    """The visits whose plate was not read, and why. The list never leaves the site."""
    from zhian.plate_refused import lines

    for line in lines(config, camera, most):
        print(line)


def _pictures(paths: list[Path]) -> Iterator[Path]:
    """The files meant by the arguments, folders in name order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
        else:
            yield path


def _load(reader: Reader) -> PlateReader:
    from gateway.vision.reader import load_default, load_vote

    if reader is Reader.OWN:
        return load_default()
    return load_vote(must_be_accepted=False, own_votes=reader is Reader.VOTE)


def _draw(picture: Picture, found: list[PlateFound], path: Path, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    from zhian.plate_drawing import write

    return write(picture, found, path, folder)


def _find(plates: PlateReader, path: Path, *, cropped: bool) -> tuple[Picture, list[PlateFound]]:
    from gateway.errors import VisionError
    from gateway.vision.picture import MAX_BYTES, decode

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # one more than allowed, so that decode can refuse it
    except OSError as e:
        raise VisionError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    picture = decode(data, str(path))
    return picture, [plates.read_cropped(picture)] if cropped else plates.find(picture, thorough=True)


def _row(found: PlateFound) -> dict[str, object]:
    reading = found.reading
    return {"text": reading.text, "kind": reading.kind, "score": round(reading.score, 4), "box": list(found.box)}


def _words(found: list[PlateFound]) -> str:
    from gateway.vision.grammar import sentence

    if not found:
        return "no plate found"
    words = []
    for one in found:
        reading = one.reading
        if reading.refused is None:
            words.append(f"{reading.text} ({reading.kind}, score {reading.score:.2f})")
        else:
            words.append(f"refused {reading.text!r}: {sentence(reading.refused)}")
    return "; ".join(words)


@app.command()
def aim(
    config: Annotated[Path, typer.Option(help="gateway.toml of this gateway.")],
    camera: Annotated[str | None, typer.Option("--camera", help="Only this one; else a choice of all.")] = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 = any free one.", min=0, max=65535)] = 8085,
) -> None:
    """Serve a live page for aiming a camera: what is read, plate width, sharpness, light, and what to change."""
    import asyncio

    from gateway.aiming.page import serve
    from runtime import log, stop

    log.set_up("aiming")
    asyncio.run(stop.until_signalled(serve(config, camera, "127.0.0.1", port)))
