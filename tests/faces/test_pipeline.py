"""Detect, landmarks, align, embed: on drawn heads whose true landmarks are known."""

import cv2
import numpy as np
import pytest
from conftest import pixels

from gateway.vision.faces import align, detect
from gateway.vision.faces.face import five_points
from gateway.vision.runtime import numbers_of


def test_landmarks_lie_where_they_were_drawn(reader, holder):
    for frame in holder:
        face = reader.nearest(pixels(frame)).face
        truth = five_points(frame.mesh)
        apart = np.linalg.norm(face.points - truth, axis=1) / np.linalg.norm(truth[1] - truth[0])
        assert apart.max() < 0.12, apart
        assert face.mesh.shape == (468, 3)
        assert face.presence > 0.9


def test_a_far_face_in_a_wide_frame_is_found_by_a_closer_look(reader, holder):
    wide = np.full((1080, 1920, 3), 90, np.uint8)
    wide[400:640, 840:1080] = cv2.resize(pixels(holder[0]), (240, 240), interpolation=cv2.INTER_AREA)
    before = reader.invokes
    seen = reader.nearest(wide)
    assert seen is not None
    x, y, w, h = seen.face.box
    assert 840 < x + w / 2 < 1080
    assert 400 < y + h / 2 < 640
    reader.embed(wide, seen.face)
    assert reader.invokes - before <= reader.most_invokes


def test_noise_has_no_face_and_costs_a_bounded_number_of_looks(reader):
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    before = reader.detector.invokes
    assert reader.nearest(noise) is None
    assert reader.detector.invokes - before <= detect.LOOKS_MAX


def test_a_person_resembles_themselves_and_not_another(reader, holder, stranger):
    own = [reader.embed(pixels(f), reader.nearest(pixels(f)).face) for f in holder[:3]]
    other = reader.embed(pixels(stranger[0]), reader.nearest(pixels(stranger[0])).face)
    assert min(own[0] @ own[1], own[1] @ own[2]) > 0.9
    assert max(v @ other for v in own) < 0.5
    assert [float(np.linalg.norm(v)) for v in own] == pytest.approx([1, 1, 1], abs=1e-5)


@pytest.mark.parametrize("times", [0.5, 3.0])
def test_the_size_of_the_picture_does_not_matter(reader, holder, times):
    picture = pixels(holder[0])
    how = cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC
    other = cv2.resize(picture, None, fx=times, fy=times, interpolation=how)
    a, b = (reader.embed(p, reader.nearest(p).face) for p in (picture, other))
    assert a @ b > 0.9


def test_a_turned_camera_does_not_matter(reader, holder):
    picture = pixels(holder[0])
    matrix = cv2.getRotationMatrix2D((180, 180), 20, 1)
    turned = cv2.warpAffine(picture, matrix, (360, 360), borderMode=cv2.BORDER_REPLICATE)
    a, b = (reader.embed(p, reader.nearest(p).face) for p in (picture, turned))
    assert a @ b > 0.9


def test_alignment_finds_the_similarity_that_was_applied():
    angle, scale, move = 0.4, 1.7, np.array([12.0, -5.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = np.random.default_rng(2).uniform(0, 100, (5, 2))
    matrix = align.similarity(source, scale * source @ turn.T + move)
    assert matrix[:, :2] == pytest.approx(scale * turn)
    assert matrix[:, 2] == pytest.approx(move)
    mirrored = align.similarity(source, source * [-1, 1])
    assert np.linalg.det(mirrored[:, :2]) > 0  # a mirror image is never what a turn gives


@pytest.mark.parametrize("where", ["inside", "over the edge", "beyond it", "from far"])
def test_a_part_made_four_bytes_a_pixel_is_drawn_like_the_whole(where):
    picture = np.random.default_rng(3).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    moves = {"inside": (-200, -140), "over the edge": (-390, 20), "beyond it": (900, 0), "from far": (-20, -20)}
    scale = 0.2 if where == "from far" else 0.9
    matrix = np.array([[scale, -0.3 * scale, moves[where][0] * scale], [0.3 * scale, scale, moves[where][1] * scale]])
    matrix[0, 2] += 56
    whole = cv2.warpAffine(picture, matrix, (112, 112), flags=cv2.INTER_LINEAR)
    assert (whole.max() == 0) == (where == "beyond it")
    assert np.abs(align.drawn(picture, matrix, 112).astype(int) - whole).max() <= 2  # the last bits of a position
    assert np.abs(align.drawn(picture, matrix, 112, rgb=True).astype(int) - whole[..., ::-1]).max() <= 2


def test_pixels_written_into_a_net_are_what_it_would_be_given(reader):
    pixels_ = np.random.default_rng(4).integers(0, 255, (112, 112, 3), dtype=np.uint8)
    net = reader.embedder.net
    x = (pixels_.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)
    (direct,), (mirrored,) = (net.run_ready(v).values() for v in (x, cv2.flip(x, 1)))
    (told,) = net.run_pixels(pixels_, numbers_of(127.5, 1 / 128)).values()
    assert (told == direct).all()
    (told,) = net.run_mirrored().values()
    assert (told == mirrored).all()
    (told,) = net.run_mirrored().values()
    assert (told == direct).all()


def test_nothing_of_a_face_is_left_in_the_nets(reader, holder):
    picture = pixels(holder[0])
    empty = _embeds_nothing(reader)
    reader.embed(picture, reader.nearest(picture).face)
    reader.forget()
    assert _embeds_nothing(reader) == pytest.approx(empty)
    for net in (reader.detector, reader.mesher, reader.embedder.net):
        index = net._interpreter.get_input_details()[0]["index"]
        assert not net._interpreter.get_tensor(index).any()


def _embeds_nothing(reader):
    net = reader.embedder.net
    net.forget()
    return net._interpreter.get_tensor(net._interpreter.get_output_details()[0]["index"])[0]
