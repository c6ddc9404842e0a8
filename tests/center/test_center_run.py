"""`zhian center run` as center.toml says: a store in PostgreSQL, a webhook, and what a gateway sends over a broker."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from receiver import Receiver, Says

from center import config as configuration
from center.egress.signature import secret_text
from center.errors import StoreError
from center.store.choice import open_database, open_reading
from center.store.database import SqliteDatabase
from center.store.postgres import PostgresDatabase

sys.path.insert(0, str(Path(__file__).parents[1] / "uplink"))  # the small district is shared with tests/uplink
from event_path_rig import EPOCH, District, peer, topic, until

from center.contract.catalogue import Event, PortalForced
from center.contract.frame import encode_frame
from center.contract.topics import Kind


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


def configure(district: District, text: str) -> None:
    with district.config.open("a") as file:
        file.write(text)


async def test_events_reach_postgresql_and_a_webhook(district: District, postgres: PostgresServer) -> None:
    (district.folder / "dsn").write_text(postgres.database() + "\n")
    (district.folder / "dsn").chmod(0o600)
    (district.folder / "key").write_text(secret_text(bytes(range(32))))
    (district.folder / "key").chmod(0o600)
    with Receiver(lambda _: Says(200)) as receiver:
        configure(
            district,
            "[store]\nkind = 'postgresql'\ndsn_file = 'dsn'\n"
            f"[[webhook]]\nname = 'police'\nurl = '{receiver.url}'\nsecret_file = 'key'\nseverity_at_least = 'alarm'\n",
        )
        async with district.process("broker", "run"), district.process("center", "run"), peer(district) as gateway:
            reading = open_reading(district.config, configuration.read(district.config))
            assert await gateway.subscribe(topic(Kind.ACK))
            await until(lambda: webhook_known(reading), "the webhook has begun")
            events = [Event(1, 1_790_000_000_000, True, PortalForced("lobby"))]
            await gateway.publish(topic(Kind.EVENT), encode_frame(EPOCH, events, simulated=True))
            await until(lambda: any(ack.stored_upto == 1 for ack in gateway.acks()), "acknowledged")
            await until(lambda: receiver.arrived, "posted")
        (event,) = await asyncio.to_thread(reading.newest)
        reading.database.close()
    assert (event.type, event.simulated, event.epoch) == ("zhian.portal.forced", True, EPOCH)
    posted = json.loads(receiver.arrived[0].body)
    assert (posted["id"], posted["simulated"]) == (f"{EPOCH}-1", True)
    assert not (district.folder / "data" / "center.sqlite").exists()


def webhook_known(reading) -> bool:
    from center.egress.ledger import Ledger

    try:
        return bool(Ledger(reading.database).progress())
    except StoreError:
        return False


async def test_a_wrong_webhook_is_told_before_anything_starts(district: District) -> None:
    configure(district, "[[webhook]]\nname = 'police'\nurl = 'http://police.example/'\nsecret_file = 'key'\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian", "center", "run", "--config", str(district.config),
        stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert said.decode().count("\n") == 1
    assert "expected https://HOST/PATH" in said.decode()


def test_the_store_that_is_configured(district: District) -> None:
    assert isinstance(open_database(district.config, configuration.read(district.config)), SqliteDatabase)
    (district.folder / "dsn").write_text("host=/run/postgresql dbname=zhian password=very-secret\n")
    (district.folder / "dsn").chmod(0o600)
    configure(district, "[store]\nkind = 'postgresql'\ndsn_file = 'dsn'\n")
    database = open_database(district.config, configuration.read(district.config))
    assert isinstance(database, PostgresDatabase)
    assert database.place == "PostgreSQL /run/postgresql, database zhian"
    district.config.write_text(district.config.read_text().replace("dsn_file = 'dsn'\n", ""))
    with pytest.raises(StoreError, match=r"store\.dsn_file: this key is missing"):
        open_database(district.config, configuration.read(district.config))
