"""Published weights from a package registry to a verified .tflite file in a folder of this machine.

pip or npm fetches the package, so that the machine's own index or mirror serves it; a machine without npm asks the
registry itself. Its code is never installed or run: one member is taken out of the archive. Package, member and result
are each checked by their SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_conversion.errors import ConversionError

TIMEOUT_S = 600.0  # ten megabytes over a slow line
MAX_PACKAGE_BYTES = 64 << 20
NPM = "https://registry.npmjs.org"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to make: from `member` of a wheel of PyPI or a tarball of npm.

    conversion: "onnx" (`shapes` as in from_onnx.convert), "none" (it is a .tflite file already) or "one-picture"
    (a .tflite file whose batch becomes one picture, and whose PReLUs become one operator each).
    """

    name: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    member_sha256: str
    shapes: Mapping[str, Sequence[int]]
    file: str
    sha256: str
    registry: str = "pypi"
    conversion: str = "onnx"


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
                wheels[one.wheel_sha256] = _package(one, Path(scratch))
            say(f"converting {one.name}")
            _write(folder / one.file, _converted(one, _member(one, wheels[one.wheel_sha256])))


def _package(one: Wanted, scratch: Path) -> Path:
    return _wheel(one, scratch) if one.registry == "pypi" else _tarball(one, scratch)


def _wheel(one: Wanted, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(scratch), f"{one.package}=={one.version}"]
    _run(one, command, "pip", scratch)
    return _measured(one, scratch, "*.whl")


def _tarball(one: Wanted, scratch: Path) -> Path:
    folder = scratch / one.wheel_sha256[:16]
    folder.mkdir()
    npm = shutil.which("npm")
    if npm:
        _run(one, [npm, "pack", "--silent", "--ignore-scripts", f"{one.package}@{one.version}"], "npm", folder)
    else:
        _download(one, f"{NPM}/{one.package}/-/{one.package}-{one.version}.tgz", folder / "package.tgz")
    return _measured(one, folder, "*.tgz")


def _run(one: Wanted, command: list[str], tool: str, folder: Path) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=folder)
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{one.package}: not fetched within {TIMEOUT_S:.0f} s; check the network") from None
    except subprocess.CalledProcessError as e:
        last = (e.stderr.strip().splitlines() or [f"{tool} said nothing"])[-1]
        raise ConversionError(f"{one.package} {one.version} cannot be fetched ({last}); check the network") from None


def _download(one: Wanted, address: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # always https, a constant
            content = answer.read(MAX_PACKAGE_BYTES + 1)
    except (urllib.error.URLError, TimeoutError) as e:
        raise ConversionError(f"{one.package} {one.version} cannot be fetched ({e}); check the network") from None
    path.write_bytes(content)


def _measured(one: Wanted, folder: Path, pattern: str) -> Path:
    for path in folder.glob(pattern):
        if hashlib.sha256(path.read_bytes()).hexdigest() == one.wheel_sha256:
            return path
    raise ConversionError(
        f"{one.package} {one.version}: the fetched package is not the one that was measured (sha256 differs from"
        f" {one.wheel_sha256[:16]}...); check the package index"
    )


def _member(one: Wanted, package: Path) -> bytes:
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            content = archive.read(one.member)
    else:
        with tarfile.open(package) as archive:
            file = archive.extractfile(one.member)
            content = file.read() if file else b""
    if hashlib.sha256(content).hexdigest() != one.member_sha256:
        raise ConversionError(f"{one.name}: {one.member} is not the file that was measured; fetch it again")
    return content


def _converted(one: Wanted, content: bytes) -> bytes:
    result = content if one.conversion == "none" else _computed(one, content)
    got = hashlib.sha256(result).hexdigest()
    if got != one.sha256:
        raise ConversionError(
            f"{one.name}: the conversion gave sha256 {got[:16]}..., expected {one.sha256[:16]}...; "
            "install the versions of requirements/run.txt"
        )
    return result


def _computed(one: Wanted, content: bytes) -> bytes:
    try:
        if one.conversion == "one-picture":
            from model_conversion.tflite_edit import one_picture, whole_prelu

            return whole_prelu(one_picture(content))
        from model_conversion.from_onnx import convert

        return convert(content, one.shapes, f"{one.package} {one.version}, {one.member}")
    except ModuleNotFoundError as e:
        raise ConversionError(
            f"{one.name}: converting needs the package {e.name!r}; pip install 'zhian[models]'"
        ) from None


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    Path(name).replace(path)
