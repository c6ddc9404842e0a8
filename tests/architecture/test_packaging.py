"""What is shipped: the wheel holds every asset, its base install is enough for a subscriber, the locks agree."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from source_tree import PACKAGES, REPOSITORY, tracked_files

from center.contract import catalogue
from center.contract.frame import encode_frame
from center.contract.topics import GatewayName, Kind, topic

DEADLINE_S = 30


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution, built from the tracked files in a folder of their own (a build leaves traces)."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked_files():
        if path.parts[0] in PACKAGES or len(path.parts) == 1:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / path, folder / path)
    program = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    said = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said.stderr[-2000:]
    return next((folder / "dist").glob("zhian-*.whl"))


@pytest.fixture(scope="module")
def base_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and its base dependencies at the locked versions, and nothing else.

    The dependencies are copied from the environment of the tests, so that no network is needed.
    """
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python3*/site-packages"))
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    for name in base_dependencies():
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(distribution.locate_file(file), site / file)
    return folder / "bin/python"


def base_dependencies() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[^A-Za-z0-9-]", line)[0] for line in project["dependencies"]]


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        shipped = set(packed.namelist())
    missing = [str(path) for path in tracked_files() if path.parts[0] in PACKAGES and str(path) not in shipped]
    assert not missing, f"in no wheel (see [tool.setuptools.package-data]): {missing}"
    strangers = {name.split("/")[0] for name in shipped} - set(PACKAGES)
    assert all(name.endswith(".dist-info") for name in strangers), strangers
    texts = {name.rpartition("/")[2] for name in shipped if "/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= texts


def test_the_base_install_is_what_a_subscriber_needs(base_python: Path, tmp_path: Path) -> None:
    program = "import center.contract, center.contract.frame, center.contract.cloudevents, center.contract.topics"
    subprocess.run([base_python, "-I", "-c", program], cwd=tmp_path, check=True, timeout=60)
    for absent in ("typer", "structlog", "fastapi", "numpy", "gpiozero"):
        said = subprocess.run([base_python, "-I", "-c", f"import {absent}"], capture_output=True, timeout=60)
        assert said.returncode == 1, f"{absent} should not be in a base install"


def test_the_command_of_a_base_install_says_which_extra_it_needs(base_python: Path, tmp_path: Path) -> None:
    said = subprocess.run([base_python, "-I", "-m", "zhian"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert "pip install 'zhian[" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """The port of a mosquitto of its own: a broker by other authors."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        pytest.fail("mosquitto is not installed; make test installs it, or names the command")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([program, "-p", str(port)], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + DEADLINE_S
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.02)  # a foreign process: its port is all that can be asked
        try:
            yield port
        finally:
            process.terminate()


def test_the_example_subscriber_prints_cloudevents(base_python: Path, broker: int, tmp_path: Path) -> None:
    name = GatewayName("qingshan", "garden", "gate-1")
    event = catalogue.Event(
        seq=7,
        time_ms=1_780_000_000_000,
        clock_certain=True,
        data=catalogue.AccessGranted(portal="lobby-door", point="lobby", credential="card", reason="permitted"),
    )
    publisher = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    publisher.connect("127.0.0.1", broker)
    publisher.loop_start()
    # Retained, so that it does not matter who is first.
    frame = encode_frame("00112233445566ff", [event], simulated=True)
    publisher.publish(topic(name, Kind.EVENT), frame, qos=1, retain=True).wait_for_publish(DEADLINE_S)
    stranger = topic(GatewayName("qingshan", "garden", "gate-2"), Kind.EVENT)
    publisher.publish(stranger, b"no frame", qos=1, retain=True).wait_for_publish(DEADLINE_S)
    publisher.disconnect()
    publisher.loop_stop()

    example = REPOSITORY / "docs/examples/subscriber.py"
    command = [base_python, "-I", example, "127.0.0.1", str(broker)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None  # noqa: PT018
            line = json.loads(process.stdout.readline())
            ignored = process.stderr.readline()
        finally:
            process.terminate()
    assert line["specversion"] == "1.0"
    assert line["id"] == "00112233445566ff-7"
    assert line["source"] == "/qingshan/garden/gate-1"
    assert line["type"] == "zhian.access.granted"
    assert line["simulated"] is True
    assert line["data"]["portal"] == "lobby-door"
    assert ignored.startswith("ignored: ")


def pins(lock: str) -> dict[str, set[str]]:
    """Name -> versions of a lock; a package may have one version per Python."""
    found: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", (REPOSITORY / "requirements" / lock).read_text(encoding="utf-8")):
        if match := re.match(r"([a-z0-9-]+)==(\S+)", block):
            assert "--hash=sha256:" in block, f"{lock}: {match[1]} has no hash"
            found.setdefault(match[1], set()).add(match[2])
    return found


def test_what_is_tested_is_what_users_get() -> None:
    run, dev = pins("run.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in run} == run


def test_locks_hold_every_dependency_and_what_the_install_itself_needs() -> None:
    run = pins("run.txt")
    assert set(base_dependencies()) <= set(run)
    assert "setuptools" in run  # the project itself is installed with it, without build isolation
    dev = pins("dev.txt")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        re.split(r"[^A-Za-z0-9-]", line)[0]
        for extra, lines in project["optional-dependencies"].items()
        for line in lines
        if extra not in ("pi", "train")  # a Pi's own driver and the training tools are not locked here
    }
    assert wanted - {"zhian"} <= set(dev)
