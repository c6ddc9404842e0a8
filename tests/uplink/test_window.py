"""What to send next: examples, and a lossy network played by Hypothesis in which everything must arrive in the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from center.contract.acknowledgement import MAX_MISSING_RANGES, Ack
from center.store.coverage import Coverage
from gateway.uplink.window import (
    MAX_BACKLOG_FRAMES_IN_FLIGHT,
    MAX_FRAMES_IN_FLIGHT,
    MAX_UNKNOWN_FRAMES_IN_FLIGHT,
    REORDER_MS,
    RESEND_MAX_MS,
    SendWindow,
)

EPOCH = "00112233445566aa"
RESEND_MS = 10_000


def window(acked_upto: int = 0, last_seq: int = 0, batch: int = 100) -> SendWindow:
    return SendWindow(acked_upto, last_seq, batch, RESEND_MS)


def send(one: SendWindow, now_ms: int = 0) -> tuple[int, int] | None:
    """Send the next frame as offered."""
    sending = one.next()
    if sending is None:
        return None
    one.sent(sending, sending.last, now_ms)
    return sending.first, sending.last


def send_all(one: SendWindow, now_ms: int = 0) -> list[tuple[int, int]]:
    return list(iter(lambda: send(one, now_ms), None))  # type: ignore[arg-type]


def ack(stored_upto: int, *missing: tuple[int, int], seen_upto: int = 0) -> Ack:
    return Ack(epoch=EPOCH, stored_upto=stored_upto, missing=missing, seen_upto=max(seen_upto, stored_upto))


def test_backlog_goes_in_batches_and_few_at_a_time() -> None:
    one = window(acked_upto=50, last_seq=1000)
    assert send_all(one) == [(51, 150), (151, 250), (251, 350), (351, 450)]
    one.acknowledged(ack(250))
    assert send_all(one) == [(451, 550), (551, 650)]


def test_live_goes_before_backlog_even_where_that_is_full() -> None:
    one = window(last_seq=1000)
    send_all(one)
    one.committed(1001)
    assert send_all(one) == [(1001, 1001)]
    one.committed(1003)
    assert send_all(one) == [(1002, 1003)], "one frame for what was committed together"


def test_a_silent_center_bounds_what_is_in_flight() -> None:
    one = window()
    for seq in range(1, 200):
        one.committed(seq)
        send_all(one)
    assert one.in_flight == MAX_FRAMES_IN_FLIGHT
    one.acknowledged(ack(MAX_FRAMES_IN_FLIGHT))
    assert send_all(one) == [(33, 132), (133, 199)], "what waited goes in batches"


def test_acknowledged_beyond_a_gap_is_not_sent_again() -> None:
    one = window(last_seq=300)
    send_all(one)
    one.committed(301)
    send_all(one)
    one.acknowledged(ack(100, (101, 300), seen_upto=301))
    assert one.in_flight == 2
    one.acknowledged(ack(301))
    assert one.idle


def test_missing_is_answered() -> None:
    one = window(acked_upto=500, last_seq=500)
    one.committed(501)
    send_all(one)
    one.acknowledged(ack(0, (1, 500), seen_upto=501))
    assert send_all(one) == [(1, 100), (101, 200), (201, 300), (301, 400)], "the center has lost its database"


def test_missing_that_is_on_the_way_is_not_sent_twice() -> None:
    one = window(last_seq=200)
    send_all(one)
    one.acknowledged(ack(0, (1, 200)))
    assert send_all(one) == []


def test_an_overtaken_frame_is_sent_again_soon_but_not_at_once() -> None:
    one = window(last_seq=300)
    send_all(one, now_ms=0)
    one.acknowledged(ack(100, (101, 200), seen_upto=300))
    assert one.expire(REORDER_MS - 1) == 0
    assert one.due_ms() == REORDER_MS
    assert one.expire(REORDER_MS) == 1
    assert send_all(one, REORDER_MS) == [(101, 200)]


def test_without_an_answer_only_the_oldest_is_sent_again_and_ever_later() -> None:
    one = window()
    for seq in range(1, 4):
        one.committed(seq)
        send_all(one)
    now_ms, waits = 0, []
    for _ in range(9):
        due_ms = one.due_ms()
        assert due_ms is not None
        assert one.expire(due_ms - 1) == 0
        assert one.expire(due_ms) == 1
        assert len(send_all(one, due_ms)) == 1
        waits.append(due_ms - now_ms)
        now_ms = due_ms
    assert waits[0] == RESEND_MS
    assert max(waits) <= RESEND_MAX_MS
    assert now_ms > 600_000, "a center that is away for hours finds few copies"
    one.acknowledged(ack(1))
    assert one.due_ms() <= now_ms + RESEND_MS or one.expire(now_ms)


def test_what_is_gone_is_not_offered_again() -> None:
    one = window(last_seq=100)
    sending = one.next()
    assert sending is not None
    one.gone(sending, 40)
    assert send_all(one) == [(41, 100)]
    one.acknowledged(ack(0, (1, 40), seen_upto=100))
    assert one.idle
    assert one.missing_here() == [(1, 40)]


def test_a_frame_may_hold_less_than_was_offered() -> None:
    for one in (window(last_seq=100), window()):
        one.committed(100)
        sending = one.next()
        assert sending is not None
        one.sent(sending, 10, 0)
        assert send_all(one) == [(11, 100)]


def send_what_is_here(one: SendWindow, now_ms: int, holes: set[int]) -> tuple[int, int] | None:
    """As the uplink does: a frame ends before the next hole, and a hole is passed over."""
    while (sending := one.next()) is not None:
        here = [seq for seq in range(sending.first, sending.last + 1) if seq not in holes]
        if not here or here[0] > sending.first:
            one.gone(sending, here[0] - 1 if here else sending.last)
            continue
        last = next((seq - 1 for seq in range(sending.first, sending.last + 1) if seq in holes), sending.last)
        one.sent(sending, last, now_ms)
        return sending.first, last
    return None


def test_frames_above_what_an_acknowledgement_speaks_of_do_not_hold_up_the_backlog() -> None:
    one = window(last_seq=1000, batch=1)
    missing = [(n, n) for n in range(2, 2 + 2 * MAX_MISSING_RANGES, 2)]
    for n, _ in missing:
        sending = one.next()
        assert sending is not None
        one.sent(sending, sending.last, 0)
        one.acknowledged(ack(n - 1))
        gone = one.next()
        assert gone is not None
        one.gone(gone, gone.last)
    above = send_all(one)
    assert len(above) == MAX_BACKLOG_FRAMES_IN_FLIGHT
    one.acknowledged(ack(1, *missing, seen_upto=missing[-1][1]))
    assert 0 < len(send_all(one)) <= MAX_BACKLOG_FRAMES_IN_FLIGHT, "they may be there already"
    while one.in_flight < MAX_UNKNOWN_FRAMES_IN_FLIGHT:
        one.acknowledged(ack(1, *missing, seen_upto=missing[-1][1]))
        send_all(one)
    one.acknowledged(ack(1, *missing, seen_upto=missing[-1][1]))
    send_all(one)
    assert one.in_flight <= MAX_UNKNOWN_FRAMES_IN_FLIGHT + MAX_BACKLOG_FRAMES_IN_FLIGHT


fates = st.lists(
    st.tuples(
        st.sampled_from(["arrives", "lost", "twice", "late"]),  # the frame
        st.sampled_from(["arrives", "lost"]),  # its acknowledgement
        st.integers(0, 3),  # events made meanwhile
        st.sampled_from(["", "", "", "new connection", "center loses everything"]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 30), st.integers(1, 7), fates, st.sets(st.integers(1, 60)))
def test_whatever_is_lost_everything_is_stored_in_the_end(
    backlog: int, batch: int, happening: list[tuple[str, str, int, str]], holes: set[int]
) -> None:
    """After any history of losses, duplicates and reordering, a network that works delivers everything; what the
    outbox has no longer (`holes`) is reported as lost where the center asks for it."""
    last_seq, acked_upto, now_ms = backlog, 0, 0
    center = Coverage()
    one = window(0, last_seq, batch)
    late: list[tuple[int, int]] = []

    def arrive(first: int, last: int, answered: bool) -> None:
        nonlocal acked_upto
        center.cover(first, last)
        if answered:
            answer = center.acknowledgement(EPOCH)
            acked_upto = max(acked_upto, answer.stored_upto)
            one.acknowledged(answer)
            for lost in one.asked_in_vain(answer):
                center.lose(*lost)

    quiet = [("arrives", "arrives", 0, "")] * 200
    for fate, answer, made, event in [*happening, *quiet]:
        last_seq += made
        one.committed(last_seq)
        if event == "new connection":
            one = window(acked_upto, last_seq, batch)
        elif event == "center loses everything":
            center = Coverage()
        now_ms += REORDER_MS
        one.expire(now_ms)
        sent = send_what_is_here(one, now_ms, holes)
        if sent is None:
            now_ms = max(now_ms, one.due_ms() or 0)
            if one.idle and center.stored_upto < last_seq:  # the next state message tells the center what exists
                center.announce(last_seq)
                answer = center.acknowledgement(EPOCH)
                one.acknowledged(answer)
                for lost in one.asked_in_vain(answer):
                    center.lose(*lost)
            continue
        if fate == "late":
            late.append(sent)
            continue
        if fate != "lost":
            arrive(*sent, answered=answer == "arrives")
        if fate == "twice":
            arrive(*sent, answered=True)
        for waiting in late:
            arrive(*waiting, answered=True)
        late.clear()
    assert center.stored_upto == last_seq
    assert one.idle
    assert MAX_BACKLOG_FRAMES_IN_FLIGHT < MAX_FRAMES_IN_FLIGHT
