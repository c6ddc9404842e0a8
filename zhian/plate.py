"""`zhian plate`: read plates from pictures and films."""

from __future__ import annotations

import io
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
    """Read plates from pictures and films."""


@app.command()
def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures and films; a folder means all of them in it.")],
    cropped: Annotated[bool, typer.Option("--cropped", help="Each picture is one plate.")] = False,
    draw: Annotated[
        Path | None,
        typer.Option("--draw", metavar="FOLDER", help="Save there what was read: each picture, one of each visit."),
    ] = None,
    reader: Annotated[
        Reader, typer.Option("--reader", help="Our own, the published one, or the vote of both.")
    ] = Reader.OWN,
    fps: Annotated[int, typer.Option("--fps", min=1, max=25, help="Pictures read of each second of a film.")] = 10,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per picture, or per visit of a film.")
    ] = False,
) -> None:
    """Read every plate in the pictures and films. Exit 1 if one could not be used; the others are read all the same."""
    from gateway.errors import VisionError

    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files and provinces that this terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    plates, failed = _load(reader), False
    for path in _files(paths):
        try:
            if _is_film(path):
                _film(plates, path, fps, draw, cropped=cropped, as_json=as_json)
                continue
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


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files meant by the arguments, folders in name order."""
    from gateway.vision import video

    for path in paths:
        within = [path]
        if path.is_dir():
            within = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS | video.ENDINGS and p.is_file())
        yield from within or [path]


def _is_film(path: Path) -> bool:
    """Named as one, or one that is named otherwise."""
    from gateway.vision import video

    return path.suffix.lower() in video.ENDINGS or (path.is_file() and video.is_film(video.head_of(path)))


def _film(plates: PlateReader, path: Path, fps: int, draw: Path | None, *, cropped: bool, as_json: bool) -> None:
    from gateway.errors import VisionError
    from zhian.plate_film import read_film

    if cropped:
        raise VisionError(f"{path}: expected a picture of one plate (--cropped), got a film; leave --cropped out")
    read_film(plates, path, per_s=fps, draw=draw, as_json=as_json)


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

    if path.is_dir():
        raise VisionError(f"{path}: expected a folder with pictures in it, got one without; name the one they are in")
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
