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
    Reason.SECOND_FACTOR_REQUIRED: ("车牌已识别，还需另一种凭证", "The plate was read; show something else as well"),
    Reason.WRONG_PIN: ("密码错误", "Wrong PIN"),
    Reason.CLOCK_UNCERTAIN: ("时钟未校准，限时权限暂停", "The clock is uncertain, so timed permissions wait"),
    Reason.UNKNOWN_PORTAL: ("策略中没有此通道", "The policy does not know this portal"),
    Reason.NOT_ACCEPTED_HERE: ("此处不接受这种凭证", "This kind of credential is not accepted here"),
    Reason.STORAGE_BROKEN: ("存储故障，无法记录，未放行", "Storage is broken, so nothing was recorded or opened"),
    Reason.NOT_TODAY: ("今天不开放", "Closed on this date"),
    Reason.MISREAD: ("读卡校验错误，请重试", "The card was misread: its parity is wrong; present it again"),
    Reason.INVALID_PASS: ("通行码无效", "This pass is not valid: its form or signature is wrong"),
    Reason.USED_UP: ("使用次数已用完", "All uses of this credential are used up"),
    Reason.TOO_MANY_ATTEMPTS: ("输错次数过多，请稍后再试", "Too many wrong attempts; wait a while"),
    Reason.ANTI_PASSBACK: ("尚未离开，不能再次进入", "Entered already and has not left (anti-passback)"),
    Reason.INTERLOCK: ("另一道门未关好", "Another door of this interlock is not closed"),
    Reason.FIRST_PERSON_ABSENT: ("负责人尚未到场", "The first authorised person has not come in yet"),
    Reason.SECOND_PERSON_REQUIRED: ("需要第二人同时验证", "A second person is required"),
    Reason.SAME_PERSON_TWICE: ("需要另一人验证", "The second person must be somebody else"),
    Reason.LOCKDOWN: ("小区封闭中，只出不进", "Lockdown: nobody enters, everybody may leave"),
    Reason.EMERGENCY_OPEN: ("紧急开放中", "Open to all: emergency open"),
    Reason.UNLOCKED_BY_SCHEDULE: ("开放时段，无需验证", "Open to all at this time by schedule"),
    Reason.NOT_OFFLINE: ("网关离线，此处无法判断", "The gateway is away, and this door cannot judge that alone"),
    Reason.FIRE: ("火灾释放，自由通行", "Released by fire: everybody may pass"),
}


def sentence(reason: Reason, language: Language) -> str:
    """The sentence for `reason`."""
    zh, en = SENTENCES[reason]
    return zh if language is Language.ZH else en
