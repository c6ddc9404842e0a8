"""Repeat the whole training, `zhian models train`: reader, detector, export.

    python -m training.train [--out FOLDER] [--only reader|detector] [--shards N] [--install]

The shipped weights took 289 shards for the reader, in stages, and 10 for the detector (docs/models.md). The weights,
the curves and the .tflite files go into FOLDER; the shipped ones stay as they are until `--install` puts the new ones
in their place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SHARDS = {"reader": 289, "detector": 10}


def steps(given: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """(what is being done, arguments after the interpreter) in order."""
    out: Path = given.out
    work = []
    for name in ("reader", "detector"):
        if given.only in (None, name):
            shards = str(given.shards or SHARDS[name])
            target = str(out / f"{name}.pt")
            seed = ["--seed", str(given.seed)]
            work.append((name, ["-m", f"training.train_{name}", "--out", target, "--shards", shards, *seed]))
    if given.only is None:
        to = [] if given.install else ["--to", str(out)]
        files = ["--reader", str(out / "reader.pt"), "--detector", str(out / "detector.pt")]
        work.append(("export", ["-m", "training.export", *files, *to]))
    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/training"))
    parser.add_argument("--only", choices=tuple(SHARDS), help="train one of them and export nothing")
    parser.add_argument("--shards", type=int, help=f"instead of {SHARDS}; fewer only shows that it works")
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--install", action="store_true", help="write the .tflite files over the shipped ones")
    given = parser.parse_args()
    for name, arguments in steps(given):
        print(f"training: {name}", flush=True)
        done = subprocess.run([sys.executable, *arguments], check=False)
        if done.returncode:
            sys.exit(
                f"training: {name} ended with {done.returncode}, its own message is above; what was done before is kept"
            )
    print(f"training: done; weights and curves are in {given.out}")


if __name__ == "__main__":
    main()
