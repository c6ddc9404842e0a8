"""Progress of a training: a line on stdout now and then, a CSV file of every line, and a picture of the curves."""

from __future__ import annotations

import math
import time
from pathlib import Path

WIDE, HIGH, MARGIN = 760, 320, 56
COLOURS = ("#0f6b64", "#ad1f2b", "#1f5594")


class Curve:
    """`<out>.csv` and `<out>.svg` beside the weights; earlier files of that name are begun anew."""

    def __init__(self, out: Path, title: str, steps: int) -> None:
        self._csv, self._svg = out.with_suffix(".csv"), out.with_suffix(".svg")
        self._title, self._steps, self._began = title, steps, time.monotonic()
        self._rows: list[tuple[int, dict[str, float]]] = []
        out.parent.mkdir(parents=True, exist_ok=True)

    def add(self, step: int, **values: float) -> None:
        """One point of every curve. Prints the step, the values, the time so far and the time that is left."""
        gone = time.monotonic() - self._began
        left = gone / step * (self._steps - step)
        text = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        print(f"step {step}/{self._steps} {text}  {gone:.0f} s gone, about {left:.0f} s left", flush=True)
        self._rows.append((step, values))
        lines = ["step," + ",".join(self._rows[0][1])]
        lines += [f"{at}," + ",".join(f"{value:.6g}" for value in row.values()) for at, row in self._rows]
        self._csv.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._svg.write_text(drawn(self._title, self._rows), encoding="utf-8")


def drawn(title: str, rows: list[tuple[int, dict[str, float]]]) -> str:
    """The curves as SVG, losses on a logarithmic scale. Pure."""
    names = list(rows[0][1])
    numbers = [max(value, 1e-9) for _, row in rows for value in row.values()]
    low, high = math.log10(min(numbers)), math.log10(max(numbers))
    high = max(high, low + 0.1)
    last = max(step for step, _ in rows)

    def x(step: float) -> float:
        return MARGIN + (WIDE - 2 * MARGIN) * step / max(1, last)

    def y(value: float) -> float:
        return HIGH - MARGIN - (HIGH - 2 * MARGIN) * (math.log10(max(value, 1e-9)) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/><text x="{MARGIN}" y="24" font-size="15">{title}</text>',
    ]
    for power in range(math.floor(low), math.ceil(high) + 1):
        for digit in (1, 2, 5):
            value = digit * 10.0**power
            if low <= math.log10(value) <= high:
                line = f'x1="{MARGIN}" x2="{WIDE - MARGIN}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#d8dee5"'
                parts += [f"<line {line}/>", f'<text x="8" y="{y(value) + 4:.1f}">{value:g}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = round(last * share)
        parts.append(f'<text x="{x(at):.1f}" y="{HIGH - MARGIN + 20}" text-anchor="middle">{at}</text>')
    parts.append(f'<text x="{WIDE / 2}" y="{HIGH - 8}" text-anchor="middle">steps</text>')
    for number, name in enumerate(names):
        points = " ".join(f"{x(step):.1f},{y(row[name]):.1f}" for step, row in rows)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDE - MARGIN - 90}" y="{24 + 16 * number}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])
