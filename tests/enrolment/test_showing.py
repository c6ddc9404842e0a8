"""Names, numbers and days as the desk shows them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from gateway.enrolment import showing
from gateway.operations.messages import EnrolledFace, FaceReceipt, FacesAnswer, NamedHolder

HOLDERS = (
    NamedHolder("lin", "林晓", "Lin Xiao"), NamedHolder("wang-1", "王敏", "Wang Min"),
    NamedHolder("wang-2", "王敏", "Wang Min"), NamedHolder("x", "", ""),
)  # fmt: skip
GONE, HERE = "06cfe979" + "2" * 24, "ab" * 16
ANSWER = FacesAnswer(
    (EnrolledFace(HERE, "lin", ("lobby",), "chen", "card", 0, 1, 2, False, ""),),
    (FaceReceipt(1, GONE, 0, "withdrawn", 5, True, "d" * 64),),
    False,
    100_000,
    HOLDERS,
    ("lobby",),
)


def test_the_id_stands_beside_a_name_only_where_two_share_it():
    assert showing.names(ANSWER, "zh-CN") == {
        "lin": "林晓", "wang-1": "王敏 (wang-1)", "wang-2": "王敏 (wang-2)", "x": "x",
    }  # fmt: skip
    assert showing.names(ANSWER, "en")["lin"] == "Lin Xiao"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("林晓", ["lin"]), (" lin xiao ", ["lin"]), ("lin", ["lin"]), ("王敏 (wang-2)", ["wang-2"]),
        ("Wang Min", ["wang-1", "wang-2"]), ("张三", []), ("", []), (" ", []),
    ],
)  # fmt: skip
def test_who_is_meant(typed, meant):
    assert showing.chosen(typed, ANSWER) == meant


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("06CF-E979", "06cfe979"), ("06cf e979 2222", "06cfe9792222"), ("06CF", ""), ("", ""), ("hello-world", ""),
        ("06CF–E979", "06cfe979"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(typed, digits):
    assert showing.asked_number(typed) == digits


def test_a_number_finds_its_receipt_or_its_enrolment():
    assert showing.found(ANSWER, "06cfe979") is ANSWER.erased[0]
    assert showing.found(ANSWER, "abababab") is ANSWER.faces[0]
    assert showing.found(ANSWER, "00000000") is None
    assert showing.found(ANSWER, "") is None
    assert showing.short(GONE) == "06CF-E979"
    assert showing.whole(GONE).replace("-", "").lower() == GONE


def test_days_are_those_of_the_site():
    end = 1_790_000_000_000 // 86_400_000 * 86_400_000 + 10_800_000  # 03:00 UTC: the day before in New York
    assert showing.Named(ZoneInfo("America/New_York")).day(end) < showing.Named(ZoneInfo("Asia/Shanghai")).day(end)
    assert showing.Named(ZoneInfo("Asia/Shanghai")).moment(end).endswith("11:00")


def test_portals_are_called_as_the_site_calls_them():
    named = showing.Named(ZoneInfo("Asia/Shanghai"), portals={"lobby": ("单元门", "Lobby door")})
    assert named.all(("lobby", "gate"), "zh-CN") == "单元门、gate"
    assert named.all(("lobby", "gate"), "en") == "Lobby door, gate"
