"""The published weights themselves: fetched as a user fetches them, converted twice to the same bytes, compared with
onnx's own evaluator, used only when accepted. Needs the package index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from graphs import by_onnx, by_tflite, furthest

from gateway.config import GatewayConfig
from gateway.errors import VisionError
from gateway.vision import models
from gateway.vision.text import ALONE
from gateway.vision.worker import _reader
from model_conversion import fetch
from model_conversion.errors import ConversionError
from model_conversion.from_onnx import convert
from sim.render.plate import PlateKind, draw_plate

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRIES = {entry.name: entry for entry in models.entries(models.PUBLISHED)}
# Smaller pictures than in use: the evaluator is written for truth, not for speed. The layers are the same.
SMALL = {"published-plate-detector": (1, 3, 96, 128), "published-plate-reader": (1, 3, 32, 96)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = ENTRIES["published-plate-reader"].source
    assert source is not None
    wanted = fetch.Wanted("", source.package, source.version, source.wheel_sha256, "", "", {}, "", "")
    try:
        return fetch._wheel(wanted, tmp_path_factory.mktemp("wheel"))
    except ConversionError as e:
        pytest.skip(f"the package index cannot be reached: {e}")


@pytest.mark.parametrize("name", SMALL)
def test_the_conversion_computes_what_the_published_graph_computes(name: str, wheel: Path) -> None:
    source = ENTRIES[name].source
    assert source is not None
    (input_name,) = source.shapes
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(source.member)
    shape = SMALL[name]
    x = np.random.default_rng(3).uniform(-1, 1, shape).astype(np.float32)
    model = onnx.load_model_from_string(content)
    wanted = by_onnx(model, input_name, x)
    got = by_tflite(convert(content, {input_name: shape}, ""), x, times=2)
    got = [next(g for g in got if g.shape == w.shape) for w in wanted]
    assert furthest(got, wanted) < 1e-4


def zhian(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zhian", "models", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ZHIAN_MODELS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_fetched_twice_to_the_same_bytes_and_accepted_by_name(wheel: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        said = zhian("fetch", "--json", folder=folder)
        assert said.returncode == 0, said.stderr
        assert "A real site uses it only after" in said.stderr
        rows = {row["name"]: row for row in json.loads(said.stdout)}
        assert all(rows[name]["here"] and not rows[name]["accepted"] for name in ENTRIES)
    for entry in ENTRIES.values():
        assert (first / entry.file).read_bytes() == (second / entry.file).read_bytes()
    assert zhian("fetch", folder=first).stderr == ""  # nothing is fetched again
    assert zhian("accept", "published-plate-reader", folder=first).returncode == 0
    listed = {row["name"]: row["accepted"] for row in json.loads(zhian("list", "--json", folder=first).stdout)}
    assert listed["published-plate-reader"]
    assert not listed["published-plate-detector"]


@pytest.fixture(scope="module")
def fetched(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    said = zhian("fetch", folder=folder)
    assert said.returncode == 0, said.stderr
    return folder


def config(kind: str, reader: str = "published") -> GatewayConfig:
    """Of a site that lets the published model read."""
    simulated = {"simulation": {"pins": "pins.sock"}} if kind == "simulated" else {}
    site = {
        "district": "east",
        "site": "garden",
        "gateway": "gate",
        "label": {"zh": "门", "en": "Gate"},
        "site_key_file": "site.key",
        "kind": kind,
    }
    paths = {"data": "data", "run": "run"}
    rest = {"policy": {"file": "policy.toml"}, "vision": {"reader": reader}}
    return msgspec.convert({"site": site, "paths": paths, **rest, **simulated}, GatewayConfig)


@pytest.mark.parametrize("text", ["皖A12345", "京N7K362", "粤B80617"])
def test_where_the_operator_says_so_the_published_model_reads(
    text: str, fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIAN_MODELS", str(fetched))
    reader = _reader(config("simulated"))
    plate = cv2.resize(draw_plate(text, PlateKind.BLUE), (200, 64), interpolation=cv2.INTER_AREA)
    reading = reader.read_cropped(plate).reading
    assert (reading.text, reading.kind, reading.refused) == (text, "blue", None)
    named = ENTRIES["published-plate-reader"]
    assert (reader.entry.name, reader.entry.sha256) == (named.name, named.sha256)


def test_in_a_vote_both_read_and_the_published_reader_is_named(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIAN_MODELS", str(fetched))
    reader, alone = _reader(config("simulated", "vote")), _reader(config("simulated"))
    sure, unsure = (
        cv2.resize(draw_plate(text, PlateKind.BLUE), (128, 32), interpolation=cv2.INTER_AREA)
        for text in ("京N7K362", "粤B80617")
    )
    assert reader.read_cut(sure).text == "京N7K362"
    assert alone.read_cut(sure).score >= ALONE
    assert reader.read_cut(sure) == alone.read_cut(sure), "where the published one is sure it decides alone"
    assert reader.read_cut(unsure).text == "粤B80617"
    assert alone.read_cut(unsure).score < ALONE
    assert reader.read_cut(unsure).score != alone.read_cut(unsure).score, "elsewhere ours has a say"
    assert reader.entry.name == "published-plate-reader"
    assert _reader(config("simulated", "own")).entry.name == "plate-reader"
    with pytest.raises(msgspec.ValidationError, match=r"vision\.reader"):
        config("simulated", "both")


def test_a_real_site_does_not_even_start_with_what_nobody_accepted(
    fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIAN_MODELS", str(fetched))
    for who in ("published", "vote"):
        with pytest.raises(VisionError, match="nobody has accepted it here; run zhian models accept"):
            _reader(config("real", who))
    for entry in ENTRIES.values():
        models.accept(entry, fetched)
    assert _reader(config("real")).entry.name == "published-plate-reader"


def test_a_real_site_uses_only_what_was_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path))
    name, entry = next(iter(ENTRIES.items()))
    with pytest.raises(VisionError, match="nobody has accepted it here; run zhian models accept"):
        models.published(name, must_be_accepted=True)
    with pytest.raises(VisionError, match=r"cannot be read .* run zhian models fetch"):
        models.published(name, must_be_accepted=False)
    models.accept(entry, tmp_path)
    models.accept(entry, tmp_path)
    assert (tmp_path / models.ACCEPTED).read_text().splitlines() == [f"{name} {entry.sha256}"]
    (tmp_path / entry.file).write_bytes(bytes(entry.bytes))
    with pytest.raises(VisionError, match="it is damaged or not the measured model, run zhian models fetch"):
        models.published(name, must_be_accepted=True)


def test_accepting_other_bytes_of_the_same_name_counts_for_nothing(tmp_path: Path) -> None:
    entry = next(iter(ENTRIES.values()))
    (tmp_path / models.ACCEPTED).write_text(f"{entry.name} {'0' * 64}\n")
    assert not models.accepted(entry, tmp_path)


def test_an_unknown_model_is_one_sentence(tmp_path: Path) -> None:
    said = zhian("accept", "no-such", folder=tmp_path)
    assert said.returncode == 1
    assert said.stderr.startswith("zhian: model no-such: expected one of plate-detector, ")


def test_a_package_that_is_not_the_measured_one_is_refused(wheel: Path, tmp_path: Path) -> None:
    entry = ENTRIES["published-plate-reader"]
    source = entry.source
    assert source is not None
    with pytest.raises(ConversionError, match="is not the file that was measured"):
        fetch._member(
            fetch.Wanted(entry.name, "", "", "", source.member, "0" * 64, {}, entry.file, entry.sha256), wheel
        )
    absent = fetch.Wanted("x", "zhian-no-such-package", "0", "0" * 64, "", "", {}, "x", "0" * 64)
    with pytest.raises(ConversionError, match="zhian-no-such-package 0 cannot be fetched"):
        fetch.make([absent], tmp_path, lambda _: None)
    assert not list(tmp_path.iterdir())
