"""An embedding model that the operator brought: a small TOML beside the file, checked before it compares anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from gateway.errors import VisionError
from gateway.vision.faces.embed import Embedder, Preparation
from gateway.vision.faces.threshold import Thresholds, read_thresholds
from gateway.vision.models import MAX_BYTES, Sha256
from gateway.vision.runtime import Net
from runtime.toml_file import Table, load

MEASURE = "make accuracy ARGS='--real FOLDER --model FILE.toml --thresholds FILE.toml'"


class OwnModel(Table):
    """The TOML. Paths are relative to it. `thresholds` is what `make accuracy` wrote for this very file."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,48}(?!\n)$")]
    file: str
    sha256: Sha256
    licence: str
    input: tuple[int, int, int, int]
    length: Annotated[int, Meta(ge=16, le=4096)]
    thresholds: str | None = None
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    scale: Annotated[float, Meta(gt=0, le=1)] = 1 / 128
    fill: Annotated[float, Meta(ge=0.5, le=1.2)] = 0.94
    mirrored: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of `zhian models check`."""

    check: str
    ok: bool
    found: str
    expected: str
    fix: str = ""


def load_own(path: Path, *, threads: int = 1) -> Embedder:
    """The model a TOML describes. Raises ConfigError, VisionError: one sentence with the first thing that is wrong."""
    told = load(path, OwnModel)
    for finding in check(path):
        if not finding.ok and finding.check != "thresholds":
            raise VisionError(
                f"{path}: {finding.check}: expected {finding.expected}, got {finding.found}; {finding.fix}"
            )
    net = Net((path.parent / told.file).read_bytes(), told.name, threads=threads)
    return Embedder(net, _preparation(told), told.name, told.sha256)


def own_thresholds(path: Path) -> Thresholds:
    """The thresholds a TOML names. Raises ConfigError, VisionError where there are none or they are of another file."""
    told = load(path, OwnModel)
    if told.thresholds is None:
        raise VisionError(
            f'{path}: thresholds: expected a file, got none; measure it: make accuracy ARGS="--model ..."'
        )
    return read_thresholds(path.parent / told.thresholds, told.sha256)


def check(path: Path) -> Iterator[Finding]:
    """Every check in order; stops after one without which the next make no sense. Raises ConfigError."""
    told = load(path, OwnModel)
    content = yield from _file(path.parent / told.file, told.sha256)
    if content is None:
        return
    try:
        net = Net(content, told.name)
    except VisionError as e:
        yield Finding("loads", False, str(e), "a .tflite file that LiteRT takes", "convert it again")
        return
    yield Finding("loads", True, "yes", "a .tflite file that LiteRT takes")
    shape_ok = net.input_shape == told.input and told.input[0] == 1 and told.input[1] == told.input[2]
    expected = f"{list(told.input)}: one square picture, three channels"
    fix = "correct `input`, or convert the model to a batch of one picture"
    yield Finding("input", shape_ok and told.input[3] == 3, str(list(net.input_shape)), expected, fix)
    if not shape_ok or told.input[3] != 3:
        return
    yield from _numbers(Embedder(net, _preparation(told), told.name, told.sha256), told)
    yield _thresholds(path, told)


def _file(path: Path, sha256: str) -> Iterator[Finding]:
    """Yields the finding; its `yield from` value is the content or None."""
    expected = f"sha256 {sha256[:16]}..., at most {MAX_BYTES} bytes"
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as e:
        yield Finding("file", False, f"{path} cannot be read ({e.strerror})", expected, "correct `file`")
        return None
    got = hashlib.sha256(content).hexdigest()
    ok = size <= MAX_BYTES and got == sha256
    yield Finding("file", ok, f"{size} bytes, sha256 {got[:16]}...", expected, "give the file that was measured")
    return content if ok else None


def _numbers(embedder: Embedder, told: OwnModel) -> Iterator[Finding]:
    """What the model makes of noise: the right length, finite, the same twice, not always the same."""
    noise = np.random.default_rng(7).integers(0, 255, (2, told.input[1], told.input[2], 3), dtype=np.uint8)
    try:
        first, again, other = (embedder.embed_aligned(noise[i]) for i in (0, 0, 1))
    except ValueError:
        yield Finding("output", False, "several outputs", f"one output of {told.length} numbers", "cut the others off")
        return
    ok = first.shape == (told.length,)
    yield Finding("output", ok, f"{first.size} numbers", f"one output of {told.length} numbers", "correct `length`")
    finite = bool(np.isfinite(first).all() and abs(float(np.linalg.norm(first)) - 1) < 1e-3)
    yield Finding(
        "finite", finite, "yes" if finite else "no", "finite numbers that are not all zero", "convert it again"
    )
    same = bool((first == again).all())
    yield Finding("repeats", same, "yes" if same else "no", "equal numbers for equal pictures", "remove its state")
    apart = float(first @ other)
    differs = apart < 0.9999
    yield Finding(
        "differs", differs, f"similarity {apart:.4f}", "below 0.9999 for two pictures", "check `mean`, `scale`"
    )


def _thresholds(path: Path, told: OwnModel) -> Finding:
    fix = f"measure it: {MEASURE}"
    expected = "a table measured with this file"
    try:
        own_thresholds(path)
    except (VisionError, OSError) as e:
        return Finding("thresholds", False, str(e), expected, fix)
    return Finding("thresholds", True, str(told.thresholds), expected)


def _preparation(told: OwnModel) -> Preparation:
    return Preparation(told.input[1], told.channels, told.mean, told.scale, told.fill, told.mirrored)
