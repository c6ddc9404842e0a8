"""What the pure rooms may import, name by name, and where clocks and board modules may be touched."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from source_tree import PACKAGES, calls, imports, python_files, tracked_files, tree

VALUES = (
    "__future__",
    "bisect",
    "collections",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "itertools",
    "math",
    "re",
    "types",
    "typing",
    "zoneinfo",
)
# A room and everything that it may import. `micropython.const` is guarded by try where it is used.
ALLOWED: dict[str, tuple[str, ...]] = {
    "firmware/wire": ("binascii", "hashlib", "micropython.const", "struct", "firmware.wire"),
    "firmware/node": ("micropython.const", "firmware.wire", "firmware.node"),
    "gateway/access": (
        *VALUES,
        "base64",
        "hashlib",
        "hmac",
        "msgspec",
        "gateway.access",
        "gateway.errors",
        "gateway.model",
    ),
    "gateway/portal": (*VALUES, "gateway.errors", "gateway.model", "gateway.portal"),
    "gateway/model.py": VALUES,
    "center/contract": (*VALUES, "io", "json", "msgspec", "zstandard", "center.contract"),
    "device_profiles/rules.py": (*VALUES, "device_profiles.model"),
}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_pure_room_imports_only_what_it_may(room: str) -> None:
    files = python_files(room)
    assert files, f"{room}: nothing there; was the room renamed?"
    wrong = [
        f"{one.path}:{one.line}: {room} may not import {one.full}; pass the value in, or move this code out of the room"
        for path in files
        for one in imports(path)
        if not any(one.within(name) for name in ALLOWED[room])
    ]
    assert not wrong, "\n".join(wrong)


CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "date.today",
    "datetime.date.today",
}
# Where a wall clock is read; everywhere else the time is given.
CLOCK_OWNERS = (
    "firmware/drivers",
    "gateway/drivers",
    "gateway/vision/camera_folder.py",  # a file's age is told by the clock that stamped it
    "gateway/vision/worker.py",  # composition root of the vision process
    "runtime/clock.py",
    "sim/chronicle.py",  # the diary of a simulated site is compared with logs by wall time
    "zhian",
)


def test_wall_clocks_are_read_by_their_owners_only() -> None:
    owned = set(python_files(*CLOCK_OWNERS))
    wrong = [
        f"{path}:{line}: {name}() outside {', '.join(CLOCK_OWNERS)}, app.py, main.py, running.py; take it as argument"
        for path in python_files(*PACKAGES)
        if path not in owned and path.name not in ("app.py", "main.py", "running.py")  # composition roots
        for line, name in calls(path, in_defaults=False)  # `now_ms = lambda: ...` as a default is an injected clock
        if name in CLOCKS
    ]
    # `from time import time` would hide a call from the list above.
    wrong += [
        f"{one.path}:{one.line}: import the module, so that a clock can be seen where it is read"
        for path in python_files(*PACKAGES)
        for one in imports(path)
        if one.full in CLOCKS
    ]
    assert not wrong, "\n".join(wrong)


BOARD_MODULES = ("machine", "network", "bluetooth", "esp32", "rp2", "neopixel")


def test_board_modules_stay_in_the_drivers_of_the_firmware() -> None:
    wrong = [
        f"{one.path}:{one.line}: {one.full} belongs under firmware/drivers"
        for path in python_files(*PACKAGES)
        if Path("firmware/drivers") not in path.parents
        for one in imports(path)
        if any(one.within(name) for name in BOARD_MODULES)
    ]
    assert not wrong, "\n".join(wrong)


ATTICS = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "service", "services", "misc"}


def test_no_module_is_an_attic() -> None:
    wrong = [
        f"{path}: name the thing that it owns"
        for path in tracked_files()
        if path.suffix == ".py" and ATTICS & {path.stem, *path.parent.parts}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_class_is_a_thread() -> None:
    wrong = [
        f"{path}:{node.lineno}: {node.name} is a Thread; use a task, or to_thread in a driver"
        for path in python_files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        and any((base := ast.unparse(b)).endswith("Thread") or base.endswith("Process") for b in node.bases)
    ]
    assert not wrong, "\n".join(wrong)


def test_training_stays_out_of_the_product() -> None:
    wrong = [
        f"{one.path}:{one.line}: imports {one.full}"
        for path in python_files(*PACKAGES)
        for one in imports(path)
        if one.within("training") or one.within("tests")
    ]
    assert not wrong, "\n".join(wrong)
