"""Captures: what was recorded is decoded, decrypted with the key, and shows nothing that was not asked for."""

from __future__ import annotations

import json
import struct
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from osdp_rig import KEY, bench, until

from firmware.wire import codes, frame
from firmware.wire.commands import KeySet
from gateway.drivers.osdp.capture import LINK_TYPE, from_osdpcap, to_osdpcap, to_pcapng
from gateway.drivers.osdp.decode import FORGED, HANDSHAKE, OPENED, PLAIN, REPEATED, SEALED, Decoder, frames_of
from gateway.drivers.osdp.names import described, name_of
from gateway.drivers.osdp.ring import Heard, Ring
from gateway.errors import DriverError

VECTORS = Path(__file__).parents[1] / "wire" / "vectors" / "session_libosdp.toml"
heards = st.builds(Heard, st.integers(0, (1 << 33) * 10**9 - 1), st.booleans(), st.binary(max_size=300))


def foreign() -> tuple[bytes, list[Heard]]:
    """A session between two ends that are not ours, and its key."""
    told = tomllib.loads(VECTORS.read_text())
    heard = [Heard(n, who == "command", bytes.fromhex(text)) for n, (who, text) in enumerate(told["frames"])]
    return bytes.fromhex(told["scbk"]), heard


def test_a_foreign_session_is_decrypted_with_its_key() -> None:
    key, heard = foreign()
    told = list(Decoder([key]).told(heard))
    assert len(told) == len(heard)
    assert [one.name for one in told[:8]] == ["ID", "PDID", "CAP", "PDCAP", "CHLNG", "CCRYPT", "SCRYPT", "RMAC_I"]
    assert [one.security for one in told[:8]] == [PLAIN] * 4 + [HANDSHAKE] * 4
    assert {one.security for one in told[8:]} == {OPENED}
    assert told[1].detail.startswith("vendor bebafe model 1 serial")


@pytest.mark.parametrize("keys", [[], [bytes(16)]])
def test_without_its_key_a_session_stays_sealed(keys: list[bytes]) -> None:
    _, heard = foreign()
    told = list(Decoder(keys).told(heard))[8:]
    assert {(one.security, one.detail) for one in told} == {(SEALED, "")}
    assert told[0].name == "OUT" or told[0].name in ("KEYSET", "LED", "POLL")


def test_a_capture_that_begins_in_the_middle_is_sealed_not_wrong() -> None:
    key, heard = foreign()
    assert {one.security for one in Decoder([key]).told(heard[10:])} == {SEALED}


def test_a_changed_frame_is_called_forged_and_the_rest_is_still_read() -> None:
    key, heard = foreign()
    raw = bytearray(heard[8].data.lstrip(b"\xff"))
    raw[9] ^= 1
    raw[-2:] = frame.crc16(bytes(raw[:-2])).to_bytes(2, "little")
    told = list(Decoder([key]).told([*heard[:8], Heard(7, True, bytes(raw)), *heard[8:]]))
    assert told[8].security == FORGED
    assert {one.security for one in told[9:]} == {OPENED}


def test_a_repeated_frame_is_said_to_be_one() -> None:
    key, heard = foreign()
    told = list(Decoder([key]).told([*heard[:9], heard[8], *heard[9:]]))
    assert [one.security for one in told[8:11]] == [OPENED, REPEATED, OPENED]


async def test_what_core_keeps_of_a_line_shows_cards_only_on_request_and_keys_never(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        bus = it.panel()
        await it.online()
        it.pins[0].card(0x155_5555)
        it.pins[0].keys("1234#")
        await until(lambda: it.cards(), "a card")
        with pytest.raises(DriverError):
            await bus.tell("r0", [KeySet(codes.SCBK_D)])  # refused by the node, but it was said
        heard = bus.trace.newest()
    for private in (False, True):
        lines = [one.detail for one in Decoder([KEY], show=private).told(heard)]
        text = "\n".join(lines)
        assert "card of 26 bits" in text
        assert ("5555554" in text) is private
        assert ("1234" in text) is private
        assert "a key, not shown" in text
        assert codes.SCBK_D.hex() not in text
    assert b"\x15\x55\x55" not in b"".join(one.data for one in heard), "what is kept is as it was on the line"


@given(st.lists(heards, max_size=20))
def test_a_capture_comes_back_as_it_was_saved(records: list[Heard]) -> None:
    lines = [to_osdpcap(one) for one in records]
    assert list(from_osdpcap(lines, "x")) == records
    assert {json.loads(line)["osdpTraceVersion"] for line in lines} <= {"1"}
    passive = [to_osdpcap(one, passive=True) for one in records]
    assert [one.data for one in from_osdpcap(passive, "x")] == [one.data for one in records]


def test_a_capture_of_another_tool_is_read() -> None:
    # The example of SIA's osdpcap-format.md, and a line as OSDP.Net writes it.
    lines = [
        '{ "timeSec" : "1580342115", "timeNano" : "984691851", "io" : "trace", "data" : " ff ff 53 80 08 00 01 4b 01 '
        'd8", "osdpTraceVersion":"1", "osdpSource":"libosdp-conformance 0.91-5" }',
        "",
        '{"timeSec":"1","timeNano":"000000007","io":"output","data":"53-00-09","osdpTraceVersion":"1",'
        '"osdpSource":"OSDP.Net"}',
    ]
    first, second = from_osdpcap(lines, "x")
    assert first == Heard(1580342115984691851, False, bytes.fromhex("ffff53800800014b01d8"))
    assert second == Heard(1_000_000_007, True, b"\x53\x00\x09")


@pytest.mark.parametrize(
    "line",
    [
        "x", "[]", "{}", "7", '"a"', "[" * 5000, "{" + " " * 70_000,
        '{"timeSec":"-1","timeNano":"0","io":"output","data":""}',
        '{"timeSec":"1","timeNano":"1000000000","io":"output","data":""}',
        '{"timeSec":"1","timeNano":"0","io":"sideways","data":""}',
        '{"timeSec":"1","timeNano":"0","io":"output","data":"5"}',
        '{"timeSec":"1","timeNano":"0","io":"output","data":"' + "00" * 20_000 + '"}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_is_refused_with_its_number(line: str) -> None:
    good = to_osdpcap(Heard(0, True, b""))
    with pytest.raises(DriverError, match="cap: line 2: expected"):
        list(from_osdpcap([good, line], "cap"))


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """A pcapng file as blocks, read by the letter of the format."""
    found = []
    while data:
        kind, total = struct.unpack_from("<II", data)
        assert total % 4 == 0
        assert struct.unpack_from("<I", data, total - 4) == (total,)
        found.append((kind, data[8 : total - 4]))
        data = data[total:]
    return found


def test_pcapng_holds_whole_frames_with_time_and_direction() -> None:
    _, heard = foreign()
    halves = [Heard(h.time_ns + 10**18, h.from_panel, part) for h in heard for part in (h.data[:5], h.data[5:])]
    frames = [one for one, _ in frames_of(halves)]
    (section, interface, *packets) = blocks(b"".join(to_pcapng(frames)))
    assert section == (0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    assert struct.unpack_from("<HHI", interface[1]) == (LINK_TYPE, 0, 0)
    assert len(packets) == len(heard)
    for (kind, body), was in zip(packets, heard, strict=True):
        _, high, low, size, original = struct.unpack_from("<IIIII", body)
        assert (kind, size, original, high << 32 | low) == (6, size, size, was.time_ns + 10**18)
        assert body[20 : 20 + size] == was.data.lstrip(b"\xff")
        option = 20 + size + -size % 4
        assert struct.unpack_from("<HHI", body, option) == (2, 4, 2 if was.from_panel else 1)


@given(st.lists(heards, max_size=30), st.integers(1, 20), st.integers(1, 400))
def test_the_ring_keeps_the_newest_within_its_limits(records: list[Heard], most: int, most_bytes: int) -> None:
    ring = Ring(most, most_bytes)
    for one in records:
        ring.add(*one)
    kept = ring.newest()
    assert kept == records[len(records) - len(kept) :]
    assert len(kept) <= most
    assert sum(len(one.data) for one in kept) <= most_bytes
    assert ring.lost == len(records) - len(kept)
    assert ring.newest(2) == kept[-2:]


def test_names_and_capabilities_are_for_people() -> None:
    assert (name_of(0x7C, False), name_of(0x7A, True), name_of(0x33, False)) == ("FILETRANSFER", "FTSTAT", "?33")
    assert described([(1, 1, 4), (8, 1, 0), (9, 1, 1), (10, 0, 1), (4, 4, 1), (99, 1, 2)]) == [
        "contacts 4", "check (CRC-16)", "secure channel AES-128, default key", "receive buffer 256 bytes",
        "LEDs 1 (timed, three colours)", "function 99 2",
    ]  # fmt: skip
