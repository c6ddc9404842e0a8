"""`zhian plate`: read plates from pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.vision.reader import PlateFound, PlateReader

app = typer.Typer(no_args_is_help=True)
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}


@app.callback()
def group() -> None:
    """Read plates from pictures."""


@app.command()
def read(
    paths: Annotated[list[Path], typer.Argument(help="Pictures; a folder means every JPEG, PNG and BMP in it.")],
    cropped: Annotated[bool, typer.Option("--cropped", help="Each picture is one plate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
) -> None:
    """Read every plate in the pictures. Exit 1 if a picture could not be used; the others are read all the same."""
    from gateway.errors import VisionError
    from gateway.vision.reader import load_default

    plates, failed = load_default(), False
    for path in _pictures(paths):
        try:
            found = _find(plates, path, cropped=cropped)
        except VisionError as e:
            failed = True
            print(f"zhian: {e}", file=sys.stderr)
            continue
        if as_json:
            rows = [_row(f) for f in found if f.reading.refused is None]
            print(json.dumps({"file": str(path), "plates": rows}, ensure_ascii=False), flush=True)
        else:
            print(f"{path}: {_words(found)}", flush=True)
    if failed:
        raise typer.Exit(1)


def _pictures(paths: list[Path]) -> Iterator[Path]:
    """The files meant by the arguments, folders in name order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
        else:
            yield path


def _find(plates: PlateReader, path: Path, *, cropped: bool) -> list[PlateFound]:
    from gateway.errors import VisionError
    from gateway.vision.picture import MAX_BYTES, decode

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # one more than allowed, so that decode can refuse it
    except OSError as e:
        raise VisionError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    picture = decode(data, str(path))
    return [plates.read_cropped(picture)] if cropped else plates.find(picture, thorough=True)


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
