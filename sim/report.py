"""Reports of runs as one HTML file that needs nothing else: no script, no other file, fit for a phone and for paper.

PURE: outcomes, facts and events in, text out. Everything that comes from outside is escaped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from sim import report_picture
from sim.report_picture import Place, Record, cut

BEFORE = 10  # things that are shown before a failure
MAX_ROWS = 500  # of the chronology
HIDDEN = ("t_ms", "unix_ms", "kind", "subject")

STYLE = """
:root{color-scheme:light} *{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:#18222d;font:16px/1.5 system-ui,"PingFang SC","Microsoft YaHei",
  "Noto Sans CJK SC",sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 16px 48px} h1{font-size:1.5rem;margin:0 0 12px}
h2{font-size:1.2rem;margin:0;overflow-wrap:anywhere} h3{font-size:1rem;margin:22px 0 8px}
section{background:#fff;border:1px solid #d8dee5;border-radius:12px;padding:16px;margin:16px 0}
.head{display:flex;flex-wrap:wrap;gap:6px 12px;align-items:center} .soft{color:#52606d}
.ok,.bad{font-weight:650;border-radius:999px;padding:1px 10px;white-space:nowrap}
.ok{color:#17663a;background:#e3f4e9} .bad{color:#ad1f2b;background:#fde8e9}
ul,ol{list-style:none;margin:0;padding:0} li{padding:8px 0;border-top:1px solid #e6eaee;overflow-wrap:anywhere}
li:first-child{border-top:0} .seen{color:#52606d;font-size:.9375rem}
.around{margin:8px 0 4px;border-left:3px solid #ad1f2b;padding-left:12px;font-size:.875rem}
.around li{padding:2px 0;border:0}
.at{color:#52606d;font-variant-numeric:tabular-nums;display:inline-block;min-width:5.2em}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:6px 10px 6px 0;border-top:1px solid #e6eaee;vertical-align:top}
tr:first-child>*{border-top:0} .num{font-variant-numeric:tabular-nums} .box{overflow-x:auto}
.box{max-width:100%;overscroll-behavior-x:contain} .swipe{display:none}
@media (max-width:820px){.swipe{display:block}}
.picture{display:block;min-width:760px;width:100%;height:auto;font:12px system-ui,"Noto Sans CJK SC",sans-serif}
.tick{stroke:#e6eaee} .lane{stroke:#d3dae1} .time,.label{fill:#52606d} .time{text-anchor:middle;font-size:11px}
.place{font-weight:650;font-size:13px} .path{fill:none;stroke:#8ba3b8;stroke-width:1}
.mark{fill:#1f5594;stroke:#fff} .mark.moved{fill:#5b4ab0} .mark.stored{fill:#0f6b64}
.mark.acked{fill:#fff;stroke:#0f6b64;stroke-width:2} .mark.good,.led-green{fill:#1c8a4d}
.mark.bad,.mark.led-red{fill:#ad1f2b} .mark.led-amber{fill:#c98a14} .mark.led-green{fill:#1c8a4d}
.fault{stroke:#ad1f2b;stroke-dasharray:4 3} .fault-text{fill:#ad1f2b;text-anchor:middle;font-size:11px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f6f8;padding:10px;border-radius:8px;
  font-size:.8125rem}
summary{cursor:pointer;min-height:44px;padding:10px 0} a{color:#0f6b64}
@media print {
  body{background:#fff} section{break-inside:avoid-page;border-color:#999}
  .picture{min-width:0} .box{overflow:visible}
}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario: its JSON report, and what it was judged by.

    outcome: what `zhian sim run --json` prints. facts: the lines of world.jsonl. events: what the center stored, each
    with time_ms and received_ms. acked: (unix ms, number up to which the gateway had been acknowledged), as observed.
    """

    outcome: Mapping[str, Any]
    title: tuple[str, str] = ("", "")  # (Chinese, English)
    places: Sequence[Place] = ()
    facts: Sequence[Record] = ()
    events: Sequence[Record] = ()
    acked: Sequence[tuple[int, int]] = field(default=())


def html(runs: Sequence[Run], took_s: float | None = None) -> str:
    """The whole document. `took_s`: the time on the clock, where runs went side by side less than their sum."""
    failed = sum(not run.outcome["ok"] for run in runs)
    verdict = _verdict(not failed) if runs else ""
    body = [f'<div class="head"><h1>zhian · 智安 — scenario report 场景报告</h1>{verdict}</div>']
    sum_s = sum(float(run.outcome.get("seconds", 0)) for run in runs)
    clock = "" if took_s is None else f", on the clock 总用时: {took_s:.0f} s"
    body.append(
        f'<p class="soft">runs 运行: {len(runs)}, failed 失败: {failed}, sum of runs 累计: {sum_s:.0f} s{clock}</p>'
    )
    if len(runs) > 1:
        body.append(_summary(runs))
    body += [_run(n, run) for n, run in enumerate(runs, 1)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>zhian scenario report</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def around(run: Run, text: str) -> list[str]:
    """The last things that happened before the moment at which the expectation `text` was decided, oldest first."""
    if not run.facts:
        return []
    end = _decided_ms(run, text)
    return [f"{at_s:.2f} s  {what}" for at_ms, at_s, what in _chronology(run) if at_ms <= end][-BEFORE:]


def _decided_ms(run: Run, text: str) -> float:
    """After a step: when its time was up. Counted events: when the last of that type came. Else the end."""
    step = re.search(r"step ([a-z0-9-]{1,32})", text)
    limit = re.search(r"(\d+(?:\.\d+)?) ?(ms|s) (?:of|after)", text)
    if step is not None:
        times = [int(f["unix_ms"]) for f in run.facts if f["kind"] == "step" and f["subject"] == step[1]]
        wait = float(limit[1]) * (1000 if limit[2] == "s" else 1) if limit else 0.0
        if times:
            return times[0] + wait
    kind = re.search(r"events? ([a-z]+\.[a-z-]+)", text)
    if kind is not None:
        times = [report_picture.decided_ms(e) for e in run.events if e.get("type") == f"zhian.{kind[1]}"]
        if times:
            return max(times)
    return float("inf")


def _chronology(run: Run) -> list[tuple[int, float, str]]:
    """(unix ms, seconds since the timeline began, words) of every fact and every event, oldest first."""
    begun = report_picture.begun_ms(run.facts)
    rows = [(int(f["unix_ms"]), f"{f['kind']} {f['subject']}{_details(f)}") for f in run.facts]
    for event in run.events:
        data = event.get("data")
        reason = (
            f" ({data.get('reason') or data.get('cause')})"
            if isinstance(data, Mapping) and (data.get("reason") or data.get("cause"))
            else ""
        )
        rows.append((report_picture.decided_ms(event), f"event {event.get('type')} {event.get('subject')}{reason}"))
    return [(at, (at - begun) / 1000, cut(what)) for at, what in sorted(rows, key=lambda row: row[0])]


def _details(fact: Record) -> str:
    more = ", ".join(f"{key} {value}" for key, value in fact.items() if key not in HIDDEN)
    return f" ({more})" if more else ""


# --- parts ----------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    return escape(cut(value))


def _verdict(ok: bool) -> str:
    return '<span class="ok">ok 通过</span>' if ok else '<span class="bad">FAIL 失败</span>'


def _whole(outcome: Mapping[str, Any]) -> str:
    return '<span class="soft">skipped 已跳过</span>' if outcome.get("skipped") else _verdict(bool(outcome["ok"]))


def _summary(runs: Sequence[Run]) -> str:
    rows = "".join(
        f'<tr><td><a href="#run-{n}">{_shown(run.outcome["scenario"])}</a></td>'
        f'<td class="num">{_shown(run.outcome["seed"])}</td><td>{_whole(run.outcome)}</td>'
        f'<td class="num">{float(run.outcome.get("seconds", 0)):.1f} s</td></tr>'
        for n, run in enumerate(runs, 1)
    )
    head = "<tr><th>scenario 场景</th><th>seed 种子</th><th>verdict 结论</th><th>time 用时</th></tr>"
    return f'<section><div class="box"><table>{head}{rows}</table></div></section>'


def _run(number: int, run: Run) -> str:
    o = run.outcome
    zh, en = run.title
    parts = [
        f'<section id="run-{number}"><div class="head"><h2>{_shown(o["scenario"])} — {_shown(en)} {_shown(zh)}</h2>'
        f"{_whole(o)}"
        f'<span class="soft">seed 种子 {_shown(o["seed"])}, {float(o.get("seconds", 0)):.1f} s</span></div>'
    ]
    if o.get("error"):
        parts.append(f"<h3>Could not be run 无法运行</h3><p>{_shown(o['error'])}</p>")
    if o.get("skipped"):
        parts.append(f"<h3>Skipped 已跳过</h3><p>{_shown(o['skipped'])}</p>")
    parts.append(_expectations(run))
    parts.append(_faults(run))
    parts.append(_counts(run))
    if run.facts:
        parts.append('<h3>Timeline 时间线</h3><p class="soft">Acknowledgements are looked for five times a second. ')
        parts.append("Red lines: something was broken or mended. 红线：注入或解除故障。</p>")
        parts.append('<p class="soft swipe">Wider than this screen: swipe the picture. 左右滑动看全图。</p>')
        picture = report_picture.draw(run.facts, run.events, run.acked, run.places)
        parts.append(f'<div class="box" tabindex="0" role="group" aria-label="Timeline 时间线">{picture}</div>')
        parts.append(_everything(run))
    parts.append(_trouble(o))
    return "".join([*parts, "</section>"])


def _expectations(run: Run) -> str:
    rows = []
    for row in run.outcome.get("expectations", ()):
        more = ""
        if not row["ok"]:
            lines = "".join(f"<li>{_stamped(line)}</li>" for line in around(run, str(row["text"])))
            more = f'<div class="around"><strong>before it 此前</strong><ol>{lines}</ol></div>' if lines else ""
        rows.append(
            f"<li>{_verdict(row['ok'])} {_shown(row['text'])}"
            f'<div class="seen">seen 所见: {_shown(row["seen"])}</div>{more}</li>'
        )
    return f"<h3>Expectations 预期</h3><ul>{''.join(rows) or '<li>none 无</li>'}</ul>"


def _stamped(line: str) -> str:
    at, _, what = line.partition("  ")
    return f'<span class="at">{_shown(at)}</span> {_shown(what)}'


def _faults(run: Run) -> str:
    if not run.facts:
        return ""
    begun = report_picture.begun_ms(run.facts)
    rows = "".join(
        f'<li><span class="at">{(int(f["unix_ms"]) - begun) / 1000:.2f} s</span> {_shown(f["kind"])} '
        f"{_shown(f['subject'])}{_shown(_details(f))}</li>"
        for f in run.outcome.get("faults", ())
    )
    return f"<h3>Faults 故障</h3><ul>{rows or '<li>none 无</li>'}</ul>"


def _counts(run: Run) -> str:
    o = run.outcome
    names = (
        ("events_made", "events made 产生"), ("events_stored", "events stored 入库"), ("lost", "lost 丢失"),
        ("duplicated", "stored twice 重复"), ("alarms", "alarms 报警"),
    )  # fmt: skip
    rows = [f'<tr><th>{label}</th><td class="num">{_shown(o[key])}</td></tr>' for key, label in names if key in o]
    kinds = Counter(str(e.get("type")).removeprefix("zhian.") for e in run.events)
    rows += [f'<tr><td>{_shown(kind)}</td><td class="num">{n}</td></tr>' for kind, n in kinds.most_common()]
    return f"<h3>Counts 计数</h3><table>{''.join(rows)}</table>" if rows else ""


def _everything(run: Run) -> str:
    rows = _chronology(run)
    lines = "".join(
        f'<li><span class="at">{at_s:.2f} s</span> {_shown(what)}</li>' for _, at_s, what in rows[:MAX_ROWS]
    )
    left = f"<li>… {len(rows) - MAX_ROWS} more 条未列出</li>" if len(rows) > MAX_ROWS else ""
    return (
        f"<details><summary>Everything that happened 全部经过 ({len(rows)})</summary><ol>{lines}{left}</ol></details>"
    )


def _trouble(outcome: Mapping[str, Any]) -> str:
    crashes = "".join(f"<li>{_shown(crash)}</li>" for crash in outcome.get("crashes", ()))
    logs = "".join(
        f"<h3>Log of 日志 {_shown(name)}</h3><pre>{'<br>'.join(_shown(line) for line in lines)}</pre>"
        for name, lines in outcome.get("logs", {}).items()
    )
    return (f"<h3>Crashes 异常退出</h3><ul>{crashes}</ul>" if crashes else "") + logs
