"""What was read, drawn into the picture: corners, text, kind and score. Uses the plate fonts that ship with `sim`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.errors import VisionError
from gateway.vision.picture import Picture

if TYPE_CHECKING:
    from gateway.vision.reader import PlateFound

READ, REFUSED, PAPER, INK = (60, 170, 40), (40, 60, 220), (255, 255, 255), (30, 30, 30)  # BGR
LETTER_SHARE = 0.032  # height of the lettering, of the picture's longer side
LEAST_LETTER_PX = 14


def write(picture: Picture, found: Sequence[PlateFound], source: Path, folder: Path) -> Path:
    """Save the annotated picture as `<name>-read.jpg` in `folder`, never over another picture.

    Raises VisionError where it cannot be written.
    """
    ok, data = cv2.imencode(".jpg", annotated(picture, found), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not ok:
        raise VisionError(f"{source}: the annotated picture cannot be encoded; give a smaller picture")
    number = 0
    while True:
        path = folder / f"{source.stem}-read{f'-{number}' if number else ''}.jpg"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data.tobytes())
        except FileExistsError:
            number += 1
            continue
        except OSError as e:
            raise VisionError(f"{path}: cannot be written ({e.strerror}); give --draw another folder") from e
        return path


def annotated(picture: Picture, found: Sequence[PlateFound]) -> Picture:
    """A copy of the picture with every plate outlined and labelled; green was read, red was refused."""
    drawn = picture.copy()
    letter = max(LEAST_LETTER_PX, round(max(picture.shape[:2]) * LETTER_SHARE))
    taken: list[tuple[int, int, int, int]] = []
    for one in found:
        colour = READ if one.reading.refused is None else REFUSED
        corners = one.corners.round().astype(np.int32)
        cv2.polylines(drawn, [corners], True, colour, max(2, letter // 10), cv2.LINE_AA)
        label = _label(one, letter, colour)
        x, y = _place(label.shape, corners, drawn.shape, taken)
        high, wide = min(label.shape[0], drawn.shape[0] - y), min(label.shape[1], drawn.shape[1] - x)
        drawn[y : y + high, x : x + wide] = label[:high, :wide]
        taken.append((x, y, wide, high))
    return drawn


def _label(one: PlateFound, letter: int, colour: tuple[int, int, int]) -> Picture:
    reading = one.reading
    head = _lettering(reading.text, letter)
    if reading.refused is None:
        note = f"{reading.kind}  {reading.score:.2f}"
    else:
        note = f"refused: {reading.refused.name.lower()}"
    scale = letter / 42
    (wide, high), _ = cv2.getTextSize(note, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    pad = max(3, letter // 5)
    size = (head.shape[0] + high + 3 * pad, max(head.shape[1], wide) + 2 * pad, 3)
    label = np.full(size, PAPER, np.uint8)
    label[pad : pad + head.shape[0], pad : pad + head.shape[1]] = head
    at = (pad, size[0] - pad)
    cv2.putText(label, note, at, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, max(1, letter // 22), cv2.LINE_AA)
    cv2.rectangle(label, (0, 0), (size[1] - 1, size[0] - 1), colour, max(2, letter // 10))
    return label


def _lettering(text: str, letter: int) -> Picture:
    """Black characters on white, `letter` pixels high; a character without a shape is a box."""
    glyphs, gap = _glyphs(), max(1, letter // 8)
    strip = [np.zeros((letter, gap), np.uint8)]
    for character in text:
        try:
            mask = glyphs(character)
        except ValueError:
            mask = np.zeros((10, 6), np.uint8)
            mask[[0, -1], :] = mask[:, [0, -1]] = 255
        wide = max(2, round(letter * min(1.2, mask.shape[1] / mask.shape[0])))
        strip += [cv2.resize(mask, (wide, letter), interpolation=cv2.INTER_AREA), np.zeros((letter, gap), np.uint8)]
    ink = np.hstack(strip).astype(np.float32)[..., None] / 255
    return (np.float32(PAPER) * (1 - ink) + np.float32(INK) * ink).astype(np.uint8)


def _glyphs() -> Callable[[str], NDArray[np.uint8]]:
    try:
        from sim.render.glyphs import bundled
    except ModuleNotFoundError as e:
        raise VisionError(
            f"--draw needs the plate fonts of the simulator ({e.name} is missing); pip install zhian[sim]"
        ) from e
    return bundled()


def _place(
    label: tuple[int, ...], corners: np.ndarray, picture: tuple[int, ...], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int]:
    """Above the plate, else below, else wherever rows are free; never outside the picture."""
    high, wide = label[:2]
    x = int(np.clip(corners[:, 0].min(), 0, max(0, picture[1] - wide)))
    above, below = int(corners[:, 1].min()) - high - 6, int(corners[:, 1].max()) + 6
    for y in (above, below, *range(0, max(1, picture[0] - high), max(1, high))):
        free = all(x >= tx + tw or x + wide <= tx or y >= ty + th or y + high <= ty for tx, ty, tw, th in taken)
        if 0 <= y <= picture[0] - high and free:
            return x, y
    return x, int(np.clip(above, 0, max(0, picture[0] - high)))
