"""Who is nearest, by how much, and whether that is near enough for so many people."""

import numpy as np
import pytest

from gateway.errors import VisionError
from gateway.vision.faces import threshold
from gateway.vision.faces.gallery import Gallery
from gateway.vision.faces.threshold import Row, Thresholds, Unsupported, threshold_for
from runtime.toml_file import load
from training.face_evidence import upper


def unit(*numbers):
    v = np.zeros(64, np.float32)
    v[: len(numbers)] = numbers
    return v / np.linalg.norm(v)


def test_nearest_holder_and_margin():
    gallery = Gallery.of(3, [("a", unit(1)), ("b", unit(0, 1)), ("a", unit(1, 0.2))])
    found = gallery.nearest(unit(1, 0.1))
    assert (found.holder, len(gallery), gallery.version) == ("a", 2, 3)
    assert found.similarity == pytest.approx(1, abs=1e-3)
    assert found.margin == pytest.approx(found.similarity - float(unit(1, 0.1) @ unit(0, 1)), abs=1e-5)


def test_several_references_are_one_direction_and_one_comparison():
    gallery = Gallery.of(1, [("a", 5 * unit(1, 0.5)), ("a", unit(1, -0.5))])
    assert gallery.vectors.shape == (1, 64)
    assert gallery.nearest(unit(1)).similarity == pytest.approx(1, abs=1e-6)
    assert gallery.nearest(unit(1)).margin == 2.0


def test_verify_looks_at_one_holder_alone():
    gallery = Gallery.of(1, [("a", unit(1)), ("b", unit(0, 1))])
    assert gallery.verify("b", unit(1)) == pytest.approx(0)
    assert gallery.verify("nobody", unit(1)) is None
    assert Gallery().nearest(unit(1)) is None


def test_forgetting_overwrites():
    gallery = Gallery.of(1, [("a", unit(1))])
    kept = gallery.vectors
    gallery.forget()
    assert not kept.any()
    assert len(gallery) == 0


@pytest.mark.parametrize(
    "bad", [np.zeros(64, np.float32), np.full(64, np.nan, np.float32), np.full(64, np.inf, np.float32)]
)
def test_a_reference_without_direction_is_refused(bad):
    with pytest.raises(ValueError, match="no direction"):
        Gallery.of(1, [("a", bad)])
    with pytest.raises(ValueError, match="all from one model"):
        Gallery.of(1, [("a", unit(1)), ("a", np.ones(32, np.float32))])


def row(size, fpir, similarity, strangers=300, taken=0):
    return Row(size, fpir, similarity, strangers, taken, upper(taken, strangers), 0.1)


TABLE = Thresholds(
    "0" * 64, "made up", 0.95, (row(1, 0.01, 0.4), row(10, 0.02, 0.5), row(10, 0.05, 0.45), row(100, 0.05, 0.6))
)


@pytest.mark.parametrize(
    ("holders", "fpir", "expected"),
    [
        (1, 0.01, 0.4),
        (0, 0.01, 0.4),
        (2, 0.02, 0.5),  # the next size up
        (10, 0.03, 0.5),  # the laxest rate that is still allowed
        (10, 0.05, 0.45),
        (11, 0.05, 0.6),
        (100, 0.3, 0.6),
    ],
)
def test_the_threshold_is_never_laxer_than_the_evidence(holders, fpir, expected):
    assert threshold_for(holders, fpir, TABLE) == expected


@pytest.mark.parametrize(("holders", "fpir", "best"), [(101, 0.5, None), (11, 0.02, 0.05), (1, 0.001, 0.01)])
def test_what_the_evidence_does_not_support_is_refused(holders, fpir, best):
    answer = threshold_for(holders, fpir, TABLE)
    assert isinstance(answer, Unsupported)
    assert answer.best_fpir == best
    assert "ask for face and card" in str(answer)


def test_the_shipped_table_claims_no_more_than_its_own_numbers_prove():
    table = load(threshold.SHIPPED, Thresholds)
    for one in table.row:
        assert one.upper == pytest.approx(upper(one.taken, one.strangers), abs=1e-4)
        assert one.upper <= one.fpir
        assert one.fpir >= 1 - 0.05 ** (1 / one.strangers) - 1e-4  # the rule of three
    for size in {one.gallery_size for one in table.row}:
        rates = [(one.fpir, one.similarity) for one in table.row if one.gallery_size == size]
        assert [s for _, s in sorted(rates)] == sorted((s for _, s in rates), reverse=True)
    assert isinstance(threshold_for(10_000, 0.02, table), Unsupported)
    assert isinstance(threshold_for(50, 0.001, table), Unsupported)


def test_the_shipped_table_is_of_the_shipped_model(reader):
    threshold.read_thresholds(threshold.SHIPPED, reader.embedder.sha256)
    with pytest.raises(VisionError, match=r"measured with model .* measure again"):
        threshold.read_thresholds(threshold.SHIPPED, "0" * 64)
