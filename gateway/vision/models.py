"""Which models there are, and that each file is the one that was measured: its hash is checked before it is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from gateway.errors import VisionError
from runtime.toml_file import Table, load

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = WEIGHTS / "models.toml"
MAX_BYTES = 64 << 20


class Entry(Table):
    """One row of the manifest. Shapes are NHWC; `normalisation` says what the pixels become."""

    name: Annotated[str, Meta(pattern="^[a-z0-9-]{1,48}$")]
    purpose: str
    file: Annotated[str, Meta(pattern="^[a-z0-9_.-]+$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: int
    licence: str
    licence_clear: bool
    origin: str
    input: tuple[int, ...]
    outputs: dict[str, tuple[int, ...]]
    normalisation: str
    characters: str = ""  # of a reader: class 1 is the first of them, class 0 is nothing
    kinds: tuple[str, ...] = ()


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


def read_checked(entry: Entry, folder: Path = WEIGHTS) -> bytes:
    """The bytes of a listed file, if they are the listed ones. Raises VisionError: missing, other size, other hash."""
    path, again = folder / entry.file, "install the package again"
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
