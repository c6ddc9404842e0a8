"""`zhian models`: which models there are, that each is the measured one; published ones on request, and your own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gateway.vision.faces.own_model import Finding
    from gateway.vision.models import Entry
    from model_conversion.fetch import Wanted

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else there.")]
UNCLEAR = (
    "{name}: {licence}; the rights in the weights are not clear. A real site uses it only after"
    " `zhian models accept {name}`, and where gateway.toml asks for it."
)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the models with their licence and origin."""
    _print([_row(e) for e in _all()], as_json=as_json)


@app.command()
def verify(as_json: Json = False) -> None:
    """Check size and SHA-256 of every model file on this machine; exit 1 on the first that is not the measured one."""
    from gateway.vision.models import is_fetched, published_folder, read_checked

    checked, folder = [], published_folder()
    for entry in _all():
        if entry.source is None:
            read_checked(entry)
        elif is_fetched(entry, folder):
            read_checked(entry, folder, again="run zhian models fetch")
        else:
            continue
        checked.append(entry)
    _print([_row(e) for e in checked], as_json=as_json, note="verified")


@app.command()
def fetch(
    again: Annotated[bool, typer.Option("--again", help="Also those that are here already.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch and convert the published weights that are not here yet (about 10 MB); then verify everything."""
    from gateway.vision.models import PUBLISHED, entries, is_fetched, published_folder
    from model_conversion.fetch import make

    folder = published_folder()
    missing = [e for e in entries(PUBLISHED) if again or not is_fetched(e, folder)]
    make([_wanted(e) for e in missing], folder, lambda text: print(f"zhian: {text}", file=sys.stderr, flush=True))
    for entry in missing:
        if not entry.licence_clear:
            print("zhian: " + UNCLEAR.format(name=entry.name, licence=entry.licence), file=sys.stderr)
    verify(as_json)


@app.command()
def accept(
    names: Annotated[list[str], typer.Argument(help="Models whose licence is not clear, as `list` names them.")],
    as_json: Json = False,
) -> None:
    """Accept weights whose licence is not clear, for this machine. A real site does not use them before."""
    from gateway.errors import VisionError
    from gateway.vision import models

    known = {e.name: e for e in _all()}
    for name in names:
        if name not in known:
            raise VisionError(f"model {name}: expected one of {', '.join(known)}; correct the name")
    for name in names:
        models.accept(known[name], models.published_folder())
    _print([_row(known[name]) for name in names], as_json=as_json, note="accepted")


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for weights, curves and the new .tflite files.")] = Path(
        "build/training"
    ),
    only: Annotated[str | None, typer.Option("--only", help="`reader` or `detector`; without export.")] = None,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, help="Fewer than the shipped weights had: a trial.")
    ] = None,
    install: Annotated[bool, typer.Option("--install", help="Put the new files in place of the shipped ones.")] = False,
) -> None:
    """Repeat the training of our own plate models on rendered plates, with progress and curves (about an hour)."""
    import subprocess
    from importlib.util import find_spec

    from gateway.errors import VisionError

    root = Path(__file__).parents[1]
    if not (root / "training" / "train.py").is_file():
        raise VisionError("training: its scripts are in no wheel; run this command in a checkout of the sources")
    if only not in (None, "reader", "detector"):
        raise VisionError(f"training: --only expects reader or detector, got {only!r}; correct it or leave it out")
    if find_spec("torch") is None:
        raise VisionError(
            "training: torch is not installed here; pip install -e '.[train]' in a virtual environment of its own"
        )
    chosen = [*(["--only", only] if only else []), *(["--shards", str(shards)] if shards else [])]
    arguments = ["-m", "training.train", "--out", str(out.absolute()), *chosen, *(["--install"] if install else [])]
    raise typer.Exit(subprocess.run([sys.executable, *arguments], cwd=root, check=False).returncode)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="TOML of your own face embedding model; docs/faces.md.")],
    as_json: Json = False,
) -> None:
    """Check an embedding model of your own: hash, shapes, numbers, thresholds. Exit 1 where something is wrong."""
    from dataclasses import asdict

    rows = [{"file": str(path)} | asdict(finding) for path in files for finding in _findings(path)]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    for row in () if as_json else rows:
        mark = "ok " if row["ok"] else "NO "
        fix = "" if row["ok"] else f"; {row['fix']}"
        typer.echo(f"{mark} {row['check']}: {row['found']} (expected {row['expected']}){fix}")
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


def _findings(path: Path) -> list[Finding]:
    """Found in a process of its own: a file can be such that the inference library ends the process that loads it."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from gateway.vision.faces.own_model import Finding

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        try:
            return apart.submit(_findings_here, path).result()
        except BrokenProcessPool:
            found = "the process that loaded it crashed"
            return [
                Finding("loads", False, found, "a .tflite file that LiteRT takes", "do not use it; convert it again")
            ]


def _findings_here(path: Path) -> list[Finding]:
    from gateway.vision.faces.own_model import check

    return list(check(path))


def _all() -> list[Entry]:
    from gateway.vision.models import PUBLISHED, entries

    return [*entries(), *entries(PUBLISHED)]


def _wanted(entry: Entry) -> Wanted:
    from gateway.errors import VisionError
    from model_conversion.fetch import Wanted

    source = entry.source
    if source is None:
        raise VisionError(f"model {entry.name}: it ships with the package and cannot be fetched")
    return Wanted(
        entry.name,
        source.package,
        source.version,
        source.wheel_sha256,
        source.member,
        source.member_sha256,
        source.shapes,
        entry.file,
        entry.sha256,
        source.registry,
        source.conversion,
    )


def _row(entry: Entry) -> dict[str, object]:
    from gateway.vision.models import accepted, is_fetched, published_folder

    names = ("name", "purpose", "file", "sha256", "bytes", "licence", "licence_clear", "origin")
    folder = published_folder()
    here = entry.source is None or is_fetched(entry, folder)
    return {name: getattr(entry, name) for name in names} | {"here": here, "accepted": accepted(entry, folder)}


def _print(rows: list[dict[str, object]], *, as_json: bool, note: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        clear = "clear" if row["licence_clear"] else ("NOT CLEAR, accepted" if row["accepted"] else "NOT CLEAR")
        here = note if row["here"] else "not fetched"
        typer.echo(
            f"{row['name']}  {row['bytes']} bytes  {row['licence']} ({clear})  {str(row['sha256'])[:16]}  {here}"
        )
        typer.echo(f"    {row['purpose']}; {row['origin']}")
