"""Somebody between the two ends repeats frames, holds frames back, and delivers them later."""

from __future__ import annotations

import pytest
from test_node_peripheral import KEY, RELEASE, RND_A, Panel, refused, secured

from firmware.node.peripheral import LINE_TRIAL_MS
from firmware.wire import codes
from firmware.wire.commands import CommunicationSet
from firmware.wire.replies import ClientCryptogram
from firmware.wire.secure import SessionKeys
from gateway.drivers.aes import aes


def repeated(panel: Panel, raw: bytes, for_ms: int, every_ms: int = 500) -> None:
    """Somebody says the panel's last frame again and again."""
    end_ms = panel.now_ms + for_ms
    while panel.now_ms < end_ms:
        panel.now_ms += every_ms
        panel.put(raw)


def held_back() -> tuple[Panel, bytes, bytes]:
    """A session, its last poll, and the release that the panel sent next and somebody took off the wire."""
    panel = secured()
    poll = panel.seal(codes.POLL)
    reply = panel.put(poll)
    assert reply is not None
    assert panel.channel is not None
    panel.channel.open(reply)
    panel.sequence = panel.sequence % 3 + 1
    return panel, poll, panel.seal(codes.OUT, RELEASE)


def test_a_repeated_frame_does_not_keep_a_session_alive_for_a_release_that_was_held_back() -> None:
    panel, poll, release = held_back()
    repeated(panel, poll, codes.OFFLINE_AFTER_MS + 1000)
    assert refused(panel.put(release), codes.NAK_NOT_SECURE)
    assert panel.door.effects() == []


def test_the_same_release_is_obeyed_while_the_session_lives() -> None:
    panel, poll, release = held_back()
    repeated(panel, poll, codes.OFFLINE_AFTER_MS - 1000)
    panel.put(release)
    assert panel.door.effects() == [("relay", 1)]


def test_a_repetition_within_the_time_is_still_answered() -> None:
    panel = secured()
    poll = panel.seal(codes.POLL)
    first = panel.put(poll)
    repeated(panel, poll, 2000)
    again = panel.put(poll)
    assert first is not None
    assert again is not None
    assert again.raw == first.raw


@pytest.mark.parametrize("noise", ["plain", "forged"])
def test_what_anybody_can_send_keeps_no_session_alive(noise: str) -> None:
    panel = secured()
    release = panel.seal(codes.OUT, RELEASE)
    for _ in range(20):
        panel.now_ms += 500
        if noise == "plain":
            panel.plain(codes.CAP, b"\0", sequence=panel.sequence)
        else:
            forged = bytearray(release)
            forged[-3] ^= 1  # in the MAC; the CRC does not fit either
            panel.plain(codes.OUT, bytes(forged[6:-2]), sequence=panel.sequence)
    assert refused(panel.put(release), codes.NAK_NOT_SECURE)
    assert panel.door.effects() == []


def test_a_silent_session_ends_by_the_nodes_own_clock() -> None:
    panel = secured()
    panel.pd.tick(codes.OFFLINE_AFTER_MS)
    assert panel.pd.secure
    panel.pd.tick(codes.OFFLINE_AFTER_MS + 1)
    assert not panel.pd.secure


def test_an_offer_is_not_kept_open_by_frames_that_need_no_key() -> None:
    panel = Panel()
    panel.sequence = 0
    panel.plain(codes.ID, b"\0")
    client = ClientCryptogram.decode(panel.plain(codes.CHLNG, RND_A, b"\x11\x01").payload)
    proof = SessionKeys(aes, KEY, RND_A).server_cryptogram(RND_A, client.rnd_b)
    for _ in range(5):
        panel.now_ms += codes.OFFLINE_AFTER_MS // 4
        panel.plain(codes.ID, b"\0")
    panel.plain(codes.SCRYPT, proof, b"\x13\x01")  # the panel's own, held back
    assert not panel.pd.secure


class FullFlash:
    """Nothing can be kept."""

    def keep_key(self, key: bytes) -> bool:
        return False

    def keep_line(self, address: int, baud: int) -> bool:
        return False


def test_a_line_setting_that_cannot_be_kept_is_given_up_at_once() -> None:
    panel = Panel()
    panel.pd._keeper = FullFlash()
    panel.handshake()
    code, _ = panel.ask(codes.COMSET, CommunicationSet(9, 9600).encode())
    assert code == codes.COM
    panel.pd.replied(panel.now_ms)
    assert (panel.pd.address, panel.pd.baud) == (9, 9600)
    assert panel.channel is not None
    assert panel.put(panel.channel.seal(9, panel.sequence, codes.POLL, b"")) is None, "no answer where it will not stay"
    assert (panel.pd.address, panel.pd.baud) == (5, 38400)
    panel.pd.tick(panel.now_ms + LINE_TRIAL_MS)
    assert (panel.pd.address, panel.pd.baud) == (5, 38400)
