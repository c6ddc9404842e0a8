"""Everything that physically happened: one JSON line each in <site>/world.jsonl, and the newest in words for people."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, TextIO

from runtime import log
from sim.errors import SimError
from sim.scenario import Scenario
from sim.timeline import Timeline

MAX_BYTES = 64 * 1024 * 1024  # of world.jsonl: days of a looping demo
SHOWN = 40  # lines of words kept for the page

SENTENCES: dict[str, tuple[str, str]] = {
    "card.presented": ("{who_zh}在{at_zh}刷卡", "{who_en} presents a card at {at_en}"),
    "keys.entered": ("{who_zh}在{at_zh}输入密码", "{who_en} enters a PIN at {at_en}"),
    "rex.pressed": ("有人在{at_zh}按出门按钮", "somebody presses request-to-exit at {at_en}"),
    "lock.released": ("{at_zh}门锁释放", "the lock of {at_en} is released"),
    "lock.locked": ("{at_zh}上锁", "{at_en} is locked"),
    "door.opened": ("{at_zh}打开", "{at_en} opens"),
    "door.forced": ("{at_zh}被强行打开", "{at_en} is forced open"),
    "door.closed": ("{at_zh}关闭", "{at_en} closes"),
    "person.gave-up": ("{at_zh}前的人离开了", "whoever waited at {at_en} leaves"),
    "reader.dead": ("{at_zh}读卡器没有反应", "the reader of {at_en} does not react"),
    "plate.shown": ("车辆{plate}驶近{at_zh}", "car {plate} drives up to {at_en}"),
    "car.passed": ("车辆{plate}通过{at_zh}", "car {plate} drives through {at_en}"),
    "car.gave-up": ("车辆{plate}从{at_zh}倒车离开", "car {plate} backs away from {at_en}"),
    "arm.raised": ("{at_zh}升起", "the arm of {at_en} is up"),
    "arm.lowered": ("{at_zh}落下", "the arm of {at_en} is down"),
    "arm.stopped": ("{at_zh}中途停住", "the arm of {at_en} stopped half way"),
    "arm.struck": ("{at_zh}砸到车辆", "the arm of {at_en} struck a car"),
    "node.cut": ("{at_zh}节点断电", "the node of {at_en} loses power"),
    "node.returned": ("{at_zh}节点恢复供电", "the node of {at_en} has power again"),
    "door.held": ("有人抵住{at_zh}", "somebody keeps {at_en} open"),
    "case.opened": ("{at_zh}节点外壳被打开", "the housing of the node of {at_en} is opened"),
    "case.closed": ("{at_zh}节点外壳已合上", "the housing of the node of {at_en} is closed"),
    "bus.noisy": ("总线{at_zh}出现干扰", "there is noise on the bus {at_en}"),
    "bus.quiet": ("总线{at_zh}干扰消失", "the bus {at_en} is quiet again"),
    "bus.collided": ("总线{at_zh}上两个节点同时发送", "two nodes talk at once on the bus {at_en}"),
    "bus.unplugged": ("总线{at_zh}被拔下", "the bus {at_en} is unplugged"),
    "bus.plugged": ("总线{at_zh}重新插上", "the bus {at_en} is plugged in"),
    "network.stopped": ("网络中断", "the network stops"),
    "network.split": ("网关与中心之间的网络断开", "the gateway is cut off from the center"),
    "network.stalled": ("网络停滞", "the network carries nothing"),
    "network.one-way": ("网络只能单向传输", "no answers come back over the network"),
    "network.slow": ("网络变慢", "the network is slow"),
    "network.duplicating": ("网络重复传送消息", "the network carries messages twice"),
    "network.restored": ("网络恢复", "the network is well again"),
    "power.cut": ("{at_zh}断电", "{at_en} loses power"),
    "power.returned": ("{at_zh}恢复供电", "{at_en} has power again"),
    "disk.full": ("{at_zh}磁盘已满", "the disk of {at_en} is full"),
    "disk.free": ("{at_zh}磁盘有空间了", "the disk of {at_en} has space again"),
    "clock.jumped": ("时钟被拨动", "the site's clock jumps"),
    "person.approached": ("{who_zh}走近{at_zh}", "{who_en} walks up to {at_en}"),
    "person.left": ("{who_zh}离开{at_zh}", "{who_en} walks away from {at_en}"),
    "network.torn": ("连接在一条消息中间断开", "a connection ends in the middle of a message"),
    "network.reordering": ("网络扣住一条消息，稍后才送达", "the network holds a message back and delivers it late"),
    "network.reordered": ("被扣住的消息排在后面送达", "the message that was held back arrives after newer ones"),
    "disk.readonly": ("{at_zh}磁盘变为只读", "the disk of {at_en} is read-only"),
    "disk.writable": ("{at_zh}磁盘恢复可写", "the disk of {at_en} can be written again"),
    "disk.lost": ("{at_zh}丢失全部数据", "{at_en} loses what it has stored"),
    "clock.alone": ("网关失去时间服务器", "the gateway has no time server"),
    "clock.synced": ("网关重新与时间服务器同步", "the gateway has a time server again"),
    "fire.lit": ("消防主机报警", "the fire panel is in alarm"),
    "fire.cleared": ("消防主机报警解除", "the alarm at the fire panel is over"),
    "fire-wire.cut": ("通往{at_zh}的消防线被剪断", "the wire from the fire panel to {at_en} is cut"),
    "fire-wire.bridged": ("{at_zh}的消防端子被短接", "the fire terminals of {at_en} are bridged"),
    "fire-wire.mended": ("通往{at_zh}的消防线已修复", "the wire from the fire panel to {at_en} is mended"),
    "person.leaves": ("有人在{at_zh}内侧拉门", "somebody pulls {at_en} from inside"),
    "door.held-fast": ("{at_zh}拉不开", "{at_en} does not open"),
    "operation.done": ("现场人员的操作已执行", "an operator on site: done"),
    "operation.refused": ("现场人员的操作被拒绝", "an operator on site: refused"),
    "node.ready": ("{at_zh}节点就绪", "the node of {at_en} is ready"),
}

FAULTS: tuple[str, ...] = (
    # kinds of facts that say that something broke, or is well again
    *("node.cut", "node.returned", "bus.noisy", "bus.quiet", "bus.collided", "bus.unplugged", "bus.plugged"),
    *("network.stopped", "network.split", "network.stalled", "network.one-way", "network.slow"),
    *("network.duplicating", "network.restored", "power.cut", "power.returned", "disk.full", "disk.free"),
    *("network.torn", "network.reordering", "network.reordered", "disk.readonly", "disk.writable", "disk.lost"),
    *("fire.lit", "fire.cleared", "fire-wire.cut", "fire-wire.bridged", "fire-wire.mended"),
    *("clock.jumped", "clock.alone", "clock.synced"),
)

_log = log.get("sim.world")


class Chronicle:
    """Writes facts down. `record` has the signature that the physics expects."""

    def __init__(self, path: Path, scenario: Scenario, timeline: Timeline) -> None:
        self.path = path
        self.newest: deque[dict[str, Any]] = deque(maxlen=SHOWN)
        self.watch: Callable[[Mapping[str, Any]], None] = lambda _fact: None
        self._timeline = timeline
        self._file: TextIO | None = None
        self._written = 0
        self._labels = {portal.name: portal.label for portal in (*scenario.door, *scenario.barrier)}
        self._names = {person.id: person.name for person in scenario.people}

    def open(self) -> None:
        """Append to the file. Raises SimError."""
        try:
            self._file = self.path.open("a", encoding="utf-8", buffering=1)
            self._written = self.path.stat().st_size
        except OSError as e:
            raise SimError(f"{self.path}: cannot be written ({e.strerror}); check the site's folder") from e

    def close(self) -> None:
        """Done writing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @staticmethod
    def local_time(zone: tzinfo) -> datetime:
        """The machine's wall clock, which stamps the facts."""
        return datetime.now(zone)

    def record(self, kind: str, subject: str, **details: object) -> None:
        """Something happened to `subject` now."""
        fact = {
            "t_ms": round(self._timeline.now_ms, 1),
            "unix_ms": int(time.time() * 1000),
            "kind": kind,
            "subject": subject,
            **details,
        }
        self._write(fact)
        self._tell(kind, subject, details)
        self.watch(fact)

    def _write(self, fact: dict[str, object]) -> None:
        line = json.dumps(fact, ensure_ascii=False, separators=(",", ":")) + "\n"
        size = len(line.encode())
        if self._file is None or self._written > MAX_BYTES:
            return
        if self._written + size > MAX_BYTES:
            _log.warning("the world's record is full; nothing more is written", path=str(self.path), bytes=MAX_BYTES)
            self._written = MAX_BYTES + 1
            return
        self._written += size
        self._file.write(line)

    def _tell(self, kind: str, subject: str, details: Mapping[str, object]) -> None:
        if kind == "door.opened" and details.get("forced"):
            kind = "door.forced"
        sentence = SENTENCES.get(kind)
        if sentence is None:
            return
        label, name = self._labels.get(subject), self._names.get(str(details.get("who")))
        words = {
            "at_zh": label.zh if label else subject,
            "at_en": label.en if label else subject,
            "who_zh": name.zh if name else "有人",
            "who_en": name.en if name else "somebody",
            "plate": str(details.get("plate", "")),
        }
        zh, en = (form.format(**words) for form in sentence)
        self.newest.append({"t_s": round(self._timeline.now_ms / 1000, 1), "zh": zh, "en": en[0].upper() + en[1:]})
        _log.info(en, subject=subject)
