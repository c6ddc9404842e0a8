"""Each way in which a picture of a face is no good has its own word, and a sentence in both languages."""

import cv2
import numpy as np
import pytest
from conftest import pixels

from gateway.vision.faces.quality import SENTENCES, Problem, crowd


def problems(reader, picture):
    seen = reader.nearest(np.ascontiguousarray(picture))
    return {Problem.NO_FACE} if seen is None else set(seen.quality.problems)


def covered(frame, eyes):
    """The drawn person with dark glasses, or a mask."""
    picture, mesh = pixels(frame), frame.mesh
    left, right = mesh[[33, 133], :2].mean(0), mesh[[362, 263], :2].mean(0)
    apart = float(np.linalg.norm(right - left))
    if eyes:
        for x, y in (left, right):
            cv2.ellipse(picture, (int(x), int(y)), (int(0.42 * apart), int(0.3 * apart)), 0, 0, 360, (25, 25, 25), -1)
        return picture
    x, y = mesh[[61, 291], :2].mean(0)
    corner = (int(x - 0.75 * apart), int(y - 0.55 * apart)), (int(x + 0.75 * apart), int(y + 0.6 * apart))
    cv2.rectangle(picture, *corner, (200, 190, 170), -1)
    return picture


def test_a_good_picture_has_no_problem(reader, holder, stranger):
    for frame in (*holder[:2], *stranger[:2]):
        seen = reader.nearest(pixels(frame))
        assert seen.quality.problems == ()
        assert 0 < seen.quality.score <= 1


def test_none_and_two(reader, holder, stranger):
    assert problems(reader, np.full((200, 200, 3), 120, np.uint8)) == {Problem.NO_FACE}
    assert Problem.TWO_FACES in problems(reader, np.hstack([pixels(holder[0]), pixels(holder[0])]))
    assert crowd([100, 40]) is None  # somebody far behind
    assert crowd([100, 70]) is Problem.TWO_FACES
    assert crowd([]) is Problem.NO_FACE


def test_light(reader, holder):
    picture = pixels(holder[0]).astype(np.float32)
    assert Problem.DARK in problems(reader, (picture * 0.3).astype(np.uint8))
    assert Problem.BRIGHT in problems(reader, np.clip(picture * 2.2 + 110, 0, 255).astype(np.uint8))
    bright = np.full((600, 600, 3), 250, np.uint8)  # a person before a window
    bright[120:480, 120:480] = (picture * 0.55).astype(np.uint8)
    assert Problem.BACK_LIT in problems(reader, bright)


def test_too_far_and_blurred_and_cut_off(reader, holder):
    picture, mesh = pixels(holder[0]), holder[0].mesh
    eyes = int(mesh[33, 0]) + 12, int(mesh[263, 0]) - 12  # the frame's edge goes through an eye
    assert Problem.TOO_FAR in problems(reader, cv2.resize(picture, (110, 110), interpolation=cv2.INTER_AREA))
    assert Problem.BLURRED in problems(reader, cv2.GaussianBlur(picture, (0, 0), 6))
    assert Problem.CUT_OFF in problems(reader, picture[:, eyes[0] :]) | problems(reader, picture[:, : eyes[1]])


def test_glasses_and_mask(reader, holder, stranger):
    for frame in (holder[0], stranger[0]):
        assert Problem.EYES_COVERED in problems(reader, covered(frame, eyes=True))
        assert Problem.MOUTH_COVERED in problems(reader, covered(frame, eyes=False))


def test_a_tilted_head(reader, holder):
    matrix = cv2.getRotationMatrix2D((180, 180), 42, 1)
    turned = cv2.warpAffine(pixels(holder[0]), matrix, (360, 360), borderMode=cv2.BORDER_REPLICATE)
    assert Problem.TILTED in problems(reader, turned)


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_tells_a_person_what_to_do(problem):
    told = SENTENCES[problem]
    assert set(told) == {"zh-CN", "en"}
    assert told["zh-CN"].endswith("。")
    assert told["en"].endswith(".")
