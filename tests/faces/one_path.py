"""The whole path with its real processes: nodes, core, vision, drawn heads before a camera. `make scenarios` runs it.

Two minutes of real time, so not among the tests of every day; tests/faces/test_both_ends.py is there instead.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import time
import tomllib
from pathlib import Path

import msgspec
import pytest
import tomli_w

from gateway.errors import OperationsUnavailableError
from gateway.operations.client import OperationsClient
from gateway.store.reading import JournalReading
from gateway.vision.faces.report import FaceAttack
from gateway.vision.pad.statement import statement
from sim import scenario as scenarios
from sim.timeline import RealClock
from sim.world import World
from training.ask_measure import visit
from zhian import community, drawn_faces, site_files
from zhian.community import Community
from zhian.site_files import Ports
from zhian.supervisor import Command

FILE = next(path for path in scenarios.listed() if path.stem == "face-and-card")
ACCEPTS = [["face"], ["card", "face"], ["card", "pin"]]
SEEN_S = 40.0  # a busy machine draws and reads slowly
NOTHING_S = 6.0  # of standing there, after which nothing must have come of it


class Site:
    """One simulated site without broker and center; its world is this process."""

    def __init__(self, folder: Path) -> None:
        loaded = scenarios.load(FILE)
        policy = {"portal": [{"name": "lobby", "accepts": ACCEPTS}]}
        door = msgspec.structs.replace(loaded.door[0], display=True)
        self.scenario = msgspec.structs.replace(loaded, door=(door,), step=(), expect=(), policy=policy)
        self.files = site_files.write(self.scenario, FILE, folder, Ports(*(community.free_port() for _ in range(5))))
        self.configure(uplink={"mode": "none"})
        self.world = World(self.scenario, folder, RealClock())
        self.community = Community(self.files, lambda text: None, None)
        self.commands = {one.name: one for one in self.community.commands(loop=False)}
        self.client = OperationsClient(folder / "run" / "operations.sock")
        self.stop = asyncio.Event()

    def configure(self, **tables) -> None:
        told = tomllib.loads(self.files.gateway_toml.read_text("utf-8")) | tables
        self.files.gateway_toml.write_text(tomli_w.dumps(told), "utf-8")

    async def start(self, *names: str) -> None:
        for name in names:
            command: Command = self.commands[name]
            await self.community.supervisor.start(command)

    async def restart_with(self, **tables) -> None:
        """Core comes back with these tables in gateway.toml; vision finds it again."""
        await self.community.supervisor.cut("core")
        self.configure(**tables)
        self.community.supervisor.restore("core")
        async with asyncio.timeout(SEEN_S):
            while True:
                with contextlib.suppress(OperationsUnavailableError):
                    await self.client.faces()
                    return
                await asyncio.sleep(0.1)

    async def enrol(self, who="lin-lan") -> tuple[bytes, ...]:
        """The references that the desk handed to core."""
        asked = await asyncio.to_thread(drawn_faces.enrolment, self.files.folder, who, "lobby", "test")
        await self.client.enrol_face(asked)
        return asked.references

    async def do(self, do: str, **more) -> None:
        await self.world.perform({"do": do, "door": "lobby", **more})

    def types(self) -> list[str]:
        """Of every event about people so far, oldest first."""
        reading = JournalReading(self.files.gateway_database, see_duress=True)
        try:
            found = [row.type for row in reading.newest(limit=500)][::-1]
        finally:
            reading.close()
        return [t for t in found if t.split(".")[1] in ("access", "face")]

    async def until(self, condition, what: str, within_s: float = SEEN_S) -> float:
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < within_s, f"{what}; so far {self.types()}"
            await asyncio.sleep(0.05)  # other processes act
        return time.monotonic() - began

    async def stands(self, who: str, for_s: float) -> None:
        """Until they have gone again."""
        before = self._left()
        await self.do("walk_up", who=who, for_s=for_s)
        await self.until(lambda: self._left() > before, f"{who} went")

    def _left(self) -> int:
        path = self.files.folder / "world.jsonl"
        return path.read_text("utf-8").count('"person.left"')

    def granted(self) -> int:
        return self.types().count("zhian.access.granted")

    def heard(self, what: str) -> bool:
        """In the log of the vision process."""
        return what in (self.files.log / "vision.log").read_text("utf-8")


@pytest.fixture
async def site(tmp_path):
    if why := drawn_faces.missing(scenarios.load(FILE)):
        pytest.skip(why)
    site = Site(tmp_path)
    running = asyncio.create_task(site.world.run(site.stop))
    await site.world.started.wait()
    try:
        await site.start("core", "vision")
        await site.until(lambda: not site.world._not_up(), "the node is up")
        yield site
    finally:
        await site.community.supervisor.stop()
        site.stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@pytest.mark.timeout(300)
async def test_face_and_card_then_withdrawal(site):
    references = await site.enrol()
    await site.until(lambda: site.heard("holders=1"), "vision has the gallery")

    await site.stands("stranger", 4)
    await site.stands("lin-lan", 5)  # face alone is off: nobody has accepted the statement
    assert site.types() == ["zhian.face.enrolled"]

    await site.do("walk_up", who="lin-lan", for_s=10)
    await site.do("present_card", who="lin-lan")
    await site.until(lambda: site.granted() == 1 and site.world.doors["lobby"].released, "face and card open")

    await site.client.withdraw_face("lin-lan", "test")
    assert site.types()[-1] == "zhian.face.erased"
    await site.stands("lin-lan", 4)
    await site.do("walk_up", who="lin-lan", for_s=NOTHING_S)
    await site.do("present_card", who="lin-lan")
    await asyncio.sleep(NOTHING_S)  # that nothing comes of it can only be waited for
    assert site.granted() == 1
    await asyncio.to_thread(search_every_file, site, references)


def search_every_file(site: Site, references: tuple[bytes, ...]) -> None:
    """Pictures are where the camera puts them, and nowhere else; references nowhere; the holder in no log."""
    searched = 0
    for path in site.files.folder.rglob("*"):
        if not path.is_file() or site.files.folder / "cameras" in path.parents:
            continue
        data = path.read_bytes()
        searched += 1
        assert b"\xff\xd8\xff" not in data, f"{path} holds a JPEG"
        for one in references:
            assert one[:16] not in data, f"{path} holds a reference"
            assert base64.b64encode(one)[:32] not in data, f"{path} holds a reference"
        if path.parent.name == "log":
            assert b"lin-lan" not in data, f"{path} names a holder"
    assert searched > 10


@pytest.mark.timeout(300)
async def test_face_alone_once_the_statement_is_accepted(site):
    await site.restart_with(faces={"accepted_statement": statement().version})
    assert (await site.client.faces()).alone
    await site.enrol()
    await site.until(lambda: site.heard("holders=1"), "vision has the gallery")
    await site.stands("stranger", 4)
    assert site.granted() == 0
    door = site.world.doors["lobby"]
    await site.do("walk_up", who="lin-lan", for_s=16)
    await site.until(lambda: door.text != "", "she is asked for something")
    await site.until(lambda: site.granted() == 1 and door.released, "the face opens")
    await site.until(lambda: door.text == "", "nothing is left on the display")


@pytest.mark.timeout(300)
async def test_a_vision_process_that_is_killed_while_it_asks_leaves_the_door_as_it_was(site):
    await site.restart_with(faces={"accepted_statement": statement().version})
    await site.enrol()
    await site.until(lambda: site.heard("holders=1"), "vision has the gallery")
    door = site.world.doors["lobby"]
    await site.do("walk_up", who="lin-lan", for_s=16)
    await site.until(lambda: door.text != "", "she is asked for something")
    await site.community.supervisor.cut("vision")
    await site.until(lambda: door.text == "" and door.led == "off", "nothing is shown any more", within_s=5)
    assert site.granted() == 0
    await site.do("present_card", who="lin-lan")
    await site.do("enter_pin", who="lin-lan")
    await site.until(lambda: door.released, "card and PIN open", within_s=5)


@pytest.mark.timeout(300)
async def test_a_vision_process_that_is_killed_delays_no_door(site):
    await site.enrol()
    await site.until(lambda: site.heard("holders=1"), "vision has the gallery")
    await site.do("walk_up", who="lin-lan", for_s=8)
    await asyncio.sleep(1)  # somebody stands there
    await site.community.supervisor.cut("vision")
    await site.do("present_card", who="lin-lan")
    await site.do("enter_pin", who="lin-lan")
    await site.until(lambda: site.world.doors["lobby"].released, "card and PIN open", within_s=5)
    site.community.supervisor.restore("vision")
    await site.until(lambda: (site.files.log / "vision.log").read_text("utf-8").count("holders=1") == 2, "it is back")


@pytest.mark.timeout(300)
def test_a_video_of_somebody_doing_something_else_is_not_let_in(reader):
    told = visit(reader, "screen_video", 5, 740_005, frozenset({"challenge", "light"}), random.Random(1).randbytes).told
    assert isinstance(told, FaceAttack) or not told.bona_fide
    assert getattr(told, "asked", ()) == ()
