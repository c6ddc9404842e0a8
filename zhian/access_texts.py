"""What `zhian access` says to a person, in both languages: answers as tables that line up in a terminal."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.access.reasons import sentence
from gateway.model import Language, PortalMode, Reason
from gateway.operations.explanation import Explanation, Finding
from runtime.errors import UserError

KINDS = {
    "card": ("卡", "card"),
    "pin": ("密码", "PIN"),
    "plate": ("车牌", "plate"),
    "qr": ("二维码", "QR pass"),
    "code": ("一次性码", "one-time code"),
    "face": ("人脸", "face"),
    "ble": ("手机", "phone"),
}
GRANTING = (Reason.PERMITTED, Reason.FIRE, Reason.EMERGENCY_OPEN, Reason.UNLOCKED_BY_SCHEDULE)
WEEKDAYS = (
    ("周一", "Monday"),
    ("周二", "Tuesday"),
    ("周三", "Wednesday"),
    ("周四", "Thursday"),
    ("周五", "Friday"),
    ("周六", "Saturday"),
    ("周日", "Sunday"),
)


def language(asked: str | None) -> Language:
    """The language asked for, else the environment's, else English. Raises UserError."""
    told = asked or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or "en"
    if asked is not None and not asked.lower().startswith(("zh", "en")):
        raise UserError(f"--language: expected zh or en, got {asked[:20]!r}; choose one of them")
    return Language.ZH if told.lower().startswith("zh") else Language.EN


def one_of(texts: tuple[str, str], tongue: Language) -> str:
    """The Chinese or the English of two texts."""
    return texts[0] if tongue is Language.ZH else texts[1]


def width(text: str) -> int:
    """Columns in a terminal: a wide character takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def printable(text: str) -> str:
    """With what a terminal would obey escaped: names come from a document that others may have written."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines with aligned columns."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(width(row[i]) for row in cells) for i in range(len(cells[0]))]
    return [
        (indent + "  ".join(cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(row))).rstrip()
        for row in cells
    ]


def moment(at: datetime, tongue: Language) -> str:
    """A moment with its weekday."""
    day = one_of(WEEKDAYS[at.weekday()], tongue)
    return f"{at:%Y-%m-%d} {day} {at:%H:%M}"


def explanation(answer: Explanation, source: tuple[str, str], tongue: Language) -> list[str]:
    """The answer to "who could pass, and why not", as lines."""
    zh = tongue is Language.ZH
    at = datetime.fromisoformat(answer.at)
    lines = [
        f"{answer.portal}, {moment(at, tongue)} ({at:%z}), "
        + (f"策略版本 {answer.policy_version}" if zh else f"policy version {answer.policy_version}")
        + f" ({one_of(source, tongue)})"
    ]
    lines += _circumstances(answer, at, tongue)
    if answer.open_to_all is not None:
        lines.append(sentence(answer.open_to_all, tongue))
    if zh:
        lines.append(f"{answer.looked_at} 人中 {answer.granted} 人可以通过:")
    else:
        lines.append(f"{answer.granted} of {answer.looked_at} could pass:")
    lines += table(_row(one, tongue) for one in answer.findings)
    if answer.left_off:
        lines.append(
            f"  …还有 {answer.left_off} 行" if zh else f"  ... and {answer.left_off} more; narrow it with --who"
        )
    hidden = answer.looked_at - answer.granted - sum(not one.granted for one in answer.findings)
    if hidden > 0 and not answer.left_off:
        refused = [
            f"{count} × {sentence(Reason(reason), tongue)}"
            for reason, count in answer.counts.items()
            if reason not in GRANTING
        ]
        lines.append(("不能通过: " if zh else "Could not: ") + "; ".join(refused) + (" (--refused)" if refused else ""))
    if answer.without_credential:
        n = answer.without_credential
        lines.append(f"另有 {n} 人没有凭证" if zh else f"{n} more hold no credential at all")
    return lines


def _circumstances(answer: Explanation, at: datetime, tongue: Language) -> list[str]:
    zh = tongue is Language.ZH
    told = []
    if answer.day == "holiday":
        told.append("法定节假日" if zh else "a public holiday")
    elif answer.day == "workday":
        told.append("调休上班日" if zh else "an adjusted working day")
    if not answer.calendar_known:
        told.append(f"{at.year} 年节假日尚未收录" if zh else f"the official holidays of {at.year} are not known")
    if not answer.clock_certain:
        told.append("时钟未校准" if zh else "the clock is uncertain")
    if answer.mode is not PortalMode.LOCKED:
        told.append(f"通道模式 {answer.mode}" if zh else f"the portal's mode is {answer.mode}")
    if answer.fire:
        told.append("火灾释放中" if zh else "released by fire")
    if answer.live:
        told.append("按现在的在场情况" if zh else "with zones and uses as they are now")
    accepts = (" 或 " if zh else " or ").join(
        "+".join(one_of(KINDS[k], tongue) for k in kinds) for kinds in answer.accepts
    )
    told.append(("接受 " if zh else "accepts ") + accepts)
    return ["  " + ("；" if zh else "; ").join(told)]


def _row(one: Finding, tongue: Language) -> tuple[str, ...]:
    zh = tongue is Language.ZH
    if one.granted:
        mark = "可以" if zh else "yes"
    elif one.second_person:
        mark = "需两人" if zh else "with two"
    else:
        mark = "不可" if zh else "no"
    shown = "+".join(one_of(KINDS[kind], tongue) for kind in one.shown) or ("无" if zh else "nothing fitting")
    why = sentence(one.reason, tongue)
    if one.warnings:
        why += " (" + "; ".join(sentence(warning, tongue) for warning in one.warnings) + ")"
    rules = ", ".join(one.rules) or ("无规则" if zh else "no rule")
    return (mark, one.holder, one.name.get("zh" if zh else "en", ""), shown, " ".join(one.credentials), rules, why)
