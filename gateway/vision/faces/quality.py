"""Whether a face can be compared, and what a person can do if not. Pure: a picture and a face in, measures out.

No measure says anything about who the person is. Limits were set at about the first percentile of LFW portraits
(docs/faces.md, "Quality"), so that a passable picture is not sent back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import atan2, ceil, degrees, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces.face import LEFT_EYE, LEFT_MOUTH, RIGHT_EYE, RIGHT_MOUTH, Face
from gateway.vision.picture import Picture


class Problem(StrEnum):
    """What is wrong with a picture of a face."""

    NO_FACE = "no-face"
    TWO_FACES = "two-faces"
    CUT_OFF = "cut-off"
    TOO_FAR = "too-far"
    TURNED = "turned"
    NODDED = "nodded"
    TILTED = "tilted"
    DARK = "dark"
    BRIGHT = "bright"
    BACK_LIT = "back-lit"
    BLURRED = "blurred"
    EYES_COVERED = "eyes-covered"
    MOUTH_COVERED = "mouth-covered"
    UNSURE = "unsure"


SENTENCES: dict[Problem, dict[str, str]] = {
    Problem.NO_FACE: {
        "zh-CN": "没有看到人脸，请正对镜头。",
        "en": "No face is seen; face the camera.",
    },
    Problem.TWO_FACES: {
        "zh-CN": "画面里不止一个人，请一个人站到镜头前。",
        "en": "More than one face; come one at a time.",
    },
    Problem.CUT_OFF: {
        "zh-CN": "脸没有完全进入画面，请站到中间。",
        "en": "The face is cut off; stand in the middle.",
    },
    Problem.TOO_FAR: {
        "zh-CN": "离镜头太远，请走近一些。",
        "en": "Too far away; come closer.",
    },
    Problem.TURNED: {
        "zh-CN": "脸转向了一侧，请看镜头。",
        "en": "The head is turned away; look at the camera.",
    },
    Problem.NODDED: {
        "zh-CN": "抬头或低头太多，请平视镜头。",
        "en": "The head is raised or lowered; look straight ahead.",
    },
    Problem.TILTED: {
        "zh-CN": "头歪了，请摆正。",
        "en": "The head is tilted; hold it upright.",
    },
    Problem.DARK: {
        "zh-CN": "光线太暗，请到亮处。",
        "en": "Too dark; find more light.",
    },
    Problem.BRIGHT: {
        "zh-CN": "光线太强，请避开直射光。",
        "en": "Too bright; avoid the direct light.",
    },
    Problem.BACK_LIT: {
        "zh-CN": "背后光线太强，请换个方向。",
        "en": "The light is behind you; turn towards it.",
    },
    Problem.BLURRED: {
        "zh-CN": "画面模糊，请站稳或擦拭镜头。",
        "en": "The picture is blurred; hold still or wipe the lens.",
    },
    Problem.EYES_COVERED: {
        "zh-CN": "眼睛被遮住，请摘下墨镜或拨开头发。",
        "en": "The eyes are covered; take off what covers them.",
    },
    Problem.MOUTH_COVERED: {
        "zh-CN": "口鼻被遮住，请摘下口罩。",
        "en": "The mouth is covered; take off the mask.",
    },
    Problem.UNSURE: {
        "zh-CN": "看不清五官，请正对镜头、不要遮挡。",
        "en": "The features are not clear; face the camera, uncovered.",
    },
}

MIN_EYES_PX = 24.0  # between the eyes in the frame; the aligned crop has 33
MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG = 45.0, 35.0, 35.0
MIN_LIGHT, MAX_LIGHT = 45.0, 215.0  # mean grey of the face, 0..255
MAX_CLIPPED = 0.35  # share of the face's pixels that are black or white
BACK_LIT_TIMES, BACK_LIT_BELOW = 2.2, 90.0  # the frame this much lighter than a face darker than that
MIN_SHARPNESS = 0.19
MIN_EYE_DETAIL = 0.3  # detail about the eyes (or mouth) in parts of the cheeks' and brow's
MIN_MOUTH_DETAIL = 0.3
MIN_PRESENCE = 0.5
MAX_APART = 0.16  # the mesh's two looks, in parts of the distance between the eyes
_BANDS = np.s_[40:106, 20:92]  # of the aligned crop: forehead to chin, temple to temple
SECOND_FACE = 0.6  # a second face at least this wide, in parts of the first, is a second person


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of one face, and what is wrong with it (nothing: it can be compared)."""

    eyes_px: float
    sharpness: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    light: float
    clipped: float
    backlight: float
    eye_detail: float
    mouth_detail: float
    apart: float
    presence: float
    problems: tuple[Problem, ...]

    @property
    def score(self) -> float:
        """0..1 for a list of pictures to choose from: how far the worst measure is from its limit."""
        sides = (
            self.eyes_px / (3 * MIN_EYES_PX),
            self.sharpness / (2 * MIN_SHARPNESS),
            1 - abs(self.yaw_deg) / MAX_YAW_DEG,
            1 - abs(self.pitch_deg) / MAX_PITCH_DEG,
            1 - self.apart / MAX_APART,
        )
        return 0.0 if self.problems else float(np.clip(min(sides), 0, 1))


def measure(picture: Picture, face: Face, apart: float, aligned: Picture) -> Quality:
    """Measure one face. `apart`: how far the mesh's two looks disagree (mesh.landmarks); `aligned`: its crop."""
    eyes_px = float(np.linalg.norm(face.points[1] - face.points[0]))
    yaw, pitch, roll = pose(face.mesh)
    crop = cv2.cvtColor(aligned, cv2.COLOR_BGR2GRAY)
    inner = crop[28:104, 24:88].astype(np.float32)
    light = cv2.mean(inner)[0]
    clipped = np.count_nonzero((inner < 8) | (inner > 247)) / inner.size
    around = _mean(picture)
    eyes, mouth = _details(crop)
    sizes = (eyes_px, _sharpness(inner), yaw, pitch, roll, light, clipped, around / max(1.0, light))
    measured = Quality(*sizes, eyes, mouth, apart, face.presence, ())
    problems = tuple(_problems(measured, _is_cut_off(picture, face.points)))
    crop.fill(0)
    inner.fill(0)
    return Quality(*sizes, eyes, mouth, apart, face.presence, problems)


def crowd(widths: Sequence[float]) -> Problem | None:
    """What the number of faces says; `widths` of all faces of a picture, the widest first."""
    if not widths:
        return Problem.NO_FACE
    if len(widths) > 1 and widths[1] >= SECOND_FACE * widths[0]:
        return Problem.TWO_FACES
    return None


def pose(mesh: NDArray[np.float32]) -> tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees from the mesh's own depth: 0 looks at the camera, yaw > 0 to the picture's right.

    Rough (the mesh's depth is learned, not measured): good for "look at the camera", for no more.
    """
    spots = mesh[[*RIGHT_EYE, *LEFT_EYE, *RIGHT_MOUTH, *LEFT_MOUTH, 152, 10]]  # the last: chin, top of the forehead
    x, y, z = ((spots[0] + spots[1] - spots[2] - spots[3]) / 2 + spots[4] - spots[5]).tolist()
    aside, down, deep = (spots[6] - spots[7]).tolist()
    return degrees(atan2(z, hypot(x, y))), degrees(atan2(deep, hypot(aside, down))), degrees(atan2(y, x))


def _problems(q: Quality, cut_off: bool) -> list[Problem]:
    dark_before_light = q.light < BACK_LIT_BELOW and q.backlight > BACK_LIT_TIMES
    found = {
        Problem.CUT_OFF: cut_off,
        Problem.TOO_FAR: q.eyes_px < MIN_EYES_PX,
        Problem.TURNED: abs(q.yaw_deg) > MAX_YAW_DEG,
        Problem.NODDED: abs(q.pitch_deg) > MAX_PITCH_DEG,
        Problem.TILTED: abs(q.roll_deg) > MAX_ROLL_DEG,
        Problem.BACK_LIT: dark_before_light,
        Problem.DARK: q.light < MIN_LIGHT and not dark_before_light,
        Problem.BRIGHT: q.light > MAX_LIGHT or (q.clipped > MAX_CLIPPED and q.light > 128),
        Problem.BLURRED: q.sharpness < MIN_SHARPNESS,
        Problem.EYES_COVERED: q.eye_detail < MIN_EYE_DETAIL,
        Problem.MOUTH_COVERED: q.mouth_detail < MIN_MOUTH_DETAIL,
        Problem.UNSURE: q.apart > MAX_APART or q.presence < MIN_PRESENCE,
    }
    return [problem for problem, is_so in found.items() if is_so]


def _is_cut_off(picture: Picture, points: NDArray[np.float32]) -> bool:
    high, wide = picture.shape[:2]
    xs, ys = points.T.tolist()
    return min(xs) < 0 or min(ys) < 0 or max(xs) >= wide or max(ys) >= high


def _mean(picture: Picture) -> float:
    """Every n-th pixel is enough for a mean."""
    high, wide = picture.shape[:2]
    step = max(1, max(high, wide) // 160)
    thinned = cv2.resize(picture, (ceil(wide / step), ceil(high / step)), interpolation=cv2.INTER_NEAREST)
    mean = sum(cv2.mean(thinned)[:3]) / 3
    thinned.fill(0)
    return float(mean)


def _sharpness(grey: NDArray[np.float32]) -> float:
    """The share of the gradients that one more blur takes away (Crete et al. 2007): little is left to take of a blurred
    picture, whatever its contrast."""
    steep, left = _steepness(grey), _steepness(cv2.blur(grey, (5, 5)))
    taken = cv2.mean(np.maximum(0, steep - left))[0]
    return taken / max(0.5, cv2.mean(steep)[0])


def _steepness(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *d, ksize=1) for d in ((1, 0), (0, 1)))
    np.abs(across, out=across)
    across += np.abs(down, out=down)
    return across


def _details(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """(eyes, mouth): mean vertical gradient in their bands against the cheeks' and forehead's, in the aligned crop.

    Lids, brows and lips are edges that run across; sunglasses and masks hide them, or put one edge in their place.
    """
    part = crop[_BANDS]  # the bands below and what the blur and the gradient reach beyond them
    smooth = cv2.GaussianBlur(part, (0, 0), 1.2)
    steep = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    np.abs(steep, out=steep)
    floor = 2.0 + 0.02 * cv2.mean(crop)[0]
    calm = _at_share(0.5, steep[20:38, 6:20], steep[20:38, 52:66]) + floor
    eyes = _at_share(0.6, steep[6:19, 11:27], steep[6:19, 45:61])
    mouth = _at_share(0.75, steep[40:60, 20:52])
    return eyes / calm / 3, mouth / calm / 3


def _at_share(share: float, *parts: NDArray[np.float32]) -> float:
    """The value below which this share of all of them lies (numpy.percentile's linear method, a tenth of its time)."""
    ordered = np.sort(np.concatenate([part.ravel() for part in parts]))
    place = share * (len(ordered) - 1)
    low, high = float(ordered[int(place)]), float(ordered[ceil(place)])
    return low + (high - low) * (place - int(place))
