"""Core's refusals in the reader's language: which one a sentence is, and the texts of those that have no code.

Core says these in English only (gateway/store/faces, gateway/store/policy_edits.py, gateway/operations); what is not
recognised is shown as it came. `tests/enrolment/test_refusals.py` reads core's sources for sentences that lack here.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pages.language import Texts, Words

_TELLING: tuple[tuple[str, str], ...] = (  # part of core's sentence, key; the first that is found counts
    (r"asked_by: expected 1 to (?P<most>\d+) characters", "asked-by"),
    (r"other_way: expected 1 to (?P<most>\d+) characters", "other-way"),
    (r"guardian: expected at most (?P<most>\d+) characters", "guardian-long"),
    (r"expected at least one portal that it is for", "no-portals"),
    (r"needs a guardian's consent, and no guardian is named", "no-guardian"),
    (r"\bit ended at \d", "consent-ended"),
    (r"expected at most (?P<most>\d+) days, got until", "consent-long"),
    (r"there is no holder '(?P<holder>[^']*)'", "no-holder"),
    (r"the policy has no portal '(?P<portal>[^']*)'", "no-portal"),
    (r"portal '(?P<portal>[^']*)' accepts no face", "portal-no-face"),
    (r"portal '(?P<portal>[^']*)' accepts nothing but faces", "portal-only-faces"),
    (r"expected (?P<least>\d+) to (?P<most>\d+) references, got (?P<count>\d+)", "references"),
    (r"a reference is no list of float32", "reference"),
    (r"expected at most (?P<most>\d+) enrolled holders", "holders"),
    (r"no face of '(?P<holder>[^']*)' is stored", "not-stored"),
    (r"^expected a time from ", "time"),
    (r"^this gateway's core has no faces", "core-old"),
    (r"^the policy would be too large or misshapen", "policy-large"),
    (r"a face key cannot be written", "key-unwritten"),
    (r"a face key cannot be destroyed", "key-undestroyed"),
    (r"a face key cannot be read|the folder of face keys cannot be made", "key-unread"),
    (r"the stored face of '(?P<holder>[^']*)' cannot be compared", "uncompared"),
    (r"the key of this enrolment was destroyed", "key-gone"),
    (r"the key of this enrolment is damaged|a face reference does not open with its key", "key-damaged"),
    (r"a stored consent is damaged", "consent-damaged"),
    (r"the erasure cannot be written down", "erasure-unwritten"),
    (r"the list of erasures cannot be read", "erasures-unread"),
    (r"line (?P<line>\d+) of the list of erasures was changed", "erasures-changed"),
    (r"the store of faces knows of (?P<known>\d+) erasures, this list has (?P<count>\d+)", "erasures-short"),
    (r"written by a newer program", "store-newer"),
    (r"the store of faces cannot be opened", "store-unopened"),
    (r"the store of faces cannot be (written|used)", "store-unwritten"),
    (r"check the disk's space and health|the disk does not answer", "disk"),
)
_FOUND = tuple((re.compile(part), key) for part, key in _TELLING)
KEYS = tuple(key for _, key in _TELLING)

TEXTS: Texts = {
    "core.asked-by": (
        "“由谁说明并征得同意”须为 1 至 {most} 个字；请重新登记并更正。",
        "“Who explained and asked” takes 1 to {most} characters; enrol again and correct it.",
    ),
    "core.other-way": (
        "“已提供的其他进门方式”须为 1 至 {most} 个字；请重新登记并更正。",
        "“The other way in that was offered” takes 1 to {most} characters; enrol again and correct it.",
    ),
    "core.guardian-long": (
        "监护人姓名最长 {most} 个字；请重新登记并更正。",
        "The guardian's name takes at most {most} characters; enrol again and correct it.",
    ),
    "core.no-portals": ("没有选择通道；请重新登记并选择。", "No portal was chosen; enrol again and choose one."),
    "core.no-guardian": (
        "未满 14 周岁须由监护人同意，但没有填写监护人；请重新登记并填写。",
        "Below 14 a guardian consents, and none was named; enrol again and name the guardian.",
    ),
    "core.consent-ended": (
        "同意的到期日已过；请重新登记并选择以后的日期。",
        "The consent has ended already; enrol again and choose a later day.",
    ),
    "core.consent-long": (
        "同意期最长 {most} 天；请重新登记并选择较早的到期日。",
        "Consent holds for at most {most} days; enrol again and choose an earlier day.",
    ),
    "core.no-holder": (
        "策略中已没有住户“{holder}”；请先在策略中加入，再重新登记。",
        "The policy has no holder “{holder}” any more; add the holder to the policy first, then enrol again.",
    ),
    "core.no-portal": (
        "策略中已没有通道“{portal}”；请重新登记并另选通道。",
        "The policy has no portal “{portal}” any more; enrol again and choose another.",
    ),
    "core.portal-no-face": (
        "通道“{portal}”不接受人脸；请先在策略中加入，或重新登记并另选通道。",
        "The portal “{portal}” accepts no faces; add them in the policy first, or enrol again and choose another.",
    ),
    "core.portal-only-faces": (
        "通道“{portal}”只接受人脸；请先在策略中提供其他进门方式。",
        "The portal “{portal}” accepts nothing but faces; offer another way in in the policy first.",
    ),
    "core.references": (
        "需要 {least} 至 {most} 条人脸数据，收到 {count} 条；请重新采集。",
        "Expected {least} to {most} references, got {count}; take the pictures again.",
    ),
    "core.reference": ("采集的人脸数据格式不对；请重新采集。", "A reference is misshapen; take the pictures again."),
    "core.holders": (
        "已登记满 {most} 人；请先撤回不再需要的登记。",
        "The limit of {most} enrolled holders is reached; withdraw some first.",
    ),
    "core.not-stored": (
        "没有“{holder}”的人脸数据，无需删除；请重新载入列表。",
        "No face of “{holder}” is stored, so there is nothing to erase; load the list again.",
    ),
    "core.time": (
        "到期日不合理；请检查网关的日期，再重新登记。",
        "The consent's end is no day that a clock here shows; check the gateway's date, then enrol again.",
    ),
    "core.core-old": (
        "网关核心的版本太旧，没有人脸功能；请更新核心。",
        "This gateway's core knows no faces; update it.",
    ),
    "core.policy-large": (
        "加入后策略会过大或不合规；请先清理策略。",
        "The policy would be too large or misshapen; make it smaller first.",
    ),
    "core.key-unwritten": (
        "无法写入人脸密钥；请检查网关的磁盘。",
        "A face key cannot be written; check the gateway's disk.",
    ),
    "core.key-undestroyed": (
        "密钥无法销毁；请检查网关的磁盘，再删除一次。",
        "A face key cannot be destroyed; check the gateway's disk, and erase again.",
    ),
    "core.key-unread": (
        "无法读取人脸密钥；请检查网关的磁盘。",
        "The face keys cannot be read; check the gateway's disk.",
    ),
    "core.uncompared": (
        "“{holder}”已登记的人脸数据已损坏，无法与之比对，因此暂不能登记；请先撤回“{holder}”的登记，再重新登记。",
        "The stored face of “{holder}” is damaged and cannot be compared with this one, so nothing was stored; withdraw"
        " it, then enrol again.",
    ),
    "core.key-gone": (
        "一条已有登记的密钥已被销毁；请撤回那条登记，再重新登记。",
        "The key of an enrolment was destroyed; withdraw that one and enrol its holder again.",
    ),
    "core.key-damaged": (
        "一条已有登记的密钥或数据已损坏；请撤回那条登记，再重新登记。",
        "The key or a reference of an enrolment is damaged; withdraw that one and enrol its holder again.",
    ),
    "core.consent-damaged": (
        "一条已有登记的同意记录已损坏；请撤回那条登记，再重新登记。",
        "The consent of an enrolment is damaged; withdraw that one and enrol its holder again.",
    ),
    "core.erasure-unwritten": (
        "密钥已销毁，但删除记录无法写入；请检查网关的磁盘，系统会再试。",
        "The key is destroyed, but the erasure cannot be written down; check the gateway's disk. It is tried again.",
    ),
    "core.erasures-unread": (
        "无法读取删除记录；请检查网关的磁盘。",
        "The list of erasures cannot be read; check the gateway's disk.",
    ),
    "core.erasures-changed": (
        "删除记录第 {line} 行被改动过；放回最近一次备份的文件后才会恢复。",
        "Line {line} of the list of erasures was changed; faces stay off until the last backup's file is put back.",
    ),
    "core.erasures-short": (
        "应有 {known} 条删除记录，现有 {count} 条或内容不符；放回最新的删除记录后才会恢复。",
        "{known} erasures are known, and the list has {count} or others; faces stay off until the newest list is put"
        " back.",
    ),
    "core.store-newer": (
        "人脸库由更新版本的程序写成；请安装该版本。",
        "The store of faces was written by a newer program; install that one.",
    ),
    "core.store-unopened": (
        "人脸库打不开；请放回最近一次备份。",
        "The store of faces cannot be opened; put the last backup back.",
    ),
    "core.store-unwritten": (
        "人脸库无法读写；请检查网关的磁盘。",
        "The store of faces cannot be read or written; check the gateway's disk.",
    ),
    "core.disk": (
        "网关的磁盘没有应答或写不进去；请检查磁盘的空间和健康。",
        "The gateway's disk does not answer or takes nothing; check its space and health.",
    ),
}  # fmt: skip


def recognised(sentence: str) -> tuple[str, dict[str, str]]:
    """The key of what core said, and the places of its text; ("", {}) for what is unknown."""
    for part, key in _FOUND:
        if found := part.search(sentence):
            return key, found.groupdict()
    return "", {}


def reason(sentence: str, t: Words, holder: Callable[[str], str], portal: Callable[[str], str]) -> str:
    """Core's sentence as this reader reads it, as it came where it is unknown. holder, portal: what they are called."""
    key, places = recognised(sentence)
    if not key:
        return sentence
    called = {"holder": holder, "portal": portal}
    return t(f"core.{key}", **{place: called.get(place, str)(value) for place, value in places.items()})
