"""The panel's handshake against devices that do not know the key, or say nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.wire import codes, frame
from firmware.wire.replies import Identity
from firmware.wire.secure import SessionKeys
from gateway.drivers.aes import aes
from gateway.drivers.osdp.session import Reply, Request, Session, SessionRefusedError

KEY = bytes(range(16))
RND_A = b"12345678"
RND_B = b"abcdefgh"
IDENTITY = Reply(codes.PDID, Identity(b"\x02\x5a\x41", 1, 1, 1001, (0, 1, 0)).encode())
CCRYPT_SCB = bytes((codes.SCS_CCRYPT, codes.KEY_SCBK))
RMAC_SCB = bytes((codes.SCS_RMAC_I, 1))


def handshake(*replies: Reply) -> tuple[Session, list[Request]]:
    """Run the handshake against these replies; the session and every request it made."""
    session = Session(5, KEY, lambda n: RND_A[:n])
    steps = session.handshake()
    requests = [next(steps)]
    for reply in replies:
        requests.append(steps.send(reply))
    return session, requests


def honest_proof() -> Reply:
    keys = SessionKeys(aes, KEY, RND_A)
    return Reply(codes.CCRYPT, bytes(8) + RND_B + keys.client_cryptogram(RND_A, RND_B), CCRYPT_SCB)


def refusal(*replies: Reply) -> str:
    with pytest.raises(SessionRefusedError) as refused:
        handshake(*replies)
    return refused.value.cause


def test_an_honest_device_gets_a_session() -> None:
    keys = SessionKeys(aes, KEY, RND_A)
    mac = keys.initial_mac(keys.server_cryptogram(RND_A, RND_B))
    session, requests = handshake(IDENTITY, honest_proof(), Reply(codes.RMAC_I, mac, RMAC_SCB))
    assert [request.code for request in requests] == [codes.ID, codes.CHLNG, codes.SCRYPT, codes.ID]
    assert session.secure


def test_an_impostor_gets_no_proof_from_us() -> None:
    assert refusal(IDENTITY, Reply(codes.CCRYPT, bytes(8) + RND_B + bytes(16), CCRYPT_SCB)) == "bad-key"


def test_an_impostor_that_replays_a_proof_does_not_know_the_initial_mac() -> None:
    assert refusal(IDENTITY, honest_proof(), Reply(codes.RMAC_I, bytes(16), RMAC_SCB)) == "bad-key"


def test_a_device_that_refuses_our_proof_is_refused() -> None:
    keys = SessionKeys(aes, KEY, RND_A)
    mac = keys.initial_mac(keys.server_cryptogram(RND_A, RND_B))
    assert refusal(IDENTITY, honest_proof(), Reply(codes.RMAC_I, mac, bytes((codes.SCS_RMAC_I, 0xFF)))) == "bad-key"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(codes.NAK, b"\x05"),
        Reply(codes.CCRYPT, honest_proof().payload),
        Reply(codes.CCRYPT, honest_proof().payload, bytes((codes.SCS_CCRYPT, codes.KEY_DEFAULT))),
        Reply(codes.CCRYPT, honest_proof().payload[:-1], CCRYPT_SCB),
        Reply(codes.ACK, b""),
    ],
)
def test_no_secure_channel_no_session(reply: Reply) -> None:
    assert refusal(IDENTITY, reply) == "protocol"


@given(st.lists(st.builds(Reply, st.integers(0, 255), st.binary(max_size=40), st.binary(max_size=3)), max_size=4))
@settings(deadline=None)
def test_no_sequence_of_replies_makes_a_session_without_the_key(replies: list[Reply]) -> None:
    session = Session(5, KEY, lambda n: RND_A[:n])
    steps = session.handshake()
    next(steps)
    try:
        for reply in replies:
            steps.send(reply)
    except SessionRefusedError:
        pass
    assert not session.secure


@pytest.mark.parametrize(("address", "sequence", "reply"), [(5, 1, True), (6, 0, True), (5, 0, False)])
def test_a_late_or_foreign_frame_is_no_reply(address: int, sequence: int, reply: bool) -> None:
    session = Session(5, KEY, lambda n: RND_A[:n])
    session.encode(next(session.handshake()))
    assert session.accept(frame.decode(frame.encode(address, sequence, codes.ACK, b"", reply)[1:])) is None
    assert session.accept(frame.decode(frame.encode(5, 0, codes.ACK, b"", True)[1:])) == Reply(codes.ACK, b"")


def secured() -> Session:
    keys = SessionKeys(aes, KEY, RND_A)
    mac = keys.initial_mac(keys.server_cryptogram(RND_A, RND_B))
    session, _ = handshake(IDENTITY, honest_proof(), Reply(codes.RMAC_I, mac, RMAC_SCB))
    session.encode(Request(codes.POLL))
    return session


@given(st.integers(0, 127), st.integers(0, 3), st.integers(0, 255), st.binary(max_size=30), st.binary(max_size=4))
@settings(deadline=None)
def test_nothing_in_plain_text_is_a_reply_once_secure(
    address: int, sequence: int, code: int, payload: bytes, scb: bytes
) -> None:
    session = secured()
    try:
        forged = frame.decode(frame.encode(address, sequence, code, payload, True, scb)[1:])
    except frame.FrameError:
        return
    reply = session.accept(forged)
    assert reply is None or reply.code == codes.BUSY
