"""A picture to a face that can be compared: detect, landmarks, quality, embedding, each once. It keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gateway.vision import models
from gateway.vision.faces import align, detect, mesh, quality
from gateway.vision.faces.embed import Embedder, Embedding, Preparation
from gateway.vision.faces.face import Face
from gateway.vision.faces.own_model import load_own
from gateway.vision.faces.quality import Problem, Quality
from gateway.vision.picture import Picture
from gateway.vision.runtime import Net

FILL = 0.94  # of the crop that quality is measured in, and of the published model
DETECTOR, MESH, EMBEDDER = "face-detector", "face-mesh", "face-embedder"


@dataclass(frozen=True, slots=True)
class Seen:
    """A face and its quality; `problems` of the whole picture (a second person) are among the face's. aligned: its crop
    as quality is measured in (align.SIDE pixels, FILL)."""

    face: Face
    quality: Quality
    aligned: Picture


@dataclass(frozen=True, slots=True)
class FaceReader:
    """The loaded models. Not for use from two threads at once."""

    detector: Net
    mesher: Net
    embedder: Embedder

    @property
    def invokes(self) -> int:
        """Of all three so far."""
        return self.detector.invokes + self.mesher.invokes + self.embedder.net.invokes

    @property
    def most_invokes(self) -> int:
        """Per picture of `nearest` and `embed`."""
        return detect.LOOKS_MAX + mesh.LOOKS + self.embedder.invokes_per_face

    def nearest(self, picture: Picture) -> Seen | None:
        """The widest face; None where there is none. A second one nearly as wide is a problem of the first."""
        found = detect.find(self.detector, picture)
        return self._seen(picture, found, 0) if found else None

    def all(self, picture: Picture, most: int = 4) -> list[Seen]:
        """The widest faces, at most `most`."""
        found = detect.find(self.detector, picture)
        return [self._seen(picture, found, at) for at in range(min(most, len(found)))]

    def embed(self, picture: Picture, face: Face) -> Embedding:
        """What is compared. float32, length one."""
        return self.embedder.embed(picture, face.points)

    def embed_seen(self, picture: Picture, seen: Seen) -> Embedding:
        """The same of a face just seen; its crop is not made twice where the model wants that very crop."""
        told = self.embedder.preparation
        if (told.fill, told.side) == (FILL, align.SIDE):
            return self.embedder.embed_aligned(seen.aligned)
        return self.embed(picture, seen.face)

    def forget(self) -> None:
        """Leave nothing of the last face in the nets' memory."""
        for net in (self.detector, self.mesher, self.embedder.net):
            net.forget()

    def _seen(self, picture: Picture, found: list[detect.Found], at: int) -> Seen:
        face, apart = mesh.landmarks(self.mesher, picture, found[at])
        aligned = align.crop(picture, face.points, FILL)
        measured = quality.measure(picture, face, apart, aligned)
        if quality.crowd([one.box[2] for one in found]) is Problem.TWO_FACES:
            measured = replace(measured, problems=(Problem.TWO_FACES, *measured.problems))
        return Seen(face, measured, aligned)


def load(*, own: Path | None = None, threads: int = 1, must_be_accepted: bool) -> FaceReader:
    """The fetched models, or the operator's embedding model (its TOML) with the fetched detector and mesh.

    Raises VisionError: not fetched, not accepted on a real site, not the measured file; ConfigError: a bad TOML.
    """
    nets = []
    for name in (DETECTOR, MESH):
        model = models.published(name, must_be_accepted=must_be_accepted)
        nets.append(Net(model.content, name, threads=threads))
    if own is not None:
        return FaceReader(nets[0], nets[1], load_own(own, threads=threads))
    model = models.published(EMBEDDER, must_be_accepted=must_be_accepted)
    net = Net(model.content, EMBEDDER, threads=threads)
    return FaceReader(nets[0], nets[1], Embedder(net, Preparation(), EMBEDDER, model.entry.sha256))
