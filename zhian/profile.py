"""`zhian profile`: list the shipped device profiles, check any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from device_profiles import Examined

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON object per file and line on stdout.")]


@app.command("list")
def list_(json_: Json = False) -> None:
    """List the shipped profiles."""
    from device_profiles import examine_file, names, shipped

    for name in names():
        examined = examine_file(shipped(name))
        profile = examined.profile
        kind = profile.__struct_config__.tag if profile else None
        if json_:
            label = {"zh": profile.label.zh, "en": profile.label.en} if profile else None
            print(json.dumps({"name": name, "kind": kind, "label": label} | _row(examined), ensure_ascii=False))
        else:
            print(
                f"{name:<32} {kind or 'broken':<12} {examined.status or '-':<13} {profile.label.en if profile else ''}"
            )


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Profiles as TOML files.")],
    json_: Json = False,
) -> None:
    """Check profiles: every error of every file. Exit 1 if one of them cannot be used."""
    from device_profiles import examine_file

    examined = [examine_file(path) for path in files]
    for one in examined:
        if json_:
            print(json.dumps(_row(one), ensure_ascii=False))
        elif not one.errors:
            print(f"{one.source}: ok ({one.status})")
        else:
            print("\n".join(one.errors))
    if any(one.errors for one in examined):
        raise typer.Exit(1)


def _row(examined: Examined) -> dict[str, object]:
    return {
        "file": examined.source,
        "ok": not examined.errors,
        "status": examined.status,
        "errors": list(examined.errors),
    }
