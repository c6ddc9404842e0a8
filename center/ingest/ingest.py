"""The center's main loop: take what has arrived, decode, store in one commit, then acknowledge and confirm."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from center import config as center_config
from center.config import CenterConfig
from center.contract import topics
from center.contract.acknowledgement import Refused, encode_ack
from center.contract.errors import ContractError, FrameError
from center.contract.frame import FrameDecoder
from center.contract.state import decode_state
from center.contract.topics import GatewayName, Kind
from center.errors import StoreError
from center.ingest.inbox import Inbox, Message
from center.ingest.refusals import Refusals
from center.ingest.session import Session
from center.store.opening import open_writer
from center.store.writing import EventWriter, Outcome, Received
from runtime import log, systemd
from runtime.mqtt import Access, Arrived, Tls

LISTENS_TO = (Kind.EVENT, Kind.ALARM, Kind.STATE)
# One commit: large enough that the disk is not the limit in catch-up, small enough that a live event waits for little.
# In catch-up the bytes decide (some 12 000 events): about half of what the broker sends unconfirmed (200 messages), so
# that there is something to decode while the half before it is being stored.
MAX_BATCH_MESSAGES = 200
MAX_BATCH_BYTES = 128 << 10
BEAT_S = 15.0  # how often the store is told that ingest is alive (center.web.health)
_RETRY_S = (0.5, 1.0, 2.0, 5.0)  # between attempts to store; the last one repeats
_logger = log.get("ingest")


@dataclass(slots=True)
class _Batch:
    """Messages of one commit, and what became of them: what is to be stored, and what is refused."""

    messages: list[Message]
    received: list[Received] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)  # source, why
    # One answer per gateway and batch of messages: a hostile one gets no more out than it puts in.
    answers: dict[GatewayName, Refused] = field(default_factory=dict)


class Ingest:
    """Owns the threads of the decoder and the writer; everything else runs on the loop."""

    def __init__(
        self,
        writer: EventWriter,
        access: Access,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._writer = writer
        self._now_ms = now_ms
        self._access = access
        self._decoder = FrameDecoder()
        self._session: Session | None = None
        self.refusals = Refusals(_logger)

    @property
    def connected(self) -> bool:
        """Connected to the broker, which has granted every subscription."""
        return self._session is not None and self._session.ready

    async def run(self) -> None:
        """Until cancelled. Raises IngestError where the broker refuses us for good."""
        inbox = Inbox()
        self._session = session = Session(self._access, [topics.every_gateway(kind) for kind in LISTENS_TO], inbox)
        with ThreadPoolExecutor(1, "decode") as decoder, ThreadPoolExecutor(1, "store") as store:
            works = (session.run(), self._work(inbox, session, decoder, store), self._beat(session, store))
            tasks = [asyncio.create_task(one) for one in works]
            try:
                systemd.ready("ingest")
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                systemd.stopping()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(
        self, inbox: Inbox, session: Session, decoder: ThreadPoolExecutor, store: ThreadPoolExecutor
    ) -> None:
        """Batch after batch in order of arrival; one is decoded ahead while the one before it is being stored."""
        ahead = asyncio.create_task(self._next(inbox, decoder))
        try:
            while True:
                batch = await ahead
                ahead = asyncio.create_task(self._next(inbox, decoder))
                await self._finish(batch, session, store)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _next(self, inbox: Inbox, decoder: ThreadPoolExecutor) -> _Batch:
        messages = await inbox.take(MAX_BATCH_MESSAGES, MAX_BATCH_BYTES)
        return await asyncio.get_running_loop().run_in_executor(decoder, self._decode_all, messages)

    async def _finish(self, batch: _Batch, session: Session, store: ThreadPoolExecutor) -> None:
        """Store, and only then acknowledge and confirm."""
        for source, why in batch.refusals:
            self.refusals.add(source, why)
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(store, self._store, batch.received)
        tries = 0
        while outcome is None:  # the disk is full or the file is locked: nothing is confirmed until it is stored
            await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
            tries += 1
            outcome = await loop.run_in_executor(store, self._store, batch.received)
        if outcome.refused:
            self.refusals.add("gaps", f"{outcome.refused} events beyond the gaps or epochs one gateway may have")
        for name, ack in outcome.acknowledgements:
            session.publish(topics.topic(name, Kind.ACK), encode_ack(ack))
        for name, answer in batch.answers.items():
            session.publish(topics.topic(name, Kind.ACK), encode_ack(answer))
        for message in batch.messages:
            session.confirm(message)

    async def _beat(self, session: Session, store: ThreadPoolExecutor) -> None:
        """Tell other processes through the store: alive, connected, and how much was not taken."""
        told: Counter[str] = Counter()
        while True:
            now_ms = self._now_ms()
            moments = {"ingest_ms": now_ms} | ({"connected_ms": now_ms} if session.ready else {})
            counted = Counter(messages_refused=self.refusals.count, messages_overflowed=session.overflowed)
            try:
                await asyncio.get_running_loop().run_in_executor(store, self._writer.note, moments, counted - told)
                told = counted
            except StoreError as e:
                _logger.warning("heartbeat not stored", why=str(e))
            await asyncio.sleep(BEAT_S if session.ready else BEAT_S / 5)

    # --- the decoder's thread ------------------------------------------------------------------------------------

    def _decode_all(self, messages: list[Message]) -> _Batch:
        batch = _Batch(messages)
        for message in messages:
            self._decode(message.arrived, batch)
        return batch

    def _decode(self, arrived: Arrived, batch: _Batch) -> None:
        source = arrived.topic
        try:
            name, kind = topics.parse(arrived.topic)
            source = str(name)
            if kind in (Kind.EVENT, Kind.ALARM):
                self._frame(name, arrived.payload, batch)
            elif kind is Kind.STATE:
                batch.received.append(Received(name, decode_state(arrived.payload), arrived.retained))
            else:
                batch.refusals.append((source, f"nothing is expected on {kind.value}"))
        except ContractError as e:
            batch.refusals.append((source, str(e)))

    def _frame(self, name: GatewayName, payload: bytes, batch: _Batch) -> None:
        try:
            batch.received.append(Received(name, self._decoder.decode(payload)))
        except FrameError as e:
            batch.refusals.append((str(name), str(e)))
            codec, dictionary = (payload[0], payload[1]) if len(payload) > 1 else (0, 0)
            batch.answers[name] = Refused(refused=e.cause, codec=codec, dictionary=dictionary)

    # --- the writer's thread -------------------------------------------------------------------------------------

    def _store(self, received: Sequence[Received]) -> Outcome | None:
        if not received:
            return Outcome()
        try:
            return self._writer.store(received, self._now_ms())
        except StoreError as e:
            _logger.error("not stored; trying again", why=str(e))
            return None


async def run(config_file: Path) -> None:
    """`zhian center run`: ingest as center.toml says, until cancelled. Raises UserError with one sentence."""
    settings = center_config.read(config_file)
    access = broker_access(config_file, settings)
    writer = open_writer(config_file, settings)
    try:
        await Ingest(writer, access).run()
    finally:
        writer.close()


def broker_access(config_file: Path, settings: CenterConfig) -> Access:
    """How ingest signs in at the broker. Raises ConfigError."""
    told = settings.ingest

    def secret(path: str, what: str) -> str:
        return center_config.read_secret(center_config.resolve(config_file, path), what)

    files = center_config.ingest_tls_files(config_file, settings)
    return Access(
        host=told.host or settings.broker.address,
        port=settings.broker.port,
        client_id=(f"{told.username}/" if files else "") + secret(told.client_id_file, "client id of ingest"),
        username=None if files else told.username,  # the certificate says who we are
        password=None if files or not told.password_file else secret(told.password_file, "password of ingest"),
        tls=Tls(*files) if files else None,
    )
