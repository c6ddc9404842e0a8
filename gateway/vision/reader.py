"""A picture to plates: detect, rectify, read, check. The one place where the stages meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision import grammar, published, two_rows, views
from gateway.vision import quad as geometry
from gateway.vision.detect import MOST_LOOKS, ONE_LOOK, Found, Looks, detect
from gateway.vision.models import MANIFEST, Entry, Model, verified
from gateway.vision.models import published as published_model
from gateway.vision.picture import Picture
from gateway.vision.quad import Quad
from gateway.vision.runtime import Net
from gateway.vision.text import (
    IS_A_PLATE,
    UNREADABLE,
    Alphabet,
    Evidence,
    Reading,
    decide,
    looks_like_a_plate,
    of_columns,
    of_own,
)

DETECTOR, READER = "plate-detector", "plate-reader"


@dataclass(frozen=True, slots=True)
class PlateFound:
    """One plate in a picture. `detected` is the detector's score, None where the picture was said to be one plate."""

    reading: Reading
    corners: Quad
    detected: float | None

    @property
    def box(self) -> tuple[int, int, int, int]:
        return geometry.box(self.corners)


class PublishedNets:
    """The published detector and reader beside our own: both detectors look, both readers vote."""

    def __init__(self, detector: Model, reader: Model, *, threads: int = 1) -> None:
        """Raises VisionError where a model does not fit what its manifest says."""
        self.detector_net = Net(detector.content, detector.entry.name, threads=threads)
        self.reader_net = Net(reader.content, reader.entry.name, threads=threads)
        for net, model in ((self.detector_net, detector), (self.reader_net, reader)):
            _check(net, model.entry)
        self.entry = reader.entry
        self.alphabet = Alphabet(reader.entry.characters)


class PlateReader:
    """The nets, loaded from verified files. Not for use from two threads at once."""

    def __init__(
        self,
        detector: Model,
        reader: Model,
        *,
        threads: int = 1,
        others: PublishedNets | None = None,
        own_votes: bool = True,
    ) -> None:
        """`own_votes` False: where others read, ours only says the kind. Raises VisionError where a model does not fit
        what the manifest says of it."""
        self._others, self._own_votes = others, own_votes or others is None
        # Which model an observation names: the published reader wherever it has a say. In a vote it decides alone
        # where it is sure, and ours comes with this version of the package anyway.
        self.entry: Entry = reader.entry if others is None else others.entry
        self.detector_net = Net(detector.content, detector.entry.name, threads=threads)
        self.reader_net = Net(reader.content, reader.entry.name, threads=threads)
        for net, model in ((self.detector_net, detector), (self.reader_net, reader)):
            _check(net, model.entry)
        self._alphabet = Alphabet(reader.entry.characters)
        self._kinds = reader.entry.kinds
        self._knows_two_rows = any(kind in grammar.TWO_ROWS for kind in self._kinds)

    def find(self, picture: Picture, looks: Looks = ONE_LOOK, *, thorough: bool = False) -> list[PlateFound]:
        """Every plate in a picture, refused readings included, likeliest first.

        Where both detectors see a plate, a still picture (`thorough`) is read by the corners of both and the better
        reading counts.
        """
        found: list[PlateFound] = []
        for one in self._detect(picture, looks, thorough=thorough):
            readings = [
                self.read_cut(cut, thorough=thorough, in_two_rows=in_two_rows)
                for cut, in_two_rows in self._cuts(picture, one.corners)
            ]
            found.append(PlateFound(max(readings, key=_worth), one.corners, one.score))
        found.sort(key=lambda f: _worth(f.reading), reverse=True)
        return [one for n, one in enumerate(found) if not any(_same_plate(one, better) for better in found[:n])]

    def read_cropped(self, picture: Picture) -> PlateFound:
        """The whole picture is one plate, perhaps tilted: read as it is and, where corners are found, also rectified;
        all views count the same."""
        high, wide = picture.shape[:2]
        whole = np.float32([[0, 0], [wide, 0], [wide, high], [0, high]])
        _, net_high, net_wide, _ = self.reader_net.input_shape
        how = cv2.INTER_AREA if wide > net_wide else cv2.INTER_LINEAR
        shrunk = cv2.resize(picture, (net_wide, net_high), interpolation=how)
        border = (high, high, wide // 2, wide // 2)
        padded = cv2.copyMakeBorder(picture, *border, cv2.BORDER_REPLICATE)
        also = [
            view
            for one in detect(self.detector_net, padded)[:1]
            for view in views.seen(geometry.rectify(padded, one.corners, (net_wide, net_high)), views.SHIFTS)
        ]
        return PlateFound(self.read_cut(shrunk, thorough=True, also=also, least=IS_A_PLATE), whole, None)

    def read_cut(
        self,
        cut: Picture,
        *,
        thorough: bool = False,
        in_two_rows: bool = False,
        also: Sequence[Picture] = (),
        least: float = UNREADABLE,
    ) -> Reading:
        """One rectified plate of exactly the reader's input size; two rows side by side. Others as in `evidence` and
        `decide`."""
        evidence, kinds = self.evidence(cut, thorough=thorough, in_two_rows=in_two_rows, also=also)
        return decide(evidence, kinds, least=least)

    def evidence(
        self, cut: Picture, *, thorough: bool = False, in_two_rows: bool = False, also: Sequence[Picture] = ()
    ) -> tuple[list[Evidence], dict[str, float]]:
        """What each reader that votes saw in a cut, the published one first, and the probability of each kind.

        thorough: seen from around, too, and in the cuts `also`, where the first view looks like a plate at all.
        """
        first = self.reader_net.run(cut)
        odds = zip(self._kinds, first["kind"], strict=True)
        kinds = {kind: float(p) for kind, p in odds if (kind in grammar.TWO_ROWS) is in_two_rows}
        around = [*views.seen(cut, views.VIEWS[1:]), *also] if thorough else []
        evidence = []
        if self._others is not None:
            net, alphabet = self._others.reader_net, self._others.alphabet
            found = published.columns(net, [cut])
            if around and looks_like_a_plate(alphabet, found[0]):
                found += published.columns(net, around)
            evidence.append(of_columns(alphabet, found))
        if self._own_votes:
            outputs = [first]
            if around and looks_like_a_plate(self._alphabet, first["columns"]):
                outputs += [self.reader_net.run(view) for view in around]
            evidence.append(of_own(self._alphabet, [(one["columns"], one["slots"]) for one in outputs]))
        return evidence, kinds

    def _cuts(self, picture: Picture, corners: Quad) -> Iterator[tuple[Picture, bool]]:
        """The plate at the reader's size, and whether it was taken for one of two rows; both where it may be either."""
        _, high, wide, _ = self.reader_net.input_shape
        shape = geometry.width(corners) / max(1e-3, geometry.height(corners))
        if shape > two_rows.SURELY_TWO or not self._knows_two_rows:
            yield geometry.rectify(picture, corners, (wide, high)), False
        if shape < two_rows.SURELY_ONE and self._knows_two_rows:
            cut = geometry.rectify(picture, corners, (wide, 2 * high))
            yield two_rows.side_by_side(cut, (wide, high)), True

    def _detect(self, picture: Picture, looks: Looks, *, thorough: bool) -> list[Found]:
        """Ours first. In a moving picture the published one, which costs five times as much, is asked only where ours
        finds nothing; in a still both look."""
        found = detect(self.detector_net, picture, looks, thorough=thorough)
        if self._others is None or (found and not thorough):
            return found
        others = published.find(self._others.detector_net, picture)
        return [*found, *others[:MOST_LOOKS]] if thorough else others[:MOST_LOOKS]


def _same_plate(one: PlateFound, other: PlateFound) -> bool:
    apart = np.abs(one.corners.mean(axis=0) - other.corners.mean(axis=0)).max()
    return bool(apart <= geometry.width(other.corners) / 2)


def _worth(reading: Reading) -> tuple[bool, float]:
    return reading.refused is None, reading.score


def _check(net: Net, entry: Entry) -> None:
    if net.input_shape != entry.input or net.output_names != frozenset(entry.outputs):
        raise VisionError(f"model {entry.name}: its tensors are not those of the manifest; install the package again")


def load_default(*, threads: int = 1) -> PlateReader:
    """The models that ship with the package, verified. Raises VisionError, ConfigError."""
    return PlateReader(verified(DETECTOR, MANIFEST), verified(READER, MANIFEST), threads=threads)


def load_vote(*, threads: int = 1, must_be_accepted: bool, own_votes: bool = True) -> PlateReader:
    """Ours and the published ones together. Raises VisionError where those are not here, not accepted or damaged."""
    detector, reader = (
        published_model(name, must_be_accepted=must_be_accepted) for name in (published.DETECTOR, published.READER)
    )
    others = PublishedNets(detector, reader, threads=threads)
    own = verified(DETECTOR, MANIFEST), verified(READER, MANIFEST)
    return PlateReader(*own, threads=threads, others=others, own_votes=own_votes)
