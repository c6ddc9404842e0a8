"""`zhian models`: which models there are, and that each file is the measured one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout and nothing else there.")]
SHIPPED = "every default model ships with the package; nothing has to be downloaded"


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the models with their licence and origin."""
    from gateway.vision.models import entries

    _print([_row(e) for e in entries()], as_json=as_json)


@app.command()
def verify(as_json: Json = False) -> None:
    """Check size and SHA-256 of every model file; exit 1 on the first that is not the measured one."""
    from gateway.vision.models import entries, read_checked

    listed = entries()
    for entry in listed:
        read_checked(entry)
    _print([_row(e) for e in listed], as_json=as_json, note="verified")


@app.command()
def fetch(as_json: Json = False) -> None:
    """Nothing to download: verify what ships with the package."""
    verify(as_json)
    if not as_json:
        typer.echo(SHIPPED)


def _row(entry: object) -> dict[str, object]:
    names = ("name", "purpose", "file", "sha256", "bytes", "licence", "licence_clear", "origin")
    return {name: getattr(entry, name) for name in names}


def _print(rows: list[dict[str, object]], *, as_json: bool, note: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        clear = "clear" if row["licence_clear"] else "NOT CLEAR"
        typer.echo(
            f"{row['name']}  {row['bytes']} bytes  {row['licence']} ({clear})  {str(row['sha256'])[:16]}  {note}"
        )
        typer.echo(f"    {row['purpose']}; {row['origin']}")
