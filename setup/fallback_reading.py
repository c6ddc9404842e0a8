"""The two inference libraries on the same pictures, for setup/fallback_runtime.sh.

draw FOLDER         rendered approaches as PNG files, from fixed seeds
read FOLDER FILE    read them with the library that this Python has; what was read as JSON
compare FILE FILE   print both, and end with 1 where a text differs or a score by more than MOST_APART
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MOST_APART = 0.02  # of a score; other kernels and another OpenCV round differently
FRAMES, EVERY = 8, 2
VISITS = (
    ("京A12345", "BLUE"), ("粤BD12345", "GREEN"), ("沪C21F13", "BLUE"), ("苏ED51712", "GREEN"),
    ("川M6R275", "BLUE"), ("浙AF20867", "GREEN"),
)  # fmt: skip


def draw(folder: Path) -> None:
    """The frames that are read, drawn once: both libraries see the same bytes."""
    import cv2

    from sim.render.plate import PlateKind
    from sim.render.scene import approach

    folder.mkdir(parents=True, exist_ok=True)
    for number, (text, kind) in enumerate(VISITS):
        drive = approach(text, PlateKind[kind], seed=7000 + number, frames=FRAMES, background_seed=number)
        for n, frame in enumerate(drive):
            if n % EVERY:
                (folder / f"{number}-{n}.png").write_bytes(cv2.imencode(".png", frame.image)[1].tobytes())


def read(folder: Path, file: Path) -> None:
    """Every picture, by the shipped models: one frame of a camera, and as a still."""
    import cv2
    import numpy as np

    from gateway.vision import runtime
    from gateway.vision.picture import decode
    from gateway.vision.reader import load_default

    cv2.setNumThreads(1)
    plates = load_default()
    rows: dict[str, list[tuple[str, str, float]]] = {}
    began = time.process_time()
    for path in sorted(folder.glob("*.png")):
        picture = decode(path.read_bytes(), path.name)
        for how in (False, True):
            found = plates.find(picture, thorough=how)
            legible = [(f.reading.text, f.reading.kind, f.reading.score) for f in found if f.reading.refused is None]
            rows[f"{path.stem}{' still' if how else ''}"] = [(t, k, round(float(s), 6)) for t, k, s in legible]
    made = {"library": runtime.Interpreter.__module__, "numpy": np.__version__, "opencv": cv2.__version__}
    file.write_text(json.dumps({**made, "cpu_s": round(time.process_time() - began, 2), "rows": rows}), "utf-8")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def compare(one: Path, other: Path) -> int:
    """How many pictures were read differently; told with the largest difference of a score."""
    ours, older = (json.loads(path.read_text("utf-8")) for path in (one, other))
    for told in (ours, older):
        tell(f"{told['library']}: numpy {told['numpy']}, OpenCV {told['opencv']}, {told['cpu_s']} s of CPU")
    if not older["library"].startswith("tflite_runtime") or not ours["library"].startswith("ai_edge_litert"):
        sys.exit("zhian: the two environments hold the same library; remove build/fallback and run make fallback again")
    differ, apart = 0, 0.0
    for name, rows in ours["rows"].items():
        others = older["rows"].get(name, [])
        if [row[:2] for row in rows] != [row[:2] for row in others]:
            tell(f"{name}: {rows} against {others}")
            differ += 1
            continue
        apart = max([apart, *(abs(a[2] - b[2]) for a, b in zip(rows, others, strict=True))])
    count, texts = len(ours["rows"]), sum(len(rows) for rows in ours["rows"].values())
    tell(f"{count - differ} of {count} pictures read alike ({texts} plates); scores at most {apart:.6f} apart")
    return differ + (apart > MOST_APART) + (texts < count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("draw", "read", "compare"))
    parser.add_argument("paths", nargs="+", type=Path)
    given = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    if given.what == "draw":
        draw(*given.paths)
    elif given.what == "read":
        read(*given.paths)
    else:
        return 1 if compare(*given.paths) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
