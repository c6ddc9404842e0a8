"""A small world for the simulator's page that really changes: doors open, arms move, cars come."""

from __future__ import annotations

from typing import Any

import msgspec

from sim.errors import ActionError
from sim.scenario import Scenario

CAST = {
    "name": "demo",
    "title": {"zh": "演示", "en": "Demo"},
    "duration_s": 60,
    "bus": [{"name": "rs485-a"}],
    "door": [
        {"name": name, "label": {"zh": zh, "en": en}, "reader": f"{name}-reader", "address": n, "bus": "rs485-a"}
        for n, (name, zh, en) in enumerate(
            [
                ("lobby", "一号楼大堂", "Building 1 lobby"),
                ("garage", "地下车库", "Garage"),
                ("pump-room", "水泵房", "Pump room"),
            ]
        )
    ],
    "barrier": [
        {
            "name": "main-gate",
            "label": {"zh": "南门车闸", "en": "South gate barrier"},
            "camera": "gate-camera",
            "pins": {"raise": 17, "lower": 27, "raised": 22, "lowered": 23, "loop": 24},
        }
    ],
    "camera": [{"name": "gate-camera"}],
    "group": [{"name": "residents", "portals": ["lobby", "garage", "main-gate"]}],
    "holder": [
        {
            "id": "zhang",
            "name": {"zh": "张伟", "en": "Zhang Wei"},
            "group": "residents",
            "cards": [{"id": "zhang-card", "bits": 26, "number": 1}],
        },
        {
            "id": "li",
            "name": {"zh": "李娜", "en": "Li Na"},
            "group": "residents",
            "pin": "2468",
            "cards": [{"id": "li-card", "bits": 26, "number": 2}],
            "plates": ["粤B12345", "京AD12345"],
        },
    ],
}


class VirtualWorld:
    """Implements sim.web.app.World."""

    def __init__(self) -> None:
        self.scenario = msgspec.convert(CAST, Scenario)
        self.done: list[dict[str, Any]] = []
        self._log = [
            {"t_s": 12.0, "zh": "张伟在一号楼大堂刷卡", "en": "Zhang Wei presents a card at building 1"},
            {"t_s": 13.5, "zh": "一号楼大堂：绿灯，门锁释放", "en": "Building 1: green, the lock is released"},
        ]
        self._doors = {
            "lobby": _door("lobby", "一号楼大堂", "Building 1 lobby"),
            "garage": _door("garage", "地下车库", "Garage", leaf="open", lock="released", led="green"),
            "pump-room": _door("pump-room", "水泵房", "Pump room", led="red", node="off"),
        }
        self._barrier: dict[str, Any] = {
            "name": "main-gate",
            "label": {"zh": "南门车闸", "en": "South gate barrier"},
            "arm": "lowered",
            "loop": False,
            "car": None,
        }

    def snapshot(self) -> dict[str, Any]:
        return {
            "time_s": 83.4,
            "scenario": "demo",
            "doors": [dict(door) for door in self._doors.values()],
            "barriers": [dict(self._barrier)],
            "people": [
                {"id": "zhang", "name": {"zh": "张伟", "en": "Zhang Wei"}, "cards": ["26:1"], "has_pin": False},
                {"id": "li", "name": {"zh": "李娜", "en": "Li Na"}, "cards": ["26:2"], "has_pin": True},
                {"id": "guest", "name": {"zh": "陌生人", "en": "Stranger"}, "cards": ["26:99"], "has_pin": False},
                {"id": "kid", "name": {"zh": "小明", "en": "Xiaoming"}, "cards": [], "has_pin": True},
            ],
            "cars": [
                {"plate": "粤B12345", "owner": {"zh": "李娜", "en": "Li Na"}},
                {"plate": "京AD12345", "owner": {"zh": "访客", "en": "Visitor"}},
            ],
            "log": list(self._log),
        }

    async def perform(self, action: dict[str, Any]) -> None:
        if action.get("door") == "pump-room":
            raise ActionError("the node of door 'pump-room' is off")
        self.done.append(action)
        self._log.append({"t_s": 80.0 + len(self.done), "zh": f"动作 {action['do']}", "en": f"action {action['do']}"})
        match action["do"]:
            case "drive_up":
                self._barrier |= {"car": action["plate"], "loop": True, "arm": "raising"}
            case "present_card" | "enter_pin":
                self._doors[action["door"]] |= {"lock": "released", "led": "green", "beeps": 1}
            case "press_rex" | "force_door":
                self._doors[action["door"]] |= {"leaf": "open"}


def _door(name: str, zh: str, en: str, **state: object) -> dict[str, Any]:
    usual = {"lock": "locked", "leaf": "closed", "led": "off", "beeps": 0, "node": "online"}
    return {"name": name, "label": {"zh": zh, "en": en}} | usual | state
