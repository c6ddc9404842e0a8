"""The list of the enrolled at 2 000 holders: pages, search, and what no address says."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from html import unescape

import pytest
from browsers import Entered, enter

from gateway.enrolment import listing
from gateway.enrolment.capture import Capture
from gateway.enrolment.listing import PAGE_ROWS, Searches, matching, part, place
from gateway.enrolment.page import create
from gateway.enrolment.showing import Named
from gateway.errors import OperationRefusedError
from gateway.operations.messages import EnrolledFace, FacesAnswer, NamedHolder
from gateway.vision.camera_folder import FolderCamera

ZH, EN = {"accept-language": "zh-CN"}, {"accept-language": "en"}
COUNT = 2000


def face(n: int, guardian: str = "") -> EnrolledFace:
    """The n-th that was enrolled; two share each moment."""
    return EnrolledFace(
        f"{n:08x}" * 4, f"h{n}", ("lobby",), "chen", "card", n // 2, 10**12, 5, bool(guardian), guardian
    )


ANSWER = FacesAnswer(
    tuple(face(n, "Old Guardian" if n == 7 else "") for n in range(COUNT)),
    (), False, 100_000, tuple(NamedHolder(f"h{n}", f"住户{n}号", f"Holder No {n}") for n in range(COUNT)), ("lobby",),
)  # fmt: skip


class Core:
    """A core that knows so many; `away`: it refuses to say."""

    def __init__(self, answer: FacesAnswer = ANSWER) -> None:
        self.answer = answer

    async def faces(self) -> FacesAnswer:
        return self.answer

    async def withdraw_face(self, holder: str, operator: str):
        raise OperationRefusedError(f"no face of {holder!r} is stored; there is nothing to erase")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.delenv("ZHIAN_PAGE_TOKEN", raising=False)
    with ThreadPoolExecutor(1) as inference:
        yield lambda core=None: create(
            core or Core(), Capture(FolderCamera("desk", tmp_path), None, inference), Named(UTC)
        )


def rows(page) -> list[str]:
    return re.findall(r'<td class="lead"><strong>([^<]*)</strong>', page.text)


def older_of(page) -> str:
    found = re.search(r'id="list-older" href="([^"]+)"', page.text)
    return unescape(found[1]) if found else ""


async def found(visit: Entered, typed: str):
    sent = await visit.client.post("/find", data={"csrf": visit.csrf, "typed": typed})
    assert sent.status_code == 303
    return sent.headers["location"], await visit.client.get(sent.headers["location"])


def test_pages_hold_everybody_once_newest_first():
    seen, before = [], ""
    while True:
        one = part(ANSWER.faces, before)
        assert (one.first, one.last, one.of) == (len(seen) + 1, len(seen) + len(one.faces), COUNT)
        seen += one.faces
        if not (before := one.older):
            break
    assert len(seen) == COUNT == len({one.enrolment for one in seen})
    assert [one.given_ms for one in seen] == sorted((one.given_ms for one in ANSWER.faces), reverse=True)


def test_an_erasure_between_two_pages_loses_nobody():
    first = part(ANSWER.faces)
    gone = {first.faces[-1].enrolment, first.faces[3].enrolment}  # also the one that the next page comes after
    rest = [one for one in ANSWER.faces if one.enrolment not in gone]
    second = part(rest, first.older)
    assert second.faces == part(ANSWER.faces, first.older).faces
    assert part(rest[:0], first.older).faces == ()
    assert part(ANSWER.faces[:PAGE_ROWS]).older == ""


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("住户1234号", ["h1234"]), ("holder  no 1234", ["h1234"]), ("h1234", ["h1234"]), ("Ｈ１２３４", ["h1234"]),
        ("old guard", ["h7"]), ("0000-04D2", ["h1234"]), ("nobody", []),
    ],
)  # fmt: skip
def test_what_a_search_finds(typed, ids):
    assert [one.holder for one in matching(ANSWER, typed)] == ids


def test_a_search_is_its_windows_own_and_the_oldest_is_forgotten():
    searches = Searches()
    number = searches.keep("mine", "lin")
    assert searches.find("mine", number) == "lin"
    assert searches.find("another", number) is None
    for n in range(listing.MOST_SEARCHES):
        searches.keep("mine", str(n))
    assert searches.find("mine", number) is None


async def test_the_list_pages_as_the_other_lists_do(desk):
    for language, older, newest in ((ZH, "更早", "回到最新"), (EN, "Older", "Back to the newest")):
        visit = await enter(desk(), **language)
        first = await visit.client.get("/")
        assert len(rows(first)) == PAGE_ROWS
        assert newest not in first.text
        assert older in first.text
        second = await visit.client.get(older_of(first))
        assert len(rows(second)) == PAGE_ROWS
        assert not set(rows(first)) & set(rows(second))
        assert newest in second.text
        last = await visit.client.get(f"/?before={place(face(1))}")
        assert rows(last) == []  # face(0) shares its moment, and comes before it
        assert ("没有更早的登记了" if language is ZH else "no earlier enrolments") in last.text


async def test_a_search_finds_pages_and_says_when_there_is_nobody(desk):
    visit = await enter(desk(), **EN)
    address, many = await found(visit, "no 1")  # 1, 10-19, 100-199, 1000-1999
    assert "1111 found" in many.text
    assert len(rows(many)) == PAGE_ROWS
    assert older_of(many).startswith(address)
    second = await visit.client.get(older_of(many))
    assert all("No 1" in one for one in rows(second))
    assert not set(rows(many)) & set(rows(second))
    _, none = await found(visit, "<b>nobody")
    assert rows(none) == []
    assert "Nobody enrolled matches “&lt;b&gt;nobody”" in none.text
    assert (await found(visit, "  "))[0] == "/"
    assert "That search is over" in (await visit.client.get(f"/?search={'0' * 16}")).text
    other = await enter(desk(), **ZH)
    assert "没有找到“张三”" in (await found(other, "张三"))[1].text


async def test_no_address_of_a_search_names_anybody(desk):
    visit = await enter(desk(), **ZH)
    address, page = await found(visit, "住户1234号")
    assert re.fullmatch(r"/\?search=[0-9a-f]{16}", address)
    assert rows(page) == ["住户1234号"]
    addresses = re.findall(r'(?:href|action|src|data-url)="([^"]*)"', (await found(visit, "住户1"))[1].text)
    assert not [one for one in addresses if "h1" in one or "%" in one or not one.isascii()]


async def test_what_core_refuses_reaches_the_page_in_the_readers_language(desk):
    visit = await enter(desk(), **ZH)
    answer = await visit.act(f"/api/withdraw/{face(5).enrolment}")
    assert answer.json()["error"]["text"] == "没有完成删除：没有“住户5号”的人脸数据，无需删除；请重新载入列表。"
    broken = FacesAnswer((), (), False, 100_000, (), (), "/x: the store of faces cannot be opened (no); put it back")
    visit = await enter(desk(Core(broken)), **ZH)
    assert "人脸功能已停用：人脸库打不开；请放回最近一次备份。" in (await visit.client.get("/")).text
