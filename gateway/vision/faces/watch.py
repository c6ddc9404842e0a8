"""One camera that looks at faces: frames to at most one line per encounter. What matches nobody is overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from gateway.errors import VisionError
from gateway.vision.camera_folder import MAX_FRAME_BYTES, RawFrame
from gateway.vision.faces import report
from gateway.vision.faces.encounter import Encounters, Matched, Step
from gateway.vision.faces.gallery import Candidate, Gallery
from gateway.vision.faces.presentation import Judge, Look
from gateway.vision.faces.quality import Problem
from gateway.vision.faces.reader import FaceReader, Seen
from gateway.vision.faces.report import FaceAttack, FaceSeen
from gateway.vision.faces.threshold import Thresholds, Unsupported, threshold_for, verification_threshold
from gateway.vision.pad.look import patch_of
from gateway.vision.picture import Picture, decode
from runtime.log import get

QUIET_S = 0.5
MAX_CLAIMS = 64
MAX_CLAIM_MS = 60_000
BETWEEN_PEOPLE = frozenset({Problem.TWO_FACES})  # problems that may mean a change of person
Told = FaceSeen | FaceAttack
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
            told = report.parse(line)
            if isinstance(told, report.ClaimLine):
                self._claim(told)
            else:
                self._replace(told)
        except ValueError as e:
            log.warning("core's line was not used", why=str(e))

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
    ) -> None:
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
                async with asyncio.timeout(QUIET_S):
                    frame = await self._camera.next_frame()
            except TimeoutError:
                await loop.run_in_executor(self._inference, self.nobody_there)
                continue
            if not self._enrolled.asks(self._camera.name):
                frame.forget()
                continue
            try:
                told = await loop.run_in_executor(self._inference, self.frame, frame)
            except VisionError as e:
                self.bad += 1
                if self.bad & (self.bad - 1) == 0:  # 1st, 2nd, 4th, 8th ...: never a flood
                    log.warning("picture skipped", camera=self._camera.name, why=str(e), skipped=self.bad)
                continue
            if told is not None:
                self._send(told)
                seen = {"bona_fide": told.bona_fide, "reasons": told.pad_reasons} if isinstance(told, FaceSeen) else {}
                log.info("a holder's face was seen", camera=self._camera.name, **seen)

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
            if claimed is not None:
                self._encounters.reset()
            else:
                self._encounters.broken()

    def nobody_there(self) -> None:
        """Pictures stopped: forget whoever was there."""
        self._encounters.reset()
        self._forget()

    def _take(self, picture: Picture, seen_ms: int) -> Told | None:
        seen = self._reader.nearest(picture)
        if seen is None:
            self._encounters.nobody(seen_ms)
            self._forget()
            return None
        self._clean = False
        try:
            if self._encounters.face(seen_ms, seen.face.box) is Step.ONLY_WATCH:
                return None
            if BETWEEN_PEOPLE & set(seen.quality.problems):
                self._encounters.broken()
                return None
            return self._compare(picture, seen, seen_ms)
        finally:
            for left in (seen.aligned, seen.face.mesh, seen.face.points):
                left.fill(0)

    def _compare(self, picture: Picture, seen: Seen, seen_ms: int) -> Told | None:
        self._encounters.look(Look(seen_ms, seen.face.mesh.copy(), seen.face.box, patch_of(picture, seen.face.box)))
        if seen.quality.problems:
            return None
        probe = self._reader.embed_seen(picture, seen)
        candidate, claimed = self._enrolled.candidate(self._camera.name, probe)
        probe.fill(0)
        looks = self._encounters.compared(seen_ms, candidate)
        if not looks:
            return None
        verdict = self._judge(looks)
        matched = self._encounters.judged(seen_ms, verdict, claimed=claimed)
        return None if matched is None else self._line(matched, seen_ms)

    def _line(self, matched: Matched, seen_ms: int) -> Told:
        verdict, embedder = matched.verdict, self._reader.embedder
        if verdict.attack is not None:
            return FaceAttack(self._camera.name, verdict.attack, seen_ms)
        said = (matched.holder, matched.similarity, matched.margin, matched.claimed, verdict.bona_fide, verdict.reasons)
        return FaceSeen(self._camera.name, *said, seen_ms, embedder.name, embedder.sha256)

    def _forget(self) -> None:
        if not self._clean:
            self._reader.forget()
            self._clean = True
