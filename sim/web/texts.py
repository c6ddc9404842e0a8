"""The texts of the simulator's page, (Chinese, English)."""

from __future__ import annotations

from pages.language import Texts

TITLE = ("智安 · 模拟器", "zhian · simulator")

TEXTS: Texts = {
    "sim.title": ("虚拟小区", "Virtual community"),
    "sim.lead": (
        "这里扮演的是真实世界：人、卡、车和门。门怎么做由网关决定。",
        "This page plays the physical world: people, cards, cars. What a door does is the gateway's decision.",
    ),
    "sim.scenario": ("剧本 {name}", "Scenario {name}"),
    "sim.time": ("已运行 {time}", "Running for {time}"),
    "plan.title": ("现场", "The site"),
    "plan.none": ("剧本里没有门和车闸。", "This scenario has neither doors nor barriers."),
    "lock.locked": ("已上锁", "Locked"),
    "lock.released": ("已释放", "Released"),
    "leaf.closed": ("门关着", "Closed"),
    "leaf.open": ("门开着", "Open"),
    "led.off": ("灯灭", "LED off"),
    "led.green": ("绿灯", "LED green"),
    "led.red": ("红灯", "LED red"),
    "led.amber": ("黄灯", "LED amber"),
    "node.online": ("节点运行中", "Node is running"),
    "node.off": ("节点未运行", "Node is off"),
    "arm.lowered": ("杆已落下", "Lowered"),
    "arm.raising": ("正在抬杆", "Raising"),
    "arm.raised": ("杆已抬起", "Raised"),
    "arm.lowering": ("正在落杆", "Lowering"),
    "loop.occupied": ("地感有车", "Vehicle on the loop"),
    "loop.free": ("地感空闲", "Loop is free"),
    "do.press_rex": ("按出门按钮", "Press exit button"),
    "do.force_door": ("强行推开", "Force the door"),
    "do.present_card": ("刷卡", "Present card"),
    "do.enter_pin": ("输入密码", "Enter PIN"),
    "do.drive_up": ("驶近车闸", "Drive up"),
    "do.at": ("在哪个门", "At which door"),
    "do.at.barrier": ("到哪个车闸", "To which barrier"),
    "done.press_rex": ("已按下出门按钮。", "The exit button was pressed."),
    "done.force_door": ("门被强行推开。", "The door was forced."),
    "done.present_card": ("卡已靠近读卡器。", "The card was held to the reader."),
    "done.enter_pin": ("密码已在键盘上输入。", "The PIN was typed on the keypad."),
    "done.drive_up": ("车辆正在驶近。", "The car is driving up."),
    "refused": ("现在做不到：{text}", "This cannot be done now: {text}"),
    "people.title": ("人员", "People"),
    "people.none": ("剧本里没有人。", "Nobody lives in this scenario."),
    "people.cards": ("持卡 {count} 张", "Cards: {count}"),
    "people.no-card": ("没有卡", "No card"),
    "people.pin": ("有密码", "Has a PIN"),
    "cars.title": ("车辆", "Cars"),
    "cars.none": ("剧本里没有车。", "There are no cars in this scenario."),
    "log.title": ("现场记录", "What happened"),
    "log.none": ("还没有发生什么。", "Nothing has happened yet."),
}
