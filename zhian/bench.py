"""`zhian bench`: figures of this machine against ceilings measured in the same run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer


def command(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all of them without a name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")] = False,
) -> None:
    """Measure. Nothing asserts a time; `met` says whether the goal of docs/benchmarks.md was reached here, now."""
    from runtime import log
    from runtime.errors import UserError
    from zhian.benches import BENCHES

    log.set_up("bench")

    for name in names or BENCHES:
        if name not in BENCHES:
            raise UserError(f"bench {name!r}: expected one of {sorted(BENCHES)}; without a name all are run")
    if not as_json:
        print(f"{'':3} {'figure':<46} {'value':>12} {'unit':<10} {'ceiling':>12} {'ratio':>7} {'goal':>7}")
    for name in names or BENCHES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for figure in BENCHES[name]():
            print(json.dumps(asdict(figure)) if as_json else _line(figure), flush=True)


def _line(f) -> str:  # type: ignore[no-untyped-def]
    ceiling = "" if f.ceiling is None else f"{f.ceiling:12.4g}"
    ratio = "" if f.ratio is None else f"{f.ratio:7.3f}"
    sign = ">=" if f.better == "higher" else "<="
    mark = "ok " if f.met else "NO "
    return f"{mark} {f.name:<46} {f.value:12.4g} {f.unit:<10} {ceiling:>12} {ratio:>7} {sign}{f.goal:5.4g}"
