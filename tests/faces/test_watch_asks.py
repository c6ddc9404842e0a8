"""A camera whose door asks something of a face: nothing is told before it was done. Frames and judge are made up."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gateway.vision.camera_folder import RawFrame
from gateway.vision.faces import report
from gateway.vision.faces.asking import ANSWER_WAIT_MS, CAMERA_LIMITS, Asking, Wanted
from gateway.vision.faces.encounter import GONE_AFTER_MS, STANDS_MS
from gateway.vision.faces.face import Face
from gateway.vision.faces.presentation import Verdict
from gateway.vision.faces.quality import Problem, Quality
from gateway.vision.faces.reader import Seen
from gateway.vision.faces.report import FaceAsk, FaceAskOver, FaceAttack, FaceSeen
from gateway.vision.faces.threshold import Row, Thresholds
from gateway.vision.faces.watch import UNFOLLOWED_MS, Enrolled, FaceWatch
from training.face_evidence import upper

SHA, EVERY_MS, LASTS_MS = "0" * 64, 200, 7000
TABLE = Thresholds(SHA, "made up", 0.95, tuple(Row(n, 0.02, 0.6, 200, 0, upper(0, 200), 0.1) for n in (1, 5)))
LIN, WANG = (np.eye(8, dtype=np.float32)[n] for n in range(2))
TURNED_LIN = (0.45 * LIN + np.sqrt(1 - 0.45**2) * np.eye(8, dtype=np.float32)[5]).astype(np.float32)
NOBODY = np.eye(8, dtype=np.float32)[7]
JPEG = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
DONE = Verdict(True, ("depth_seen", "challenge_done"), {})
NOT_DONE = Verdict(False, ("challenge_not_done",), {})
WRONG = Verdict(False, ("challenge_wrong",), {}, (), "challenge_wrong")


class Lobby:
    name = "lobby"


@dataclass
class Drawn:
    """In place of the nets: the face that the test says is there."""

    probe: np.ndarray | None = None
    yaw_deg: float = 0.0
    problems: tuple[Problem, ...] = ()
    embedder: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(name="made-up", sha256=SHA))

    def nearest(self, picture):
        if self.probe is None:
            return None
        mesh = np.ones((468, 3), np.float32)
        face = Face((10.0, 10.0, 40.0, 40.0), 0.9, mesh, np.ones((5, 2), np.float32), 0.9)
        numbers = dict.fromkeys(Quality.__dataclass_fields__, 0.0) | {"yaw_deg": self.yaw_deg}
        return Seen(face, Quality(**numbers | {"problems": self.problems}), np.ones((8, 8, 3), np.uint8))

    def embed_seen(self, picture, seen):
        return self.probe.copy()

    def forget(self):
        pass


class Door:
    """One camera and what it has told; `judged`: every call of the judge."""

    def __init__(self, inference, verdict=DONE, wanted=None, alone=True) -> None:
        self.now_ms, self.verdict, self.judged, self.told = 10_000, verdict, [], []
        self.there, self.judging_ms = Drawn(LIN), 0
        self.enrolled = Enrolled(TABLE, 0.02, 0.02, 8, SHA, lambda: self.now_ms)
        both = [report.Reference(h, ("lobby",), v.astype("<f4").tobytes()) for h, v in (("lin", LIN), ("wang", WANG))]
        self.enrolled.take(report.GalleryLine(1, both))
        self.asking = Asking("lobby", wanted or Wanted(), lambda n: np.random.default_rng(len(self.told)).bytes(n))
        self.watch = FaceWatch(
            Lobby, self.there, self.enrolled, self._judge, self.told.append, inference, asking=self.asking
        )
        self.watch.heard(report.AloneLine(("lobby",) if alone else ("garage",)), self.now_ms)

    def _judge(self, looks, challenge=None, *, light=None):
        self.judged.append((len(looks), challenge, light))
        self.now_ms += self.judging_ms
        return self.verdict

    def frames(self, for_ms, probe=LIN, **changes) -> None:
        self.there.probe = probe
        self.there.yaw_deg = changes.get("yaw_deg", 0.0)
        self.there.problems = changes.get("problems", ())
        for _ in range(for_ms // EVERY_MS):
            self.now_ms += EVERY_MS
            one = self.watch.frame(RawFrame("f.jpg", JPEG, self.now_ms))
            self.watch._tell_waiting()
            if one is not None:
                self.told.append(one)

    def until_asked(self) -> FaceAsk:
        self.frames(STANDS_MS + 1000)
        (ask,) = self.of(FaceAsk)
        return ask

    def show(self, ask, shown=True) -> None:
        self.watch.heard(report.ShownLine("lobby", ask.id, shown), self.now_ms)

    def of(self, kind):
        return [one for one in self.told if isinstance(one, kind)]


@pytest.fixture
def door():
    with ThreadPoolExecutor(1) as inference:
        yield lambda **more: Door(inference, **more)


def test_nothing_is_told_before_what_was_asked_was_shown_and_done(door):
    one = door()
    ask = one.until_asked()
    assert one.judged == []
    assert one.of(FaceSeen) == []
    one.frames(1000)
    one.show(ask)
    one.frames(LASTS_MS - EVERY_MS)
    assert one.judged == []
    one.frames(2 * EVERY_MS)
    ((looks, challenge, light),) = one.judged
    assert looks > 30
    assert tuple(map(str, challenge.steps)) == ask.steps
    assert light is None
    (seen,) = one.of(FaceSeen)
    assert (seen.holder, seen.bona_fide, seen.asked) == ("lin", True, ("challenge",))
    assert seen.line()["asked"] == ["challenge"]
    (over,) = one.of(FaceAskOver)
    assert (over.id, over.done) == (ask.id, True)
    one.frames(3000)  # over until the face has gone
    assert len(one.told) == 3


@pytest.mark.parametrize(("judging_ms", "late_ms"), [(3000, 0), (6000, 6000)])
def test_a_judgement_that_takes_long_is_told_as_of_its_end_and_not_asked_for_again(door, judging_ms, late_ms):
    one = door()
    one.judging_ms = judging_ms
    one.show(one.until_asked())
    one.frames(LASTS_MS + 2 * EVERY_MS)
    (seen,) = one.of(FaceSeen)
    assert one.now_ms - EVERY_MS - seen.observed_ms in (late_ms, late_ms - EVERY_MS, late_ms + EVERY_MS)
    one.frames(2000)
    assert len(one.of(FaceAsk)) == (1 if late_ms == 0 else 2)  # after a long gap somebody else may stand there


@pytest.mark.parametrize(("verdict", "kind"), [(NOT_DONE, FaceSeen), (WRONG, FaceAttack)])
def test_what_is_not_done_is_never_bona_fide(door, verdict, kind):
    one = door(verdict=verdict)
    one.show(one.until_asked())
    one.frames(LASTS_MS + 1000)
    (told,) = one.of(kind)
    assert getattr(told, "bona_fide", False) is False
    assert getattr(told, "asked", ()) == ()
    (over,) = one.of(FaceAskOver)
    assert not over.done
    assert not over.gone


@pytest.mark.parametrize("answer", [False, None])
def test_what_could_not_be_shown_is_not_judged(door, answer):
    one = door()
    ask = one.until_asked()
    if answer is not None:
        one.show(ask, answer)
    one.frames(ANSWER_WAIT_MS + 2 * EVERY_MS)
    (told,) = one.of(FaceSeen)
    assert (told.bona_fide, told.pad_reasons, one.judged) == (False, ("not_asked",), [])


def test_a_step_that_came_too_late_spoils_it(door):
    one = door()
    ask = one.until_asked()
    one.show(ask)
    one.frames(3000)
    one.show(ask, shown=False)
    one.frames(2 * EVERY_MS)
    assert [seen.pad_reasons for seen in one.of(FaceSeen)] == [("not_asked",)]


def test_whoever_leaves_is_not_judged(door):
    one = door()
    one.show(one.until_asked())
    one.frames(1000)
    one.frames(GONE_AFTER_MS + 2 * EVERY_MS, probe=None)
    (over,) = one.of(FaceAskOver)
    assert (over.done, over.gone, one.judged, one.of(FaceSeen)) == (False, True, [], [])
    assert one.asking.holder is None


def test_pictures_that_stop_end_it(door):
    one = door()
    one.show(one.until_asked())
    one.watch.nobody_there()
    one.watch._tell_waiting()
    assert [over.gone for over in one.of(FaceAskOver)] == [True]


@pytest.mark.parametrize("probe", [WANG, NOBODY])
def test_another_face_in_the_middle_spoils_it(door, probe):
    one = door()
    one.show(one.until_asked())
    one.frames(2000)
    one.frames(EVERY_MS, probe=probe)
    one.frames(600)
    assert one.judged == []
    assert len(one.of(FaceAskOver)) == 1
    assert one.of(FaceSeen) == []


def test_a_second_person_in_the_middle_spoils_it(door):
    one = door()
    one.show(one.until_asked())
    one.frames(1000)
    one.frames(EVERY_MS, problems=(Problem.TWO_FACES,))
    assert len(one.of(FaceAskOver)) == 1
    assert one.judged == []


def test_turned_heads_and_faces_that_are_less_like_themselves_spoil_nothing(door):
    one = door()
    one.show(one.until_asked())
    one.frames(1000)
    one.frames(1000, probe=NOBODY, yaw_deg=25.0)  # turned as asked: looked at, not compared
    one.frames(1000, probe=TURNED_LIN)  # 0.45 alike, where 0.6 is needed
    one.frames(LASTS_MS)
    assert [seen.bona_fide for seen in one.of(FaceSeen)] == [True]


def test_a_face_that_is_never_seen_straight_meanwhile_is_not_believed(door):
    one = door()
    one.show(one.until_asked())
    one.frames(UNFOLLOWED_MS + 2 * EVERY_MS, yaw_deg=30.0)
    assert (one.of(FaceSeen), one.judged) == ([], [])
    assert [over.done for over in one.of(FaceAskOver)] == [False]


@pytest.mark.parametrize("changes", [{"problems": (Problem.MOUTH_COVERED,)}, {"yaw_deg": 30.0}])
def test_nobody_else_does_the_steps_after_the_holder_has_looked(door, changes):
    """With a scarf before the mouth a face is not compared: the holder's picture first, then somebody else."""
    one = door()
    one.show(one.until_asked())
    one.frames(1000)  # as often as frames have to agree, while "look here" is shown
    one.frames(LASTS_MS, probe=NOBODY, **changes)
    assert (one.of(FaceSeen), one.judged) == ([], [])
    assert [over.done for over in one.of(FaceAskOver)] == [False]


def test_after_too_many_tries_nothing_is_asked_any_more(door):
    one = door()
    for n in range(CAMERA_LIMITS[0][0]):
        one.asking.tries.shown(f"somebody-{n}", one.now_ms)
    one.frames(3000)
    (told,) = one.of(FaceSeen)
    assert (told.bona_fide, told.pad_reasons) == (False, ("too_many_tries",))
    assert [(over.done, over.gone) for over in one.of(FaceAskOver)] == [(False, False)]  # "Card / shua ka" is shown
    assert one.of(FaceAsk) == []


def test_whoever_walks_past_is_asked_for_nothing(door):
    one = door()
    one.frames(STANDS_MS)
    one.frames(3000, probe=None)
    assert one.told == []


def test_where_a_face_opens_nothing_alone_it_is_judged_as_it_is(door):
    one = door(alone=False)
    one.frames(2000)
    assert [seen.asked for seen in one.of(FaceSeen)] == [()]
    assert one.judged[0][1:] == (None, None)


def test_beside_a_card_nothing_is_asked_unless_the_door_says_so(door):
    for wanted, asked in ((Wanted(), 0), (Wanted(beside=frozenset({"light"})), 1)):
        one = door(wanted=wanted)
        one.enrolled.hear(
            json.dumps({"kind": "claim", "camera": "lobby", "holder": "lin", "until_ms": 60_000}).encode()
        )
        one.frames(3000)
        assert len(one.of(FaceAsk)) == asked
        assert [seen.claimed for seen in one.of(FaceSeen)] == [True] * (1 - asked)


def test_a_card_shown_in_the_middle_ends_it(door):
    one = door()
    one.show(one.until_asked())
    one.enrolled.hear(json.dumps({"kind": "claim", "camera": "lobby", "holder": "wang", "until_ms": 60_000}).encode())
    one.frames(1000)
    assert [over.gone for over in one.of(FaceAskOver)] == [True]
    assert one.judged == []


def test_a_gallery_that_ends_ends_it(door):
    one = door()
    one.show(one.until_asked())
    one.enrolled.take(report.GalleryLine(2, []))
    assert not one.enrolled.asks("lobby")
    one.frames(1000)
    assert len(one.of(FaceAskOver)) == 1
    assert one.of(FaceSeen) == []


@dataclass
class Sending:
    """A camera that sends the same picture again and again."""

    content: bytes
    name: str = "lobby"

    async def next_frame(self) -> RawFrame:
        await asyncio.sleep(0)
        return RawFrame("f.jpg", self.content, 20_000)


@pytest.mark.parametrize(("ends", "content"), [(True, JPEG), (False, b"no picture")])
async def test_whoever_stood_there_is_forgotten_when_nobody_is_looked_for_or_nothing_can_be_read(door, ends, content):
    """A camera that goes on sending must not keep what was seen last in memory."""
    one = door(alone=False)
    one.frames(400)
    kept = list(one.watch._encounters._looks)
    assert kept
    if ends:
        one.enrolled.take(report.GalleryLine(2, []))
    one.now_ms += GONE_AFTER_MS + 1
    one.watch._camera = Sending(content)
    reading = asyncio.create_task(one.watch.read())
    async with asyncio.timeout(5):
        while one.watch._encounters._looks:
            await asyncio.sleep(0)  # the inferring thread is at it
    reading.cancel()
    assert all(not look.mesh.any() and not look.patch.any() for look in kept)
