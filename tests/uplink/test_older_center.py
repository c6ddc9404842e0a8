"""A center that refuses what it does not know: the gateway is told why, goes on with what it knows, and says so."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from event_path_rig import FAST, District, MemoryOutbox, Peer, SteadyClock, peer, running, topic, until, uplink

from center.contract.acknowledgement import Ack, Refused, decode_answer, encode_ack
from center.contract.catalogue import AnyEventData, FrameRefused, PortalForced
from center.contract.frame import CODEC_ROWS, FrameDecoder
from center.contract.ranges import Ranges
from center.contract.topics import Kind
from gateway.uplink.uplink import Uplink


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


class OlderCenter:
    """Knows codec 1 only, and refuses an event class where `unknown` names one."""

    def __init__(self, district: District, unknown: type | None = None) -> None:
        self.peer = Peer(district.port, "center", district.password("center"), "older-center")
        self.stored = Ranges()
        self.codecs: set[int] = set()
        self.kinds: list[type] = []
        self._unknown = unknown
        self._decoder = FrameDecoder()
        self._answered = 0

    async def __aenter__(self) -> OlderCenter:
        await self.peer.__aenter__()
        assert await self.peer.subscribe("zhian/v1/+/+/+/up/event")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.__aexit__()

    def answer(self) -> None:
        """To everything that came since."""
        new = self.peer.messages[self._answered :]
        self._answered += len(new)
        for _, payload in new:
            self.codecs.add(payload[0])
            frame = self._decoder.decode(payload)
            refused = ""
            if self._unknown is None and payload[0] != CODEC_ROWS:
                refused = "unknown-codec"
            elif self._unknown and any(isinstance(event.data, self._unknown) for event in frame.events):
                refused = "unknown-event"
            if refused:
                given = Refused(refused=refused, codec=payload[0], dictionary=payload[1])
                self.peer.client.publish(topic(Kind.ACK), encode_ack(given), 1)
                continue
            for event in frame.events:
                self.stored.add(event.seq, event.seq)
                self.kinds.append(type(event.data))
            first = self.stored.first_range()
            upto = first[1] if first and first[0] == 1 else 0
            last = max(last for _, last in self.stored)
            missing = tuple(self.stored.gaps(upto + 1, last))
            ack = Ack(epoch=frame.epoch, stored_upto=upto, missing=missing, seen_upto=last)
            self.peer.client.publish(topic(Kind.ACK), encode_ack(ack), 1)


async def test_an_older_center_gets_the_oldest_codec_and_the_refusal_is_recorded(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(250)

    async def record(data: AnyEventData) -> None:
        outbox.make(data=data)

    link = Uplink(district.settings(), outbox, SteadyClock(), FAST, record)
    async with district.process("broker", "run"), OlderCenter(district) as center, running(link.run()):

        def done() -> bool:
            center.answer()
            return outbox.acked_upto == 251

        await until(done, "everything is stored, the refusal's event too")
    assert CODEC_ROWS in center.codecs
    assert len(center.codecs) > 1, "it tried the newer one first"
    assert center.kinds.count(FrameRefused) == 1


async def test_an_event_that_the_center_does_not_know_holds_up_no_other(district: District) -> None:
    outbox = MemoryOutbox()
    outbox.make(30)
    outbox.make(data=PortalForced("lobby"))
    outbox.make(30)
    link = uplink(district, outbox)
    async with district.process("broker", "run"), OlderCenter(district, PortalForced) as center, running(link.run()):

        def done() -> bool:
            center.answer()
            return center.stored.count() == 60

        await until(done, "all the others are stored")
    assert list(center.stored.gaps(1, 61)) == [(31, 31)]


async def test_ingest_says_what_it_refused_and_why(district: District) -> None:
    async with district.process("broker", "run"), district.ingesting() as ingest, peer(district) as gateway:
        await gateway.subscribe(topic(Kind.ACK))
        for payload, expected in (
            (b"\x09\x00abc", Refused(refused="unknown-codec", codec=9)),
            (b"\x03\x63abc", Refused(refused="unknown-dictionary", codec=3, dictionary=0x63)),
            (b"\x01\x00" + secrets.token_bytes(50), Refused(refused="not-a-frame", codec=1)),
        ):
            await gateway.publish(topic(Kind.EVENT), payload)
            await until(lambda expected=expected: _answers(gateway)[-1:] == [expected], f"{expected}")
        assert ingest.refusals.count == 3


def _answers(gateway: Peer) -> list[Ack | Refused]:
    return [decode_answer(payload) for name, payload in gateway.messages if name.endswith("/down/ack")]
