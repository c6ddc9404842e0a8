"""The texts of the property manager's pages, (Chinese, English), and what each state looks like."""

from __future__ import annotations

from pages.language import Texts

TITLE = ("智安 · 小区门禁", "zhian · site")

TEXTS: Texts = {
    "site.core.away": ("网关核心未应答", "Core does not answer"),
    "site.core.away.long": (
        "网关核心没有应答，下面的通道状态暂不可知。门上的判定由核心负责，请检查核心进程；恢复后本页会自动更新。",
        "The gateway's core does not answer, so the portals' states are not known. Check the core process; this page "
        "goes on by itself once it is back.",
    ),
    "site.version": ("版本 {version}", "Version {version}"),
    "site.clock.certain": ("时钟已校准", "Clock is right"),
    "site.clock.uncertain": ("时钟未校准", "Clock uncertain"),
    "site.clock.uncertain.why": (
        "时钟未校准期间，限时权限暂停。",
        "While the clock is uncertain, timed permissions wait.",
    ),
    "site.storage.ok": ("存储正常", "Storage is well"),
    "site.storage.broken": ("存储故障", "Storage is broken"),
    "site.vision.online": ("车牌识别在线", "Plate reading online"),
    "site.vision.offline": ("车牌识别离线", "Plate reading offline"),
    "site.uplink.none": ("本地站点，未设中心", "Stand-alone: no center"),
    "site.uplink.all": ("已连中心，全部送达", "Center connected, all delivered"),
    "site.uplink.behind": ("已连中心，待送达 {count} 条", "Center connected, {count} to deliver"),
    "site.uplink.lost": ("中心未连接，待送达 {count} 条", "Center away, {count} to deliver"),
    "site.uplink.lost.why": (
        "事件已存于本地，连接恢复后自动补送。",
        "Events are kept here and delivered once the connection is back.",
    ),
    "doors.title": ("通道", "Portals"),
    "doors.none": ("还没有配置通道。", "No portal is configured yet."),
    "doors.since": ("起始时间", "Since"),
    "doors.last": ("最近判定", "Last decision"),
    "doors.last.none": ("暂无", "None yet"),
    "doors.known": ("最后已知", "Last known"),
    "doors.open": ("开启", "Open"),
    "doors.open.named": ("开启 {name}", "Open {name}"),
    "doors.offline.why": ("设备离线，无法从此处开启", "The device is offline and cannot be opened from here"),
    "open.question": (
        "确定从此处开启？此操作会记入事件记录。",
        "Open it from here? This is recorded as an event.",
    ),
    "open.confirm": ("开启", "Open"),
    "open.pending": ("正在等待设备确认…", "Waiting for the device to confirm…"),
    "open.done": ("设备已确认，{name} 已开启。", "The device has confirmed: {name} was opened."),
    "open.refused": ("未开启：网关拒绝了此操作。", "Not opened: the gateway refused."),
    "open.unavailable": (
        "未收到核心应答，不能确认是否已开启；请查看通道状态。",
        "Core gave no answer, so it is not certain that it opened; look at the portal's state.",
    ),
    "open.detail": ("详情：{text}", " Detail: {text}"),
    "events.title": ("最近事件", "Latest events"),
    "events.older.title": ("较早事件", "Earlier events"),
    "events.zone": ("时间为站点当地时间（{zone}）", "Times are local to the site ({zone})"),
    "events.filter": ("通道", "Portal"),
    "events.all": ("全部通道", "All portals"),
    "events.apply": ("筛选", "Filter"),
    "events.older": ("更早", "Older"),
    "events.newest": ("回到最新", "Back to the newest"),
    "events.none": ("还没有事件。", "No events yet."),
    "events.none.portal": ("此通道还没有事件。", "No events at this portal yet."),
    "events.none.older": ("没有更早的事件了。", "There are no earlier events."),
    "events.broken": (
        "事件记录暂时无法读取；核心启动并可写入后会自动恢复。",
        "The record of events cannot be read now; this recovers once core runs and can write.",
    ),
    "events.time": ("时间", "Time"),
    "events.where": ("位置", "Where"),
    "events.what": ("事件", "What"),
    "events.nobody": ("未知", "Unknown"),
    "events.who": ("人员", "Who"),
    "events.reason": ("原因", "Reason"),
    "events.plate": ("车牌", "Plate"),
    "events.uncertain": ("记录时时钟未校准", "The clock was uncertain then"),
    "credential.card": ("刷卡", "card"),
    "credential.card-pin": ("刷卡加密码", "card and PIN"),
    "credential.pin": ("密码", "PIN"),
    "credential.plate": ("车牌", "plate"),
    "severity.info": ("信息", "Info"),
    "severity.notice": ("提示", "Notice"),
    "severity.warning": ("警告", "Warning"),
    "severity.alarm": ("告警", "Alarm"),
    "severity.life-safety": ("生命安全", "Life safety"),
    # States of gateway/portal/door.py and barrier.py.
    "state.secure": ("已锁闭", "Locked"),
    "state.released": ("已放行，可推开", "Released: push to open"),
    "state.open": ("已打开", "Open"),
    "state.held": ("长时间未关", "Held open"),
    "state.forced": ("被强行打开", "Forced open"),
    "state.lowered": ("已落杆", "Lowered"),
    "state.raising": ("正在抬杆", "Raising"),
    "state.raised": ("已抬杆，等待车辆", "Raised, waiting for the vehicle"),
    "state.passing": ("车辆正在通过", "Vehicle passing"),
    "state.cleared": ("车辆已通过", "Vehicle has passed"),
    "state.lowering": ("正在落杆", "Lowering"),
    "state.unknown": ("位置未知，请查看", "Position unknown: look"),
    "state.failed": ("未动作，请检查", "Did not move: check it"),
    "state.offline": ("离线，状态未知", "Offline, state unknown"),
    # The wording of gateway/access/reasons.py; a test keeps the two equal.
    "reason.permitted": ("符合通行规则", "A rule permits it"),
    "reason.unknown-credential": ("凭证未登记", "This credential is not registered here"),
    "reason.revoked": ("凭证已挂失或注销", "This credential was revoked"),
    "reason.not-yet-valid": ("凭证尚未生效", "This credential is not valid yet"),
    "reason.expired": ("凭证已过期", "This credential has expired"),
    "reason.no-rule": ("没有此处的通行权限", "No rule lets this holder through here"),
    "reason.outside-schedule": ("不在允许的时段内", "Outside the permitted hours"),
    "reason.pin-required": ("需要输入密码，但未输入", "A PIN was needed and not entered"),
    "reason.wrong-pin": ("密码错误", "Wrong PIN"),
    "reason.clock-uncertain": ("时钟未校准，限时权限暂停", "The clock is uncertain, so timed permissions wait"),
    "reason.unknown-portal": ("策略中没有此通道", "The policy does not know this portal"),
    "reason.not-accepted-here": ("此处不接受这种凭证", "This kind of credential is not accepted here"),
    "reason.storage-broken": (
        "存储故障，无法记录，未放行",
        "Storage is broken, so nothing was recorded or opened",
    ),
}

# state -> (tone, icon of pages/static/icons.svg)
LOOKS: dict[str, tuple[str, str]] = {
    "secure": ("green", "locked"),
    "released": ("blue", "released"),
    "open": ("blue", "open"),
    "held": ("amber", "clock"),
    "forced": ("red", "alert"),
    "lowered": ("green", "lowered"),
    "raising": ("blue", "moving"),
    "raised": ("blue", "raised"),
    "passing": ("blue", "car"),
    "cleared": ("blue", "raised"),
    "lowering": ("blue", "moving"),
    "unknown": ("amber", "alert"),
    "failed": ("red", "alert"),
    "offline": ("gray", "away"),
}
UNKNOWN_LOOK = ("gray", "info")

# severity -> (tone, icon)
SEVERITIES: dict[str, tuple[str, str]] = {
    "info": ("gray", "dot"),
    "notice": ("blue", "info"),
    "warning": ("amber", "alert"),
    "alarm": ("red", "alert"),
    "life-safety": ("red", "alert"),
}
