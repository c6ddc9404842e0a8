"""The center's main loop: take what has arrived, decode, store in one commit, then acknowledge and confirm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from center import config as center_config
from center.contract import topics
from center.contract.acknowledgement import encode_ack
from center.contract.errors import ContractError
from center.contract.frame import FrameDecoder
from center.contract.state import decode_state
from center.contract.topics import Kind
from center.errors import IngestError, StoreError
from center.ingest.inbox import Inbox, Message
from center.ingest.refusals import Refusals
from center.ingest.session import BrokerAccess, Session
from center.store.writing import EventWriter, Outcome, Received
from runtime import log, systemd

LISTENS_TO = (Kind.EVENT, Kind.ALARM, Kind.STATE)
# One commit: large enough that the disk is not the limit in catch-up, small enough that a live event waits for little.
MAX_BATCH_MESSAGES = 200
MAX_BATCH_BYTES = 2 << 20
_RETRY_S = (0.5, 1.0, 2.0, 5.0)  # between attempts to store; the last one repeats
_logger = log.get("ingest")


class Ingest:
    """Owns the writer's thread; everything else runs on the loop."""

    def __init__(
        self,
        writer: EventWriter,
        access: BrokerAccess,
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
        session.start()
        with ThreadPoolExecutor(1, "store") as store:
            working = asyncio.create_task(self._work(inbox, session, store))
            try:
                systemd.ready("ingest")
                await asyncio.wait((working, session.refused), return_when=asyncio.FIRST_COMPLETED)
                if session.refused.done():
                    raise IngestError(session.refused.result())
                await working
            finally:
                systemd.stopping()
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
                await asyncio.to_thread(session.stop)

    async def _work(self, inbox: Inbox, session: Session, store: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            messages = await inbox.take(MAX_BATCH_MESSAGES, MAX_BATCH_BYTES)
            received = await loop.run_in_executor(store, self._decode_all, messages)
            outcome = await loop.run_in_executor(store, self._store, received)
            tries = 0
            while outcome is None:  # the disk is full or the file is locked: nothing is confirmed until it is stored
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
                outcome = await loop.run_in_executor(store, self._store, received)
            for name, ack in outcome.acknowledgements:
                session.publish(topics.topic(name, Kind.ACK), encode_ack(ack))
            for message in messages:
                session.confirm(message)

    # --- the writer's thread -------------------------------------------------------------------------------------

    def _decode_all(self, messages: Sequence[Message]) -> list[Received]:
        return [one for one in map(self._decode, messages) if one is not None]

    def _store(self, received: Sequence[Received]) -> Outcome | None:
        if not received:
            return Outcome()
        try:
            outcome = self._writer.store(received, self._now_ms())
        except StoreError as e:
            _logger.error("not stored; trying again", why=str(e))
            return None
        if outcome.refused:
            self.refusals.add("gaps", f"{outcome.refused} events beyond the gaps one gateway may have")
        return outcome

    def _decode(self, message: Message) -> Received | None:
        source = message.topic
        try:
            name, kind = topics.parse(message.topic)
            source = str(name)
            if kind in (Kind.EVENT, Kind.ALARM):
                return Received(name, self._decoder.decode(message.payload))
            if kind is Kind.STATE:
                return Received(name, decode_state(message.payload), message.retained)
            self.refusals.add(source, f"nothing is expected on {kind.value}")
        except ContractError as e:
            self.refusals.add(source, str(e))
        return None


async def run(config_file: Path) -> None:
    """`zhian center run`: ingest as center.toml says, until cancelled. Raises UserError with one sentence."""
    settings = center_config.read(config_file)

    def secret(path: str, what: str) -> str:
        return center_config.read_secret(center_config.resolve(config_file, path), what)

    access = BrokerAccess(
        host=settings.broker.host,
        port=settings.broker.port,
        username=settings.ingest.username,
        password=secret(settings.ingest.password_file, "password of ingest"),
        client_id=secret(settings.ingest.client_id_file, "client id of ingest"),
    )
    writer = EventWriter(center_config.database_file(config_file, settings))
    try:
        await Ingest(writer, access).run()
    finally:
        writer.close()
