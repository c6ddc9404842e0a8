"""What each reason says to a person, in both languages."""

from __future__ import annotations

from gateway.model import Language, Reason

SENTENCES: dict[Reason, tuple[str, str]] = {
    Reason.PERMITTED: ("符合通行规则", "A rule permits it"),
    Reason.UNKNOWN_CREDENTIAL: ("凭证未登记", "This credential is not registered here"),
    Reason.REVOKED: ("凭证已挂失或注销", "This credential was revoked"),
    Reason.NOT_YET_VALID: ("凭证尚未生效", "This credential is not valid yet"),
    Reason.EXPIRED: ("凭证已过期", "This credential has expired"),
    Reason.NO_RULE: ("没有此处的通行权限", "No rule lets this holder through here"),
    Reason.OUTSIDE_SCHEDULE: ("不在允许的时段内", "Outside the permitted hours"),
    Reason.PIN_REQUIRED: ("需要输入密码，但未输入", "A PIN was needed and not entered"),
    Reason.WRONG_PIN: ("密码错误", "Wrong PIN"),
    Reason.CLOCK_UNCERTAIN: ("时钟未校准，限时权限暂停", "The clock is uncertain, so timed permissions wait"),
    Reason.UNKNOWN_PORTAL: ("策略中没有此通道", "The policy does not know this portal"),
    Reason.NOT_ACCEPTED_HERE: ("此处不接受这种凭证", "This kind of credential is not accepted here"),
    Reason.STORAGE_BROKEN: ("存储故障，无法记录，未放行", "Storage is broken, so nothing was recorded or opened"),
}


def sentence(reason: Reason, language: Language) -> str:
    """The sentence for `reason`."""
    zh, en = SENTENCES[reason]
    return zh if language is Language.ZH else en
