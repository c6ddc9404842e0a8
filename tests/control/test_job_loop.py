"""A full queue refuses what is one of many, and loses nothing that says how something is now."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.devices import Devices
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.job_loop import QUEUE_LENGTH, JobLoop
from gateway.model import CardRead, DeviceOffline, DeviceOnline, InputChanged
from gateway.portal.door import DoorTimes


@pytest.fixture
async def running():
    tasks = []
    yield lambda part: tasks.append(asyncio.create_task(part.run()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_newest_of_each_name_is_done_after_the_queue(site, running, settle):
    loop, done = JobLoop("x", site.clock, length=2), []

    def job(name: str):
        async def do() -> None:
            done.append(name)

        return do

    for name in ("a", "b", "c"):
        loop.submit(job(name))
    for name in ("opened", "closed"):
        loop.submit_latest("contact", job(name))
    loop.submit_latest("rex", job("rex"))
    running(loop)
    await settle()
    assert (done, loop.refused) == (["a", "b", "closed", "rex"], 1)
    loop.submit_latest("contact", job("opened"))
    await settle()
    assert done[-1] == "opened"


async def test_a_door_that_was_closed_while_its_queue_was_full_is_closed_for_interlocks(site, running, settle):
    control = DoorControl(DoorSettings("lobby", "node", {}, DoorTimes(5_000, 30_000), 15_000), site.judge, site)
    running(control)
    control.observe(InputChanged("node", "contact", False))
    control.observe(InputChanged("node", "contact", True))
    await settle()
    assert site.judge.conditions.open_portals == {"lobby"}
    for _ in range(QUEUE_LENGTH):
        control.observe(CardRead("node", 26, bytes(4)))
    control.observe(InputChanged("node", "contact", False))
    for _ in range(20):
        await settle()
    assert control.loop.refused == 0
    assert site.judge.conditions.open_portals == frozenset()


async def test_a_line_with_all_its_devices_lost_and_back_is_one_event_each(site, running, settle):
    names = [f"node-{n}" for n in range(126)]
    devices = Devices(site.judge, len(names))
    devices.attach(dict.fromkeys(names, site), {})
    for name in names:
        devices.observe(DeviceOnline(name, True))
    for observation in (*(DeviceOffline(n, "unplugged") for n in names), *(DeviceOnline(n, True) for n in names)):
        devices.observe(observation)
    running(devices.loop)
    for _ in range(20):
        await settle()
    assert (site.facts.count("DeviceLost"), site.facts.count("DeviceReturned")) == (126, 126)
    assert devices.loop.refused == 0
