"""Whether a face can be compared, and what a person can do if not. Pure: a picture and a face in, measures out.

No measure says anything about who the person is. Limits were set at about the first percentile of LFW portraits
(docs/faces.md, "Quality"), so that a passable picture is not sent back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

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
    light, clipped = float(inner.mean()), float(((inner < 8) | (inner > 247)).mean())
    around = float(picture[:: _step(picture), :: _step(picture)].mean())
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
    across = mesh[list(RIGHT_EYE)].mean(0) - mesh[list(LEFT_EYE)].mean(0)
    across = across + mesh[list(RIGHT_MOUTH)].mean(0) - mesh[list(LEFT_MOUTH)].mean(0)
    down = mesh[152] - mesh[10]  # chin and top of the forehead
    yaw = np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = np.degrees(np.arctan2(down[2], np.hypot(down[0], down[1])))
    roll = np.degrees(np.arctan2(across[1], across[0]))
    return float(yaw), float(pitch), float(roll)


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
    return bool((points < 0).any() or (points[:, 0] >= wide).any() or (points[:, 1] >= high).any())


def _step(picture: Picture) -> int:
    """Every n-th pixel is enough for a mean."""
    return max(1, max(picture.shape[:2]) // 160)


def _sharpness(grey: NDArray[np.float32]) -> float:
    """The share of the gradients that one more blur takes away (Crete et al. 2007): little is left to take of a blurred
    picture, whatever its contrast."""
    blurred = cv2.blur(grey, (5, 5))
    steep, left = (
        sum(np.abs(cv2.Sobel(p, cv2.CV_32F, *d, ksize=1)) for d in ((1, 0), (0, 1))) for p in (grey, blurred)
    )
    return float(np.maximum(0, steep - left).mean() / max(0.5, float(steep.mean())))


def _details(crop: NDArray[np.uint8]) -> tuple[float, float]:
    """(eyes, mouth): mean vertical gradient in their bands against the cheeks' and forehead's, in the aligned crop.

    Lids, brows and lips are edges that run across; sunglasses and masks hide them, or put one edge in their place.
    """
    smooth = cv2.GaussianBlur(crop, (0, 0), 1.2).astype(np.float32)
    steep = np.abs(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3))
    floor = 2.0 + 0.02 * float(smooth.mean())
    calm = np.median(steep[60:78, np.r_[26:40, 72:86]]) + floor
    eyes = steep[46:59, np.r_[31:47, 65:81]]
    mouth = steep[80:100, 40:72]
    return float(np.percentile(eyes, 60) / calm / 3), float(np.percentile(mouth, 75) / calm / 3)
