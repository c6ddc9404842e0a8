"""Many runs as one table: a scenario a row, a seed a column. PURE: outcomes in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Outcome = Mapping[str, Any]


def text(outcomes: Sequence[Outcome], took_s: float, *, markdown: bool = False) -> str:
    """The table, ended by the totals. `took_s` is the time on the clock; where runs went side by side, their sum is
    larger. Where every scenario was run with seeds of its own, columns are "run 1" and so on."""
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(str(outcome["scenario"]), []).append(outcome)
    most = max((len(row) for row in rows.values()), default=0)
    head = ["scenario", "first seed", *(f"run {n}" for n in range(1, most + 1)), "mean s"]
    body = [
        [
            name,
            str(row[0]["seed"]),
            *(_verdict(outcome) for outcome in row),
            *[""] * (most - len(row)),
            f"{sum(float(o['seconds']) for o in row) / len(row):.1f}",
        ]
        for name, row in rows.items()
    ]
    bad = sum(not outcome["ok"] for outcome in outcomes)
    skipped = sum(bool(outcome.get("skipped")) for outcome in outcomes)
    passed_over = f", {skipped} skipped" if skipped else ""
    lost = sum(int(outcome.get("lost", 0)) for outcome in outcomes)
    twice = sum(int(outcome.get("duplicated", 0)) for outcome in outcomes)
    sum_s = sum(float(outcome["seconds"]) for outcome in outcomes)
    total = (
        f"{len(rows)} scenarios, {len(outcomes)} runs, {bad} failed{passed_over}; "
        f"events lost {lost}, stored twice {twice}; {took_s:.0f} s on the clock, {sum_s:.0f} s of runs"
    )
    return (_markdown(head, body) if markdown else _plain(head, body)) + f"\n{total}\n"


def _verdict(outcome: Outcome) -> str:
    if outcome.get("skipped"):
        return "skipped"
    if outcome["ok"]:
        return "ok"
    if outcome.get("error"):
        return "FAIL (not run)"
    held, all_ = sum(bool(row["ok"]) for row in outcome["expectations"]), len(outcome["expectations"])
    return f"FAIL {held}/{all_}"


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plain(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[n]) for line in (head, *body)) for n in range(len(head))]
    return "".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in (head, *body)
    )
