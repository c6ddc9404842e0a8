"""A whole core (`zhian gateway run`) at two doors of the simulator's world, as one of a chaos campaign's gateways.

The others are the product's journal and uplink without doors, which make many events and can be told what to do. This
one is the process that a site runs: people present cards in bursts, nodes on a serial bus answer, doors open and close.
It is never told to pause: between two bursts it comes to rest by itself.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import tempfile
import tomllib
from pathlib import Path

import tomli_w

from sim import scenario
from zhian import site_files
from zhian.chaos_part import Part

ROUND_S, BURST_S, EVERY_S = 8.0, 4.0, 0.6  # a round of the world, the part of it in which cards are presented
_DOORS = {"lobby": 5, "garage": 6}
_CARDS = {"lin-lan": 11574338, "zhou-yi": 11574340}
_STRANGER = 2309658


class Core:
    """Two processes: the world, which stays, and core, which is killed."""

    def __init__(self, folder: Path, broker_port: int, place: tuple[str, str, str], password: str) -> None:
        """place: district, site and gateway, as the broker knows them. folder: where the logs go."""
        self.name = place[2]
        self._kept = folder / self.name
        # Not in `folder`: Unix sockets need a short path.
        self.folder = Path(tempfile.mkdtemp(prefix="zhian-core-"))
        file = self.folder / "cards.toml"
        file.write_text(tomli_w.dumps(_scenario()))
        ports = site_files.Ports(broker_port, *(site_files.free_port() for _ in range(3)))
        files = site_files.write(scenario.load(file), file, self.folder, ports)
        self.database = files.gateway_database
        _point(files.gateway_toml, broker_port, place)
        (self.folder / "keys/gateway.password").write_text(password + "\n", "ascii")
        zhian = [sys.executable, "-m", "zhian"]
        world = [*zhian, "sim", "world", "--scenario", str(files.scenario), "--site", str(self.folder), "--loop"]
        core = [*zhian, "gateway", "run", "--config", str(files.gateway_toml)]
        self.world = Part("world", world, folder / "world.log")
        self.part = Part(self.name, core, folder / "core.log")

    def start(self) -> None:
        """Begin to keep both running."""
        self.world.start()
        self.part.start()

    async def stop(self) -> None:
        """Core first: a world that ends under it would be reported, rightly, as devices lost. Its journal is kept."""
        await self.part.stop()
        await self.world.stop()
        shutil.copytree(self.database.parent, self._kept, dirs_exist_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def begun(self) -> bool:
        """Whether somebody has been let in, and the center has said that it stored something."""
        with contextlib.suppress(sqlite3.Error), self._reading() as journal:
            (granted,) = journal.execute("SELECT count(*) FROM journal WHERE type = 'zhian.access.granted'").fetchone()
            return granted > 0 and _marks(journal)[1] > 0
        return False

    def at_rest(self) -> bool:
        """Whether its file says that everything in it is acknowledged."""
        with contextlib.suppress(sqlite3.Error), self._reading() as journal:
            made, acked = _marks(journal)
            (early,) = journal.execute("SELECT count(*) FROM early WHERE acked = 0").fetchone()
            return made == acked > 0 and not early
        return False

    def _reading(self) -> contextlib.closing[sqlite3.Connection]:
        return contextlib.closing(sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True, timeout=5))


def _marks(journal: sqlite3.Connection) -> tuple[int, int]:
    """The last number, and up to where everything is acknowledged."""
    (made,) = journal.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    (acked,) = journal.execute("SELECT value FROM meta WHERE key = 'acked_upto'").fetchone()
    return int(made), int(acked)


def _point(gateway_toml: Path, broker_port: int, place: tuple[str, str, str]) -> None:
    """Our broker and its names, without the relay of the world."""
    told = tomllib.loads(gateway_toml.read_text("utf-8"))
    told["site"] |= dict(zip(("district", "site", "gateway"), place, strict=True))
    told["uplink"] |= {"port": broker_port, "username": place[2]}
    gateway_toml.write_text(tomli_w.dumps(told), "utf-8")


def _scenario() -> dict[str, object]:
    people = [
        {"id": who, "name": {"zh": who, "en": who}, "group": "residents"}
        | {"cards": [{"id": f"{who}-card", "bits": 26, "number": number}]}
        for who, number in _CARDS.items()
    ]
    stranger = {
        "id": "passer-by",
        "name": {"zh": "路人", "en": "A passer-by"},
        "cards": [{"id": "other-card", "bits": 26, "number": _STRANGER}],
    }
    doors = [
        {"name": door, "label": {"zh": door, "en": door}, "reader": f"{door}-reader", "address": address}
        | {"bus": "rs485-a", "unlock_s": 1, "held_open_s": 15}
        for door, address in _DOORS.items()
    ]
    who, where = [*_CARDS, "passer-by"], [*_DOORS]
    steps = [
        {"id": f"card-{n}", "at_s": 1 + n * EVERY_S, "do": "present_card"}
        | {"who": who[n % len(who)], "door": where[n % len(where)]}
        for n in range(int(BURST_S / EVERY_S))
    ]
    return {
        "name": "chaos-cards",
        "title": {"zh": "刷卡", "en": "Cards in bursts"},
        "seed": 1,
        "duration_s": ROUND_S,
        "bus": [{"name": "rs485-a", "baud": 38400}],
        "door": doors,
        "group": [{"name": "residents", "portals": where, "schedule": "always"}],
        "holder": people,
        "stranger": [stranger],
        "step": steps,
    }
