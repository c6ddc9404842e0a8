"""Published weights from a package registry to a verified .tflite file in a folder of this machine.

pip fetches the package, so that the machine's own index or mirror serves it. Its code is never installed or run: one
member is taken out of the archive. Package, member and result are each checked by their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_conversion.errors import ConversionError

TIMEOUT_S = 600.0  # ten megabytes over a slow line


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to make: from `member` of a wheel. `shapes` as in from_onnx.convert."""

    name: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    member_sha256: str
    shapes: Mapping[str, Sequence[int]]
    file: str
    sha256: str


def make(wanted: Sequence[Wanted], folder: Path, say: Callable[[str], None]) -> None:
    """Make every file of `wanted` in `folder`; each package is fetched once. Raises ConversionError.

    A file appears in the folder only once it is the right one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zhian-models-") as scratch:
        wheels: dict[str, Path] = {}
        for one in wanted:
            if one.wheel_sha256 not in wheels:
                say(f"fetching {one.package} {one.version} (its weights only; its code is not installed)")
                wheels[one.wheel_sha256] = _wheel(one, Path(scratch))
            say(f"converting {one.name}")
            _write(folder / one.file, _converted(one, _member(one, wheels[one.wheel_sha256])))


def _wheel(one: Wanted, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), f"{one.package}=={one.version}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{one.package}: not fetched within {TIMEOUT_S:.0f} s; check the network") from None
    except subprocess.CalledProcessError as e:
        last = (e.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ConversionError(f"{one.package} {one.version} cannot be fetched ({last}); check the network") from None
    for path in scratch.glob("*.whl"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == one.wheel_sha256:
            return path
    raise ConversionError(
        f"{one.package} {one.version}: the fetched package is not the one that was measured (sha256 differs from"
        f" {one.wheel_sha256[:16]}...); check the package index"
    )


def _member(one: Wanted, wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(one.member)
    if hashlib.sha256(content).hexdigest() != one.member_sha256:
        raise ConversionError(f"{one.name}: {one.member} is not the file that was measured; fetch it again")
    return content


def _converted(one: Wanted, content: bytes) -> bytes:
    try:
        from model_conversion.from_onnx import convert
    except ModuleNotFoundError as e:
        raise ConversionError(
            f"{one.name}: converting needs the package {e.name!r}; pip install 'zhian[models]'"
        ) from None
    result = convert(content, one.shapes, f"{one.package} {one.version}, {one.member}")
    got = hashlib.sha256(result).hexdigest()
    if got != one.sha256:
        raise ConversionError(
            f"{one.name}: the conversion gave sha256 {got[:16]}..., expected {one.sha256[:16]}...; "
            "install the versions of requirements/run.txt"
        )
    return result


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    Path(name).replace(path)
