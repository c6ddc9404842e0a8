"""One example of every event, with what happened in both languages: for documents, tests and AsyncAPI. All invented."""

from __future__ import annotations

from dataclasses import dataclass

from center.contract import catalogue as c
from center.contract.catalogue import Event, EventData

EPOCH = "5f0c21d9a4b7e368"
TIME_MS = 1_790_000_000_007  # 2026-09-21T14:13:20.007Z
_RESIDENT = "k7q2m5xw3nz4taub"
_OPERATOR = "d4hj6rpc2yvs7eln"


@dataclass(frozen=True, slots=True)
class Example:
    """An event's data and what it tells a person."""

    data: EventData
    zh: str
    en: str


_EXAMPLES = (
    Example(
        c.AccessGranted("lobby", "lobby-reader", "card", "permitted", _RESIDENT),
        "一位住户在大堂门刷卡，放行。",
        "A resident's card was accepted at the lobby door.",
    ),
    Example(
        c.AccessDenied("lobby", "lobby-reader", "card", "outside-schedule", _RESIDENT),
        "有人刷卡，但不在允许的时间内，未开门。",
        "A card was shown outside its hours: the door stayed locked.",
    ),
    Example(
        c.AccessOverridden("north-gate", _OPERATOR),
        "值班人员从页面打开了北门道闸。",
        "The person on duty raised the north gate's barrier from the page.",
    ),
    Example(c.PortalOpened("lobby"), "大堂门的门磁显示门已打开。", "The lobby door's contact says that it is open."),
    Example(
        c.PortalClosed("lobby", 4_200),
        "大堂门开了 4.2 秒后关上。",
        "The lobby door closed after it was open for 4.2 s.",
    ),
    Example(
        c.PortalForced("back-door"),
        "后门没有放行却被打开。",
        "The back door opened although nothing had allowed it.",
    ),
    Example(
        c.PortalHeld("lobby", 30_000),
        "大堂门开着超过 30 秒。",
        "The lobby door stands open for longer than its limit of 30 s.",
    ),
    Example(
        c.PortalFailed("north-gate", "no-feedback"),
        "北门道闸收到起杆命令，但没有到位信号。",
        "The north gate's barrier was told to move and no limit switch answered.",
    ),
    Example(
        c.VehicleSeen(
            "north-gate-camera",
            "north-gate",
            "m2w6x4qk7tzb3ray",
            "blue",
            987,
            "plate-reader",
            "9d3f60c2b1a845e7",
            "approaching",
        ),
        "北门摄像机识别到一块驶来的蓝牌；车牌只以代号上报。",
        "The camera at the north gate read the blue plate of a car that drives up; it is reported as a token only.",
    ),
    Example(
        c.DeviceRekeyed("lobby-reader", _OPERATOR),
        "安装人员为大堂读卡器更换了密钥，设备已证明持有新密钥。",
        "An installer gave the lobby's reader a fresh key; the device has proved that it has it.",
    ),
    Example(
        c.AccessUnrecorded("lobby", "lobby-reader", 3),
        "网关离线期间，单元门节点的通行记录已满，有三次应答未能留存。",
        "While the gateway was away the node's journal was full: three of its answers were not kept.",
    ),
    Example(
        c.VehicleCloned("north-gate", "north-gate-camera", "m2w6x4qk7tzb3ray", "yard", 5_400_000),
        "北门识别到的车牌按记录已在院内一个半小时：疑似套牌，或此前离开未被识别；未放行。",
        "A plate that has been inside for an hour and a half asks to come in: one of the two is a copy, or the car left"
        " unseen; not let in.",
    ),
    Example(
        c.FaceEnrolled(_RESIDENT, _OPERATOR, 3, TIME_MS + 7_776_000_000),
        "一位住户书面同意后在物业处登记了人脸；人脸数据只留在小区内。",
        "A resident consented at the property office and was enrolled; the references stay on the site.",
    ),
    Example(
        c.FaceErased("withdrawn", 3, _OPERATOR),
        "一位住户撤回同意，其人脸数据连同密钥已全部删除。",
        "A resident withdrew consent: the references and the key that sealed them are destroyed.",
    ),
    Example(
        c.FaceAttackSuspected("lobby", "flat"),
        "大堂门摄像头前的面孔疑似照片或屏幕，未作为凭证。",
        "What was held before the lobby's camera was flat like a photo or a screen: it counted for nothing.",
    ),
    Example(
        c.DeviceLost("lobby-reader", "silent"), "大堂读卡器不再应答。", "The reader in the lobby has stopped answering."
    ),
    Example(c.DeviceReturned("lobby-reader"), "大堂读卡器恢复应答。", "The reader in the lobby answers again."),
    Example(
        c.DeviceTampered("lobby-reader"), "大堂读卡器的外壳被打开。", "The case of the reader in the lobby was opened."
    ),
    Example(
        c.SmokeSensed("garage-node"),
        "车库节点的烟感触点断开；这不是消防主机，门不会因此释放。",
        "The smoke contact at the garage's node opened; it is no fire panel, and no door is released by it.",
    ),
    Example(c.WaterSensed("garage-node"), "车库节点报告漏水。", "The node in the garage reports water."),
    Example(c.PanicPressed("garage-node"), "有人在车库按下求助按钮。", "Somebody in the garage calls for help."),
    Example(c.MotionSensed("garage-node"), "车库有人移动。", "Somebody moves in the garage."),
    Example(
        c.GatewayStarted("0.1.0", "crash"),
        "网关启动；上一次运行没有正常结束。",
        "The gateway is up; its last run did not end in an orderly way.",
    ),
    Example(c.GatewayStopped("asked"), "网关按要求停止。", "The gateway was asked to stop."),
    Example(
        c.OutboxLost(EPOCH, ((1_201, 1_264), (1_300, 1_300)), "full"),
        "存储已满，65 个低优先级事件被丢弃；中心知道是哪些编号。",
        "The journal was full and 65 events of low priority were given up; the center knows their numbers.",
    ),
    Example(c.VisionLost("gone"), "视觉进程没有应答；门不受影响。", "The vision process is away; doors work on."),
    Example(c.VisionReturned(), "视觉进程恢复。", "The vision process is back."),
    Example(
        c.FireDetected("fire-panel", "panel"),
        "消防主机发出火警信号，疏散门全部释放。",
        "The fire panel signals a fire; every door of the fire list is released.",
    ),
    Example(
        c.FireReset(_OPERATOR), "授权人员在现场复位了火灾释放。", "An authorised person ended the fire release on site."
    ),
    Example(
        c.PortalReleasedByFire("lobby", "node-input", 38),
        "大堂门在火警信号后 38 毫秒由门节点自行释放。",
        "The lobby door was released by its own node 38 ms after the fire signal.",
    ),
    Example(
        c.PortalModeChanged("lobby", "unlocked", "schedule"),
        "大堂门按时间表进入常开。",
        "The lobby door is now unlocked, as its schedule says.",
    ),
    Example(
        c.LockdownBegun(_OPERATOR, 6),
        "小区封闭：6 个通道只出不进。",
        "The site is locked down: nobody enters by its 6 portals, everybody may leave.",
    ),
    Example(c.LockdownEnded(_OPERATOR), "封闭解除。", "The lockdown was ended."),
    Example(
        c.AccessDuress("lobby", "lobby-reader", _RESIDENT),
        "有人在被胁迫下进门；现场没有任何提示。",
        "Somebody was let in under threat; nothing on site shows it.",
    ),
    Example(
        c.AccessAttemptsExceeded("lobby", "lobby-reader", 5, 60),
        "大堂门连续 5 次输错密码，暂停输入 60 秒。",
        "After 5 wrong PINs the lobby's keypad takes none for 60 s.",
    ),
    Example(
        c.PassbackViolated("garage", _RESIDENT, "garage"),
        "车库里已有此人的进入记录却再次进入（仅提示）。",
        "Somebody entered the garage without having left it; let in all the same.",
    ),
    Example(
        c.ExitRequested("lobby"),
        "有人在大堂内按下出门按钮，门立即释放。",
        "The request-to-exit button in the lobby was pressed; the door was released at once.",
    ),
    Example(
        c.DevicePowerChanged("lobby-node", "battery"),
        "大堂门节点改用电池供电。",
        "The lobby's node runs on its battery.",
    ),
    Example(
        c.ClockLost("no-time-source"),
        "断电后时钟不可信，等待校时。",
        "After a power cut the clock is not to be believed until a time source answers.",
    ),
    Example(
        c.ClockSynced(-8_123), "时钟已校准，此前快了 8.1 秒。", "The clock is right again; it had been off by 8.1 s."
    ),
    Example(
        c.PolicyChanged(42, "0f1e2d3c4b5a6978", _OPERATOR),
        "第 42 版通行策略生效。",
        "Version 42 of the site's policy is in force.",
    ),
    Example(
        c.StorageBroken("full"),
        "磁盘无法写入；门照常判定，记录暂存内存。",
        "The disk cannot be written; doors decide on, records wait in memory.",
    ),
    Example(
        c.StorageHealed(120, 0),
        "磁盘恢复，补记 120 个事件，没有丢失。",
        "The disk can be written again; 120 events were written late and none was lost.",
    ),
    Example(
        c.FrameRefused("unknown-codec"),
        "中心不认识网关所用的编码；网关改用旧编码继续上报。",
        "The center does not know the codec that the gateway used; it goes on with an older one.",
    ),
    Example(
        c.PresenceForgotten("holder", 2, _OPERATOR),
        "一位住户未刷卡离开后被拒；值班人员清除了此人及其车辆的在场记录。",
        "A resident who had left unseen was refused; the person on duty had their and their car's presence forgotten.",
    ),
)

EXAMPLES: dict[type[EventData], Example] = {type(one.data): one for one in _EXAMPLES}


def example_event(kind: type[EventData], seq: int = 1042) -> Event:
    """The example as an event of `EPOCH`. Raises KeyError for a class without one."""
    data: c.AnyEventData = EXAMPLES[kind].data  # type: ignore[assignment]  # every class in the table is in the union
    return Event(seq, TIME_MS, True, data)
