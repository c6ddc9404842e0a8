"""`zhian face`: measure pictures of faces, which knows nobody and keeps nothing; and the enrolment desk."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zhian.face_desk import add as add_desk

if TYPE_CHECKING:
    from gateway.vision.faces.reader import FaceReader, Seen
    from gateway.vision.picture import Picture

app = typer.Typer(no_args_is_help=True)
add_desk(app)
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}
MAX_PAIRS = 100_000
Own = Annotated[Path | None, typer.Option("--model", help="TOML of your own embedding model.")]


@app.callback()
def group() -> None:
    """Measure pictures of faces (nobody is looked up, nothing is kept); enrol consenting holders, and erase."""


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Pictures; a folder means every JPEG, PNG and BMP in it.")
    ] = None,
    sequence: Annotated[
        Path | None, typer.Option("--sequence", help="A film, or a folder of pictures in the order of their names.")
    ] = None,
    fps: Annotated[int, typer.Option("--fps", min=1, max=25, help="With --sequence: pictures a second.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture.")] = False,
) -> None:
    """Say of each picture whether its face could be compared, and if not, what to do. Exit 1 if one could not.

    With --sequence also whether a face was presented or a picture of one; exit 1 where no face was found to be."""
    from gateway.errors import VisionError
    from runtime.errors import UserError

    if (sequence is None) == (not paths):
        raise UserError("face check: expected pictures or --sequence FILE|FOLDER, and not both; give one of them")
    if sequence is not None:
        from zhian.face_sequence import check_sequence

        if not check_sequence(_load(None), sequence, fps, _row, as_json=as_json):
            raise typer.Exit(1)
        return
    reader, failed = _load(None), False
    for path in _pictures(paths or []):
        try:
            seen = reader.all(read_picture(path))
        except VisionError as e:
            failed = True
            print(f"zhian: {e}", file=sys.stderr)
            continue
        failed = failed or not seen or bool(seen[0].quality.problems)
        if as_json:
            print(json.dumps({"file": str(path), "faces": [_row(s) for s in seen]}, ensure_ascii=False), flush=True)
        else:
            print(f"{path}: {_words(seen)}", flush=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def compare(
    a: Annotated[Path | None, typer.Argument(help="One picture.")] = None,
    b: Annotated[Path | None, typer.Argument(help="Another.")] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="CSV with the columns a, b; paths relative to it.")
    ] = None,
    model: Own = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per pair.")] = False,
) -> None:
    """How similar the widest faces of two pictures are, beside the threshold of one comparison (a face and a card)."""
    from runtime.errors import UserError

    if (pairs is None) == (a is None or b is None):
        raise UserError("face compare: expected two pictures or --pairs FILE.csv; give one of them")
    reader, threshold = _load(model), _verification(model)
    for one, other in _listed(pairs) if pairs is not None else [(a, b)]:
        row = _compared(reader, one, other, threshold)  # type: ignore[arg-type]
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            text = "no face in one of them" if row["similarity"] is None else f"similarity {row['similarity']:.3f}"
            print(f"{row['a']}  {row['b']}: {text} (threshold {row['threshold']})", flush=True)


def _load(model: Path | None) -> FaceReader:
    import cv2

    from gateway.vision.faces.reader import load

    cv2.setNumThreads(1)
    return load(own=model, must_be_accepted=False)


def _verification(model: Path | None) -> float | None:
    """The similarity that one comparison needs at gateway.toml's default rate; None where no table supports it."""
    from gateway.config import Faces
    from gateway.errors import VisionError
    from gateway.vision.faces import threshold
    from gateway.vision.faces.own_model import own_thresholds

    try:
        table = own_thresholds(model) if model else threshold.load(threshold.SHIPPED, threshold.Thresholds)
    except VisionError:
        return None
    found = threshold.verification_threshold(Faces().fmr, table)
    return None if isinstance(found, threshold.Unsupported) else found


def _compared(reader: FaceReader, a: Path, b: Path, threshold: float | None) -> dict[str, object]:
    from gateway.vision.faces.detect import find

    vectors, counts = [], []
    for path in (a, b):
        picture = read_picture(path)
        counts.append(len(find(reader.detector, picture)))
        seen = reader.nearest(picture) if counts[-1] else None
        vectors.append(reader.embed(picture, seen.face) if seen else None)
    similar = None if vectors[0] is None or vectors[1] is None else round(float(vectors[0] @ vectors[1]), 4)
    same = None if similar is None or threshold is None else similar >= threshold
    return {"a": str(a), "b": str(b), "similarity": similar, "same": same, "threshold": threshold, "faces": counts}


def _listed(path: Path) -> Iterator[tuple[Path, Path]]:
    from runtime.errors import UserError

    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                if number > MAX_PAIRS:
                    raise UserError(f"{path}: more than {MAX_PAIRS} pairs; split the file")
                if not row.get("a") or not row.get("b"):
                    raise UserError(f"{path}: line {number}: expected the columns a and b, got {list(row)}; correct it")
                yield path.parent / row["a"], path.parent / row["b"]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: cannot be read ({e}); give a UTF-8 CSV file with the columns a, b") from None


def _pictures(paths: list[Path]) -> Iterator[Path]:
    """The files meant by the arguments, folders in name order."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
        else:
            yield path


def read_picture(path: Path) -> Picture:
    """Decode one file. Raises VisionError."""
    from gateway.errors import VisionError
    from gateway.vision.picture import MAX_BYTES, decode

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # one more than allowed, so that decode can refuse it
    except OSError as e:
        raise VisionError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    return decode(data, str(path))


def _row(seen: Seen) -> dict[str, object]:
    from dataclasses import asdict

    from gateway.vision.faces.quality import SENTENCES

    measured = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(seen.quality).items()}
    measured["score"] = round(seen.quality.score, 3)
    measured["problems"] = [{"problem": str(p), **SENTENCES[p]} for p in seen.quality.problems]
    box = [round(v) for v in seen.face.box]
    # One picture never proves that a face was there: it is not bona fide, and not an attack either.
    return {"box": box, "quality": measured, "bona_fide": None, "pad_score": None, "pad_reason": "one-picture"}


def _words(seen: list[Seen]) -> str:
    from gateway.vision.faces.quality import SENTENCES, Problem

    if not seen:
        told = SENTENCES[Problem.NO_FACE]
        return f"{told['en']} {told['zh-CN']}"
    first = seen[0].quality
    if not first.problems:
        return f"can be compared (quality {first.score:.2f}, {first.eyes_px:.0f} px between the eyes)"
    return " ".join(f"{SENTENCES[p]['en']} {SENTENCES[p]['zh-CN']}" for p in first.problems)
