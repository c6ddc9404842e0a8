"""One camera that looks at faces: frames to at most one line per encounter. What matches nobody is overwritten."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from gateway.errors import VisionError
from gateway.vision.camera_folder import MAX_FRAME_BYTES, RawFrame
from gateway.vision.faces import report
from gateway.vision.faces.asking import Asking, Wanted
from gateway.vision.faces.encounter import Encounters, Matched, Step
from gateway.vision.faces.gallery import Candidate, Gallery
from gateway.vision.faces.presentation import Judge, Look, Verdict
from gateway.vision.faces.quality import Problem
from gateway.vision.faces.reader import FaceReader, Seen
from gateway.vision.faces.report import FaceAsk, FaceAskOver, FaceAttack, FaceSeen
from gateway.vision.faces.threshold import Thresholds, Unsupported, threshold_for, verification_threshold
from gateway.vision.pad.look import patch_of
from gateway.vision.pad.reasons import NOT_ASKED, NOT_ENOUGH_EVIDENCE, TOO_MANY_TRIES
from gateway.vision.picture import Picture, decode
from runtime.log import get

QUIET_S, ASKED_QUIET_S = 0.5, 1.2  # without a picture until nobody is there; longer while something is asked for
MAX_CLAIMS = 64
MAX_CLAIM_MS = 60_000
BETWEEN_PEOPLE = frozenset({Problem.TWO_FACES})  # problems that may mean a change of person
JUDGED_WITHIN_MS = 5000  # whoever has waited longer for a judgement may have gone
FOLLOWED_SHARE = 0.6  # of the similarity needed: below it, a good frame of a face that is being asked is another's
# How long a face that is being asked may be turned aside, covered or blurred, and so not be compared: a step and a bit.
# Else the holder could look, and somebody else do what is asked for.
UNFOLLOWED_MS = 2500
ASKED_TURN_DEG = 20.0  # a face turned aside further, as it is asked to, is looked at and not compared
Told = FaceSeen | FaceAttack | FaceAsk | FaceAskOver
log = get("faces")


class Camera(Protocol):
    """Where frames come from."""

    name: str

    async def next_frame(self) -> RawFrame: ...


@dataclass(slots=True)
class AtCamera:
    """Who may be recognised at one camera. `alone`: the similarity for a face alone among them, None where the evidence
    does not support the error rate asked for."""

    gallery: Gallery = field(default_factory=Gallery)
    alone: float | None = None


@dataclass(slots=True)
class Enrolled:
    """What every face camera of this process knows: who may be recognised there, who claimed to stand there, how alike
    is alike enough.

    Only in memory, and changed by the inferring thread alone. `with_card`: the similarity for one holder whose card was
    shown.
    """

    thresholds: Thresholds
    fpir: float
    fmr: float
    length: int
    model_sha256: str
    now_ms: Callable[[], int]
    version: int = 0
    with_card: float | None = None
    _at: dict[str, AtCamera] = field(default_factory=dict)
    _claims: dict[str, tuple[str, int]] = field(default_factory=dict)

    def hear(self, line: bytes) -> None:
        """A line of core's. One that cannot be used is logged, and the gallery stays as it was."""
        try:
            self.take(report.parse(line))
        except ValueError as e:
            log.warning("core's line was not used", why=str(e))

    def take(self, told: report.Line) -> None:
        """What core said about who may be recognised; anything else is somebody else's. Raises ValueError."""
        if isinstance(told, report.ClaimLine):
            self._claim(told)
        elif isinstance(told, report.GalleryLine):
            self._replace(told)

    def at(self, camera: str) -> AtCamera:
        """Nobody, where core has named this camera for nobody."""
        return self._at.get(camera) or AtCamera()

    def claimed(self, camera: str) -> str | None:
        """The holder whose card was shown at this camera a moment ago."""
        holder, until_ms = self._claims.get(camera, ("", 0))
        return holder if self.now_ms() < until_ms else None

    def candidate(self, camera: str, probe) -> tuple[Candidate | None, bool]:  # type: ignore[no-untyped-def]
        """(the holder near enough or None, whether that was 1:1)."""
        claimed, here = self.claimed(camera), self.at(camera)
        if claimed is not None:
            similar = here.gallery.verify(claimed, probe)
            enough = similar is not None and self.with_card is not None and similar >= self.with_card
            return (Candidate(claimed, similar, 2.0) if enough and similar is not None else None), True
        nearest = here.gallery.nearest(probe) if here.alone is not None else None
        if nearest is None or here.alone is None or nearest.similarity < here.alone:
            return None, False
        return nearest, False

    def follows(self, camera: str, holder: str, probe, *, claimed: bool) -> bool:  # type: ignore[no-untyped-def]
        """Whether this may still be the holder who is being asked for something: turning and nodding make a face less
        like itself, but not like a stranger's."""
        here = self.at(camera)
        similar, needed = here.gallery.verify(holder, probe), self.with_card if claimed else here.alone
        return similar is not None and needed is not None and similar >= FOLLOWED_SHARE * needed

    def asks(self, camera: str) -> bool:
        """Whether a face at this camera can lead to anything now; else nobody looks."""
        here = self.at(camera)
        return len(here.gallery) > 0 and (here.alone is not None or self.claimed(camera) is not None)

    def _claim(self, told: report.ClaimLine) -> None:
        now = self.now_ms()
        self._claims = {name: claim for name, claim in self._claims.items() if claim[1] > now}
        if len(self._claims) < MAX_CLAIMS:
            self._claims[told.camera] = (told.holder, min(told.until_ms, now + MAX_CLAIM_MS))

    def _replace(self, told: report.GalleryLine) -> None:
        if told.model_sha256 not in (None, self.model_sha256):
            raise ValueError("the references were made with another model; enrol again")
        fresh = report.galleries_of(told, self.length)
        for old in self._at.values():
            old.gallery.forget()
        self.version = told.version
        self._at = {camera: AtCamera(gallery, self._alone(len(gallery))) for camera, gallery in fresh.items()}
        with_card = verification_threshold(self.fmr, self.thresholds)
        self.with_card = None if isinstance(with_card, Unsupported) else with_card
        log.info("gallery", version=told.version, cameras=len(fresh), with_card=self.with_card)
        for camera, here in self._at.items():
            why = "" if here.alone is not None else str(threshold_for(len(here.gallery), self.fpir, self.thresholds))
            log.info("gallery at", camera=camera, holders=len(here.gallery), alone=here.alone, why=why)

    def _alone(self, holders: int) -> float | None:
        found = threshold_for(holders, self.fpir, self.thresholds)
        return None if isinstance(found, Unsupported) else found


class FaceWatch:
    """One camera's frames to lines for core."""

    def __init__(
        self,
        camera: Camera,
        reader: FaceReader,
        enrolled: Enrolled,
        judge: Judge,
        send: Callable[[Told], None],
        inference: ThreadPoolExecutor,
        *,
        agreeing_frames: int = 3,
        asking: Asking | None = None,
    ) -> None:
        """`asking`: what a face is asked for here; nothing where it is left out."""
        nothing = Wanted(frozenset(), frozenset())
        self._asking = asking or Asking(camera.name, nothing, os.urandom)
        self._followed_ms = 0  # when whoever is being asked was last seen to be the holder
        self._waiting: list[Told] = []  # told beside what a frame returns
        self._camera, self._reader, self._enrolled, self._judge = camera, reader, enrolled, judge
        self._send, self._inference = send, inference
        self._encounters = Encounters(agreeing_frames)
        self._clean = True
        self._claimed: str | None = None
        self.bad = 0

    async def read(self) -> None:
        """Frame after frame until cancelled. A picture that cannot be decoded is counted and skipped."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(QUIET_S if self._asking.holder is None else ASKED_QUIET_S):
                    frame = await self._camera.next_frame()
            except TimeoutError:
                await loop.run_in_executor(self._inference, self.nobody_there)
                self._tell_waiting()
                continue
            if not self._enrolled.asks(self._camera.name):
                frame.forget()
                if self._asking.holder is not None or not self._clean:
                    await loop.run_in_executor(self._inference, self.nobody_there)
                    self._tell_waiting()
                continue
            try:
                told = await loop.run_in_executor(self._inference, self.frame, frame)
            except VisionError as e:
                self.bad += 1
                if self.bad & (self.bad - 1) == 0:  # 1st, 2nd, 4th, 8th ...: never a flood
                    log.warning("picture skipped", camera=self._camera.name, why=str(e), skipped=self.bad)
                await loop.run_in_executor(self._inference, self._nothing_seen, self._enrolled.now_ms())
                self._tell_waiting()
                continue
            self._tell_waiting()
            if told is not None:
                self._send(told)
            if isinstance(told, FaceSeen | FaceAttack):
                seen = {"bona_fide": told.bona_fide, "reasons": told.pad_reasons} if isinstance(told, FaceSeen) else {}
                log.info("a holder's face was seen", camera=self._camera.name, **seen)

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            self._send(told)

    def heard(self, told: report.AloneLine | report.ShownLine, at_ms: int) -> None:
        """What core said of this camera at that moment. By the inferring thread."""
        if isinstance(told, report.AloneLine):
            self._asking.alone_here = self._camera.name in told.cameras
        elif told.camera == self._camera.name:
            self._asking.answered(told.ask, at_ms, shown=told.shown)

    def frame(self, frame: RawFrame) -> Told | None:
        """One frame, from its bytes to what is to be told; bytes and pixels are overwritten. Raises VisionError."""
        try:
            picture = decode(frame.data, frame.name, max_bytes=MAX_FRAME_BYTES)
        finally:
            frame.forget()
        try:
            self._begin_anew_at_a_claim()
            return self._take(picture, frame.seen_ms)
        finally:
            picture.fill(0)

    def _begin_anew_at_a_claim(self) -> None:
        """A card was shown, or its time is over: whoever stands there is compared otherwise from now on, and whoever
        was told of already is told of again."""
        claimed = self._enrolled.claimed(self._camera.name)
        if claimed != self._claimed:
            self._claimed = claimed
            self._stop_asking("a card was shown", gone=True)
            if claimed is not None:
                self._encounters.reset()
            else:
                self._encounters.broken()

    def nobody_there(self) -> None:
        """Pictures stopped: forget whoever was there."""
        self._stop_asking("pictures stopped", gone=True)
        self._encounters.reset()
        self._forget()

    def _take(self, picture: Picture, seen_ms: int) -> Told | None:
        seen = self._reader.nearest(picture)
        if seen is None:
            self._nothing_seen(seen_ms)
            return None
        self._clean = False
        try:
            step = self._encounters.face(seen_ms, seen.face.box)
            self._stop_asking_if_broken()
            if step is Step.ONLY_WATCH:
                return None
            if BETWEEN_PEOPLE & set(seen.quality.problems):
                self._encounters.broken()
                self._stop_asking_if_broken()
                return None
            if self._encounters.wants_look(seen_ms):
                patch = patch_of(picture, seen.face.box)
                self._encounters.look(Look(seen_ms, seen.face.mesh.copy(), seen.face.box, patch))
            if self._asking.holder is not None:
                return self._while_asked(self._asking.holder, picture, seen, seen_ms)
            return self._compare(picture, seen, seen_ms)
        finally:
            for left in (seen.aligned, seen.face.mesh, seen.face.points):
                left.fill(0)

    def _nothing_seen(self, seen_ms: int) -> None:
        """No face in a frame, or no frame that could be read."""
        self._encounters.nobody(seen_ms)
        self._stop_asking_if_broken()
        self._forget()

    def _compare(self, picture: Picture, seen: Seen, seen_ms: int) -> Told | None:
        if seen.quality.problems:
            return None
        probe = self._reader.embed_seen(picture, seen)
        candidate, claimed = self._enrolled.candidate(self._camera.name, probe)
        probe.fill(0)
        looks = self._encounters.compared(seen_ms, candidate)
        if not looks:
            return None
        if self._asking.kinds(claimed=claimed):
            return self._ask(candidate, seen_ms, claimed=claimed)
        verdict = self._judge(looks)
        matched = self._encounters.judged(seen_ms, verdict, claimed=claimed)
        return None if matched is None else self._line(matched, seen_ms)

    def _ask(self, candidate: Candidate | None, seen_ms: int, *, claimed: bool) -> Told | None:
        """The frames agree: ask for something before anything is believed."""
        if candidate is None or not self._encounters.stands(seen_ms):
            return None
        ask = self._asking.begin(candidate.holder, seen_ms, claimed=claimed)
        if ask is None:
            self._waiting.append(FaceAskOver(self._camera.name, os.urandom(8).hex(), done=False, gone=False))
            return self._final(Verdict(False, (TOO_MANY_TRIES,), {}), seen_ms, claimed=claimed)
        self._encounters.ask()
        self._followed_ms = seen_ms
        log.info("something is asked for", camera=self._camera.name, steps=len(ask.steps), slots=len(ask.slots))
        return ask

    def _while_asked(self, holder: str, picture: Picture, seen: Seen, seen_ms: int) -> Told | None:
        """One frame of a face that is being asked: is it still the holder's, is it over, was it done?"""
        claimed = self._asking.claimed
        if self._asking.refused(seen_ms):
            return self._final(Verdict(False, (NOT_ASKED,), {}), seen_ms, claimed=claimed)
        if seen_ms - self._followed_ms > UNFOLLOWED_MS:
            self._encounters.broken()
            self._stop_asking("nobody could say whose face it was")
            return None
        if self._asking.due(seen_ms):
            looks = self._encounters.asked_looks()
            verdict = Verdict(False, (NOT_ENOUGH_EVIDENCE,), {})
            if looks:
                verdict = self._judge(looks, self._asking.challenge(), light=self._asking.light())
            judged_ms = self._enrolled.now_ms()
            if seen_ms < judged_ms <= seen_ms + JUDGED_WITHIN_MS:
                seen_ms = judged_ms
                self._encounters.looked_until(judged_ms)
            return self._final(verdict, seen_ms, claimed=claimed)
        quality = seen.quality
        if quality.problems or abs(quality.yaw_deg) > ASKED_TURN_DEG:
            return None
        probe = self._reader.embed_seen(picture, seen)
        candidate, _ = self._enrolled.candidate(self._camera.name, probe)
        same = self._enrolled.follows(self._camera.name, holder, probe, claimed=claimed)
        probe.fill(0)
        if not self._encounters.followed(candidate, same=same, shown=self._asking.begins_ms is not None):
            self._stop_asking("another face")
        else:
            self._followed_ms = seen_ms
        return None

    def _final(self, verdict: Verdict, seen_ms: int, *, claimed: bool) -> Told | None:
        """The encounter's one answer; what was asked for is over with it."""
        over, done = self._asking.end(done=verdict.bona_fide)
        if over is not None:
            self._waiting.append(over)
        matched = self._encounters.judged(seen_ms, verdict, claimed=claimed, final=True)
        return None if matched is None else self._line(matched, seen_ms, done)

    def _stop_asking_if_broken(self) -> None:
        """The evidence began anew: whoever was asked is not there any more, or not alone."""
        if self._asking.holder is not None and not self._encounters.asked:
            self._stop_asking("a gap, a jump or a second face", gone=True)

    def _stop_asking(self, why: str, *, gone: bool = False) -> None:
        over, _ = self._asking.end(done=False, gone=gone)
        if over is not None:
            self._waiting.append(over)
            log.info("asking was broken off", camera=self._camera.name, why=why)

    def _line(self, matched: Matched, seen_ms: int, asked: tuple[str, ...] = ()) -> Told:
        verdict, embedder = matched.verdict, self._reader.embedder
        if verdict.attack is not None:
            return FaceAttack(self._camera.name, verdict.attack, seen_ms)
        said = (matched.holder, matched.similarity, matched.margin, matched.claimed, verdict.bona_fide, verdict.reasons)
        return FaceSeen(self._camera.name, *said, seen_ms, embedder.name, embedder.sha256, asked)

    def _forget(self) -> None:
        if not self._clean:
            self._reader.forget()
            self._clean = True
