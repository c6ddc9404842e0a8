"""The texts of the center's page, (Chinese, English), and what each severity looks like."""

from __future__ import annotations

from pages.language import Texts

TITLE = ("智安 · 区域中心", "zhian · center")

TEXTS: Texts = {
    "center.title": ("区域中心", "District center"),
    "center.online": ("{online} / {all} 个网关在线", "{online} of {all} gateways online"),
    "center.online.none": ("还没有网关", "No gateway yet"),
    "center.complete": ("事件完整", "Nothing missing"),
    "center.incomplete": ("缺 {count} 条，已要求补送", "{count} missing, asked for again"),
    "counts.title": ("总计", "Totals"),
    "counts.stored": ("已存事件", "Stored events"),
    "counts.missing": ("缺失", "Missing"),
    "counts.duplicated": ("重复存储", "Stored twice"),
    "counts.alarms": ("告警", "Alarms"),
    "gateways.title": ("网关", "Gateways"),
    "gateways.none": (
        "还没有网关报到。网关连上后会出现在这里。",
        "No gateway has reported yet. It appears here once it connects.",
    ),
    "gateways.unknown": ("暂时不可知。", "Not known now."),
    "gateways.gateway": ("网关", "Gateway"),
    "gateways.state": ("状态", "State"),
    "gateways.online": ("在线", "Online"),
    "gateways.offline": ("离线", "Offline"),
    "gateways.seen": ("最近收到", "Last seen"),
    "gateways.upto": ("连续存至", "Stored up to"),
    "gateways.missing": ("缺失", "Missing"),
    "gateways.version": ("版本", "Version"),
    "events.title": ("实时事件", "Live events"),
    "events.older.title": ("较早事件", "Earlier events"),
    "events.zone": ("时间为 {zone}", "Times are {zone}"),
    "events.gateway": ("网关", "Gateway"),
    "events.all": ("全部网关", "All gateways"),
    "events.severity": ("级别", "Severity"),
    "events.severity.all": ("全部级别", "All severities"),
    "events.severity.least": ("{severity}及以上", "{severity} and above"),
    "events.apply": ("筛选", "Filter"),
    "events.older": ("更早", "Older"),
    "events.newest": ("回到最新", "Back to the newest"),
    "events.none": ("还没有事件。", "No events yet."),
    "events.none.filtered": ("没有符合筛选条件的事件。", "No event matches this filter."),
    "events.broken": (
        "事件库暂时无法读取；中心接收进程启动后会自动恢复。",
        "The store of events cannot be read now; this recovers once the center's ingest runs.",
    ),
    "events.time": ("时间", "Time"),
    "events.what": ("事件", "Event"),
    "events.where": ("站点 / 网关", "Site / gateway"),
    "events.subject": ("对象", "Subject"),
    "events.reason": ("原因", "Reason"),
    "events.uncertain": ("网关时钟当时未校准", "The gateway's clock was uncertain then"),
    "severity.info": ("信息", "Info"),
    "severity.notice": ("提示", "Notice"),
    "severity.warning": ("警告", "Warning"),
    "severity.alarm": ("告警", "Alarm"),
    "severity.life-safety": ("生命安全", "Life safety"),
    # Machine words that gateways send as `reason` (access events) and `cause` (devices, portals, the gateway itself).
    # A word that is not here is shown as it came.
    "reason.permitted": ("符合通行规则", "A rule permits it"),
    "reason.unknown-credential": ("凭证未登记", "The credential is not registered there"),
    "reason.revoked": ("凭证已挂失或注销", "The credential was revoked"),
    "reason.not-yet-valid": ("凭证尚未生效", "The credential is not valid yet"),
    "reason.expired": ("凭证已过期", "The credential has expired"),
    "reason.no-rule": ("没有该处的通行权限", "No rule lets this holder through there"),
    "reason.outside-schedule": ("不在允许的时段内", "Outside the permitted hours"),
    "reason.pin-required": ("需要输入密码，但未输入", "A PIN was needed and not entered"),
    "reason.wrong-pin": ("密码错误", "Wrong PIN"),
    "reason.clock-uncertain": ("时钟未校准，限时权限暂停", "The clock was uncertain, so timed permissions waited"),
    "reason.unknown-portal": ("站点策略中没有该通道", "The site's policy does not know this portal"),
    "reason.not-accepted-here": ("该处不接受这种凭证", "This kind of credential is not accepted there"),
    "reason.storage-broken": ("存储故障，无法记录，未放行", "Storage was broken, so nothing was recorded or opened"),
    "reason.timeout": ("设备未应答", "The device does not answer"),
    "reason.unplugged": ("线路已断开", "The line was unplugged"),
    "reason.bad-key": ("设备密钥不符", "The device's key is not the right one"),
    "reason.protocol": ("设备通信出错", "The device broke the protocol"),
    "reason.start": ("正常启动", "Ordinary start"),
    "reason.crash": ("上次未正常结束", "The last run did not end cleanly"),
    "reason.stop": ("正常停止", "Ordinary stop"),
    "reason.no-feedback": ("发出指令后未见动作", "Told to move, and no feedback said that it did"),
}

# severity -> (tone, icon of pages/static/icons.svg); from least to most
SEVERITIES: dict[str, tuple[str, str]] = {
    "info": ("gray", "dot"),
    "notice": ("blue", "info"),
    "warning": ("amber", "alert"),
    "alarm": ("red", "alert"),
    "life-safety": ("red", "alert"),
}
UNKNOWN_LOOK = ("gray", "info")
