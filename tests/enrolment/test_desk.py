"""The enrolment desk as a property manager's browser meets it, step by step, in both languages."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import httpx
import numpy as np
import pytest
from browsers import Entered, enter

from gateway.enrolment.capture import ABANDONED_AFTER_S
from gateway.enrolment.photo import MAX_PHOTO_BYTES

ZH, EN = {"accept-language": "zh-CN"}, {"accept-language": "en"}
NUMBER = re.compile(r"[0-9A-F]{4}-[0-9A-F]{4}")


def text_of(page: httpx.Response) -> str:
    """What a person reads."""
    inside = page.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", inside))


async def consent(office, visit: Entered, holder="林晓", by="photos", **changes) -> httpx.Response:
    given = {
        "csrf": visit.csrf, "holder": holder, "portals": ["lobby"], "until": office.until, "other_way": "门禁卡",
        "asked_by": "陈主任", "agreed": "true", "by": by,
    }  # fmt: skip
    given = {key: value for key, value in (given | changes).items() if value is not None}
    return await visit.client.post("/new", data=given)


async def hand_over(visit: Entered, photo: bytes) -> httpx.Response:
    headers = {"x-csrf-token": visit.csrf, "content-type": "application/octet-stream"}
    return await visit.client.post("/api/photo", content=photo, headers=headers)


async def enrolled(office, visit: Entered, photos, **changes) -> httpx.Response:
    """From consent to the slip. The page, 200 where it was stored."""
    assert (await consent(office, visit, **changes)).status_code == 303
    for name in ("lin", "lin-again"):
        answer = await hand_over(visit, photos[name])
        assert answer.status_code == 200, answer.text
    return await visit.client.post("/take", data={"csrf": visit.csrf, "do": "store"})


async def test_from_photos_to_slip_list_and_receipt(office, photos):
    visit = await enter(office.app, **ZH)
    slip = await enrolled(office, visit, photos)
    assert slip.status_code == 200
    assert "林晓 的人脸已登记，共 2 条" in text_of(slip)
    assert "单元门" in text_of(slip)
    assert "花园小区" in text_of(slip)
    number = NUMBER.search(text_of(slip)).group()
    assert office.capture.collection is None  # nothing is left in the desk's memory
    listed = await visit.client.get("/")
    assert all(said in text_of(listed) for said in ("林晓", "单元门", "门禁卡", "陈主任", office.until, number))
    enrolment = (await office.core.faces()).faces[0].enrolment
    asked = await visit.client.get("/receipt", params={"number": number})
    assert "仍在登记中" in text_of(asked)
    told = (await visit.act(f"/api/withdraw/{enrolment}")).json()
    receipt = await visit.client.get(told["goto"])
    for said in ("撤回同意", number, "2", "已删除", "密钥已销毁 是"):
        assert said in text_of(receipt)
    found = await visit.client.get("/receipt", params={"number": number.lower().replace("-", " ")})
    assert found.headers["location"] == told["goto"]
    assert "没有这个编号" in text_of(await visit.client.get("/receipt", params={"number": "00000000"}))
    assert (await visit.act(f"/api/withdraw/{enrolment}")).status_code == 409  # there is nothing of it any more


async def test_every_answer_tells_the_browser_to_keep_nothing(office, photos):
    """Neither cache nor history: no-store on every page, on the picture and on what the desk answers."""
    visit = await enter(office.app, **EN)
    answers = [await consent(office, visit, by="camera")]
    (office.camera / "000000000001.jpg").write_bytes(photos["lin"])
    deadline = time.monotonic() + 20
    while office.capture.last is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    picture = await visit.client.get("/picture.jpg")
    assert picture.content.startswith(b"\xff\xd8")
    answers += [picture, await visit.client.get("/take")]
    answers.append(await visit.client.post("/take", data={"csrf": visit.csrf, "do": "photos"}))
    assert (await visit.client.get("/picture.jpg")).status_code == 204  # with photos, the camera is not shown
    answers += [await hand_over(visit, photos["lin"])]
    answers += [await visit.client.get(path) for path in ("/", "/new", "/assessment", "/statement")]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_a_photo_lies_in_no_file_on_its_way(office, photos):
    """Also one of 3 MB, which a form's upload would put into a temporary file: every open for writing is seen."""
    visit = await enter(office.app, **EN)
    await consent(office, visit)
    written, watching = [], True

    def audit(event, arguments):
        if watching and event == "open" and (set(str(arguments[1])) & set("wax+") or arguments[2] & os.O_WRONLY):
            written.append(arguments[0])

    sys.addaudithook(audit)
    large = photos["lin"] + bytes(3 << 20)  # what stands after the end of a JPEG is not looked at
    assert (await hand_over(visit, large)).status_code == 200
    watching = False
    assert written == []
    assert not [p for p in office.folder.rglob("*") if p.is_file() and photos["lin"][2000:2064] in p.read_bytes()]


async def test_the_pixels_of_a_photo_are_overwritten(office, photos, monkeypatch):
    from gateway.enrolment import photo

    kept, opened = [], photo.opened
    monkeypatch.setattr(photo, "opened", lambda data: kept.append(opened(data)) or kept[-1])
    visit = await enter(office.app, **EN)
    await consent(office, visit)
    await hand_over(visit, photos["lin"])
    reference = office.capture.collection.references[0]
    assert reference.any()
    assert [picture.any() for picture in kept] == [False]
    await visit.client.post("/take", data={"csrf": visit.csrf, "do": "cancel"})
    assert not reference.any()


async def test_no_address_and_no_log_names_a_holder(office, photos, capfd):
    """Addresses are written into logs and browsers' histories: they hold random numbers only."""
    visit = await enter(office.app, **EN)
    await enrolled(office, visit, photos)
    page = (await visit.client.get("/")).text
    addresses = re.findall(r'(?:href|action|src|data-url|id)="([^"]*)"', page)
    assert not [address for address in addresses if "lin" in re.split(r"[/?=&-]", address)]
    enrolment = (await office.core.faces()).faces[0].enrolment
    foreign = {"headers": {"origin": "http://evil.example", "x-csrf-token": visit.csrf}}
    await visit.act(f"/api/withdraw/{enrolment}", **foreign)  # refused, and logged with its address
    out, err = capfd.readouterr()
    assert not re.search(r"\blin\b|林晓|Lin Xiao", out + err)


async def test_an_enrolment_that_nobody_goes_on_with_is_forgotten(office, photos):
    """A closed tab leaves no face in memory."""
    visit = await enter(office.app, **EN)
    await consent(office, visit)
    await hand_over(visit, photos["lin"])
    reference = office.capture.collection.references[0]
    office.now_s[0] += ABANDONED_AFTER_S - 1
    office.app.state.forget_abandoned()
    assert office.capture.collection is not None
    await visit.client.get("/take")  # looking is going on
    office.now_s[0] += ABANDONED_AFTER_S + 1
    office.app.state.forget_abandoned()
    assert office.capture.collection is None
    assert not reference.any()
    assert "dropped" in text_of(await visit.client.get("/"))
    assert "dropped" not in text_of(await visit.client.get("/"))  # said once


async def test_another_window_sees_and_stores_nothing_of_an_enrolment(office, photos):
    mine, other = await enter(office.app, **EN), await enter(office.app, **EN)
    await consent(office, mine)
    assert "Another window is enrolling" in text_of(await consent(office, other, holder="Wang Qiang"))
    assert (await other.client.get("/take")).headers["location"] == "/"
    nothing = await other.client.get("/picture.jpg")
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert (await hand_over(other, photos["other"])).status_code == 409
    await other.client.post("/take", data={"csrf": other.csrf, "do": "cancel"})
    assert office.capture.collection is not None
    office.now_s[0] += 60  # the first one has been left
    assert (await consent(office, other, holder="Wang Qiang")).status_code == 303


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({"holder": "张三"}, "没有找到住户“张三”", "There is no holder “张三”"),
        ({"agreed": None}, "没有同意就不能登记", "Nobody is enrolled without consent"),
        ({"below_14": "true"}, "未满 14 周岁须由监护人同意", "Below 14 a guardian consents"),
        ({"below_14": "true", "guardian": "  "}, "未满 14 周岁须由监护人同意", "Below 14 a guardian consents"),
        ({"other_way": " "}, "请补全：已提供的其他进门方式", "Please complete: The other way in"),
        ({"asked_by": ""}, "请补全：由谁说明并征得同意", "Please complete: Who explained and asked"),
        ({"portals": None}, "请补全：可用的通道", "Please complete: At these portals"),
        ({"portals": ["cellar"]}, "所选通道已不接受人脸", "accepts no faces any more"),
        ({"until": "2020-01-01"}, "到期日须在明天至一年之内", "between tomorrow and a year"),
        ({"until": "soon"}, "到期日须在明天至一年之内", "between tomorrow and a year"),
    ],
)
async def test_a_consent_that_lacks_something_says_what(office, changes, zh, en):
    for headers, said in ((ZH, zh), (EN, en)):
        visit = await enter(office.app, **headers)
        answer = await consent(office, visit, **changes)
        assert answer.status_code == 422
        assert said in text_of(answer)
        assert 'value="' + (changes.get("other_way", "门禁卡").strip()) in answer.text  # what was typed stays
    assert office.capture.collection is None
    assert not office.core.asked


async def test_a_child_is_enrolled_with_its_guardian_named(office, photos):
    visit = await enter(office.app, **ZH)
    slip = await enrolled(office, visit, photos, below_14="true", guardian="林建国")
    assert "监护人 林建国" in text_of(slip)
    assert "监护人 林建国" in text_of(await visit.client.get("/"))
    assert re.search(r"其中未满 14 周岁（监护人已同意） 1 ", text_of(await visit.client.get("/assessment")))


async def test_the_same_face_for_another_holder_is_refused_in_the_visitors_language(office, photos):
    for headers, said in ((ZH, "这张脸与已登记的 林晓 非常相似"), (EN, "very like the enrolled one of Lin Xiao")):
        visit = await enter(office.app, **headers)
        again = "true" if office.core.asked else None
        assert (await enrolled(office, visit, photos, replace=again)).status_code == 200
        twice = await enrolled(office, visit, photos, holder="王强")
        assert twice.status_code == 409
        assert said in text_of(twice)
        await visit.client.post("/take", data={"csrf": visit.csrf, "do": "cancel"})
        assert office.capture.collection is None
    assert [one.holder for one in (await office.core.faces()).faces] == ["lin"]
    assert "已登记人脸" in text_of(await consent(office, await enter(office.app, **ZH)))  # and not by mistake once more


async def test_what_is_no_photo_of_one_person_says_what_to_do(office, photos):
    """Dark, turned away, two, none, 40 million pixels, a film, cut off, damaged, another file, nothing, twice."""
    lin = cv2.imdecode(np.frombuffer(photos["lin"], np.uint8), cv2.IMREAD_COLOR)
    other = cv2.imdecode(np.frombuffer(photos["other"], np.uint8), cv2.IMREAD_COLOR)

    def packed(picture, ending=".jpg"):
        return cv2.imencode(ending, picture)[1].tobytes()

    bad = {
        "光线太暗": packed((lin * 0.12).astype(np.uint8)),
        "不止一个人": packed(np.hstack([lin, other])),
        "没有看到人脸": packed(np.full_like(lin, 127)),
        "超过 2500 万像素": packed(np.zeros((6300, 6400, 3), np.uint8), ".png"),
        "这是视频或动图": b"\0\0\0\x18ftypmp42" + bytes(3000),
        "动图": b"GIF89a" + bytes(3000),
        "照片已损坏": photos["lin"][:900],
        "不是 JPEG 或 PNG": b"hello",
        "文件是空的": b"",
    }
    visit = await enter(office.app, **ZH)
    await consent(office, visit)
    for said, photo in bad.items():
        answer = await hand_over(visit, photo)
        assert (answer.status_code, said in answer.json()["error"]["text"]) == (422, True), (said, answer.text)
    assert office.capture.collection.references == []
    assert (await hand_over(visit, photos["lin"])).json()["text"] == "可用，已采集。"
    assert "已经选过" in (await hand_over(visit, photos["lin"])).text
    assert "不像同一个人" in (await hand_over(visit, photos["other"])).text
    assert len(office.capture.collection.references) == 1
    stored = await visit.client.post("/take", data={"csrf": visit.csrf, "do": "store"})
    assert stored.headers["location"] == "/take"  # one is too few
    assert not office.core.asked


async def test_a_photo_without_the_pages_token_or_too_large_is_refused_unread(office):
    visit = await enter(office.app, **EN)
    await consent(office, visit)
    without = await visit.client.post("/api/photo", content=bytes(100))
    assert (without.status_code, without.json()["error"]["code"]) == (403, "csrf")
    large = await hand_over(visit, bytes(MAX_PHOTO_BYTES + 1))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too-large")
    elsewhere = await visit.client.post("/take", content=bytes(20_000), headers={"x-csrf-token": visit.csrf})
    assert elsewhere.status_code == 413


async def test_a_camera_that_sends_no_pictures_says_so_and_an_old_picture_is_not_shown(office, photos):
    visit = await enter(office.app, **ZH)
    await consent(office, visit, by="camera")
    assert "还没有收到画面" in text_of(await visit.client.get("/take"))
    (office.camera / "000000000001.jpg").write_bytes(photos["lin"][:900])
    deadline = time.monotonic() + 20
    while not office.capture.unusable:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert "送来的不是可用的照片" in text_of(await visit.client.get("/take"))
    (office.camera / "000000000002.jpg").write_bytes(photos["lin"])
    while office.capture.now is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert "picture.jpg" in (await visit.client.get("/take")).text
    office.now_s[0] += 4
    page = await visit.client.get("/take")
    assert "picture.jpg" not in page.text
    assert "还没有收到画面" in text_of(page)


async def test_the_assessment_and_the_list_count_beside_the_filing_threshold(office):
    visit = await enter(office.app, **EN)
    form = text_of(await visit.client.get("/assessment"))
    for said in ("Garden", "Lobby door", "Stored: 0; to be filed from 100,000 on", "Lawful, legitimate, necessary?"):
        assert said in form
    assert "100,000 people files with the provincial authority" in text_of(await visit.client.get("/"))


DYING = """
import asyncio, importlib, os, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
try:
    asyncio.run(getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*eval(sys.argv[3])))
except Exception as e:
    print(type(e).__name__, resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
"""


@pytest.mark.parametrize(
    ("module", "function", "arguments"),
    [
        ("gateway.app", "run", "[Path('missing.toml')]"),
        ("gateway.enrolment.process", "serve", "[Path('missing.toml'), None, '127.0.0.1', 0]"),
        ("gateway.vision.worker", "run", "[Path('missing.toml')]"),
    ],
)
def test_a_process_that_crashes_leaves_no_dump_of_its_memory(tmp_path, module, function, arguments):
    """Where the machine would write one: faces are in that memory."""
    called = [sys.executable, "-c", DYING, module, function, arguments]
    said = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True)
    assert (said.stdout.strip(), said.returncode) == ("ConfigError (0, 0)", -signal.SIGABRT)
    assert list(tmp_path.iterdir()) == []
