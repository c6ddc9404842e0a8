"""Films through the worker's pipeline: when each visit was, what is refused, and how every bad file is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.errors import VisionError
from gateway.vision.grammar import Refusal
from gateway.vision.lane import Lane
from gateway.vision.reader import PlateFound
from gateway.vision.text import Reading
from gateway.vision.video import MAX_BYTES, MAX_KEPT, Film, Kept, Pace, Shot, is_film, visits
from gateway.vision.visit import Seen, Unread, Visits
from sim.render.plate import PlateKind
from sim.render.scene import approach, empty_scene
from zhian.plate import _film
from zhian.plate_film import Told, clock, read_film

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


def record(path, pictures, per_s=10, codec=None):
    high, wide = pictures[0].shape[:2]
    code = cv2.VideoWriter_fourcc(*(codec or CODECS[path.suffix]))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, per_s, (wide, high))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def grey(count, size=(64, 48)):
    return [np.full((size[1], size[0], 3), 20 * n % 256, np.uint8) for n in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("南门 影片")


@pytest.fixture(scope="module")
def two_cars(folder):
    """4.7 s: a car, nobody, a car whose number nobody was given, nobody."""
    pictures = [frame.image for frame in approach("京A12345", PlateKind.BLUE, seed=11, frames=10)]
    pictures += [empty_scene(seed=5)] * 24
    pictures += [frame.image for frame in approach("京ABCDEF", PlateKind.BLUE, seed=12, frames=10)]
    return record(folder / "车道.mp4", [*pictures, *[empty_scene(seed=6)] * 3])


@pytest.fixture(scope="module")
def small(folder):
    """A film of each container, two seconds."""
    return {ending: record(folder / f"small{ending}", grey(20)) for ending in CODECS}


def read(*arguments):
    command = [sys.executable, "-m", "zhian", "plate", "read", *map(str, arguments)]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as on a terminal
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=strict, timeout=60)


def test_each_visit_is_told_with_its_time_and_drawn(two_cars, tmp_path):
    done = read(two_cars, "--json", "--draw", tmp_path)
    assert done.returncode == 0, done.stderr
    seen, refused = (json.loads(line) for line in done.stdout.splitlines())
    assert (seen["text"], seen["kind"], seen["direction"]) == ("京A12345", "blue", "approaching")
    assert 0 < seen["at_s"] < 1.0
    assert 0.6 <= seen["score"] <= 1
    assert seen["frames"] >= 2
    assert (seen["model"], len(seen["model_sha256"])) == ("plate-reader", 64)
    assert refused["refused"] in (*Refusal, "weak", "torn")
    assert len(refused["reason"]) > 10
    assert 3.4 <= refused["at_s"] <= 4.4
    for row in (seen, refused):
        assert cv2.imdecode(np.fromfile(row["drawn"], np.uint8), cv2.IMREAD_COLOR).shape == (540, 960, 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_in_words(two_cars, plates, capsys):
    read_film(plates, two_cars, per_s=5, draw=None, as_json=False)
    seen, refused = capsys.readouterr().out.splitlines()
    assert seen.startswith(f"{two_cars} at 00:00.")
    assert "京A12345 (blue, score" in seen
    assert seen.endswith("frames, approaching)")
    assert f"{two_cars} at 00:0" in refused
    assert ": refused '" in refused


def test_bad_films_are_one_sentence_each_and_the_others_are_read(two_cars, small, tmp_path):
    cut = tmp_path / "剪断.mp4"
    cut.write_bytes(two_cars.read_bytes()[: two_cars.stat().st_size // 2])
    (tmp_path / "照片.mp4").write_bytes(cv2.imencode(".jpg", grey(1)[0])[1].tobytes())
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    named_otherwise = odd / "film.dat"
    named_otherwise.write_bytes(small[".mkv"].read_bytes())
    done = read(cut, tmp_path / "照片.mp4", tmp_path / "nowhere.mov", named_otherwise)
    assert done.returncode == 1
    assert done.stdout == f"{tmp_path}/\\udcff/film.dat: no plate came in 00:01.9\n"
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO: Created TensorFlow Lite")]
    assert [line.split(": ")[:2] for line in said] == [
        ["zhian", str(tmp_path / name)] for name in ("剪断.mp4", "照片.mp4", "nowhere.mov")
    ], "the decoder's own words stay away"
    assert "got a JPEG picture" in said[1]


def test_a_film_is_no_single_plate(small, plates):
    with pytest.raises(VisionError, match="leave --cropped out"):
        _film(plates, small[".avi"], 10, None, cropped=True, as_json=False)


@pytest.mark.parametrize("ending", CODECS)
def test_every_container_gives_its_pictures_at_an_even_pace(small, ending):
    with Film(small[ending]) as film:
        assert film.length_ms == pytest.approx(2000, abs=110)
        assert [shot.at_ms for shot in film.shots(25)] == list(range(0, 2000, 100))
    with Film(small[ending]) as film:
        found = list(film.shots(5))
    assert [shot.at_ms for shot in found] == list(range(0, 2000, 200))
    assert found[0].picture.shape == (48, 64, 3)
    assert abs(int(found[2].picture.mean()) - 80) < 12, "the picture is that of its time"


def test_what_is_read_of_films_of_any_pace_is_even():
    def read_of(per_s, every_ms, until_ms=10_000):
        pace = Pace(per_s)
        return [at for at in np.arange(0, until_ms, every_ms) if pace.due(int(at))]

    for every_ms in (4.2, 16.7, 33.4, 40, 41.7):
        taken = read_of(10, every_ms)
        assert 90 <= len(taken) <= 100
        assert np.diff(taken).max() <= 100 + every_ms
    assert len(read_of(10, 1000)) == 10
    pace = Pace(10)
    assert [at for at in (0, 10, 5000, 5010, 5060, 5110) if pace.due(at)] == [0, 5000, 5060]


def header(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "got an empty file"),
        (b"#EXTM3U\n#EXTINF:9\nhttp://127.0.0.1:9/a.ts\n", "got something else"),
        (b"GIF89a" + bytes(60), "got a GIF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "got a PNG picture"),
        (b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(40), "got an animated WebP"),
        (b"\0\0\0\x1cftypisom" + bytes(40), "cut short, damaged or has no pictures"),
        (b"\x1aE\xdf\xa3" + bytes(range(256)) * 20, "cut short, damaged or has no pictures"),
        (b"RIFF\0\1\0\0AVI LIST" + bytes(300), "cut short, damaged or has no pictures"),
    ],
)  # fmt: skip
def test_what_is_no_film_is_one_sentence(tmp_path, data, words):
    path = header(tmp_path / "门口.mp4", data)
    with pytest.raises(VisionError, match=words) as e:
        Film(path)
    assert str(e.value).startswith(f"{path}: ")
    assert "\n" not in str(e.value)


def test_too_large_too_long_and_of_no_length(tmp_path, small):
    path = tmp_path / "large.mkv"
    path.write_bytes(small[".mkv"].read_bytes()[:64])
    os.truncate(path, MAX_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(VisionError, match=f"expected at most {MAX_BYTES}"):
        Film(path)
    with pytest.raises(VisionError, match="4000 x 2600 pixels, expected at most 9 million"):
        Film(record(tmp_path / "wide.avi", grey(1, (4000, 2600))))
    for pace in (1, 2):
        long = record(tmp_path / f"long{pace}.avi", grey(2), per_s=pace)
        data = bytearray(long.read_bytes())
        rate = data.index(b"strh") + 28  # scale, rate, start, length of the stream
        data[rate : rate + 4] = (40_000).to_bytes(4, "little")  # one picture in many hours
        long.write_bytes(data)
        with pytest.raises(VisionError, match="expected at most 4 h; cut it into parts"), Film(long) as film:
            list(film.shots())
    writer = cv2.VideoWriter(str(tmp_path / "none.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.release()
    with pytest.raises(VisionError, match="has no picture in it"), Film(tmp_path / "none.avi") as film:
        list(film.shots())


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VisionError, match="expected a film in a file"):
        Film(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VisionError, match="expected a film in a file"):
        Film(tmp_path / "folder.mp4")


@pytest.mark.parametrize("name", ["%03d.mp4", "concat:a|b.mp4", "http:x.mp4", "-i.mp4", "南门\n.mp4"])
def test_a_name_is_only_a_name(tmp_path, small, name):
    (tmp_path / name).write_bytes(small[".mp4"].read_bytes())
    with Film(tmp_path / name) as film:
        assert len(list(film.shots(25))) == 20


@pytest.mark.parametrize("ending", [".mkv", ".avi"])
def test_a_film_that_is_cut_short_says_so_after_what_was_there(tmp_path, plates, ending):
    whole = record(
        tmp_path / f"whole{ending}", [f.image for f in approach("京A12345", PlateKind.BLUE, seed=11, frames=20)]
    )
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = []

    def read_all():
        with Film(cut) as film:
            for visit in visits(Lane(plates, Visits(0.6, 2)), film.shots()):
                found.append(visit.came_to)

    with pytest.raises(VisionError, match=r"cut short after \d\.\d s of 2\.0 s; what was there was read"):
        read_all()
    assert [one.text for one in found if isinstance(one, Seen)] == ["京A12345"]


def test_nothing_stays_open(small, tmp_path):
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Film(small[".mp4"]) as film:
            next(film.shots())
        with pytest.raises(VisionError):
            Film(header(tmp_path / "bad.mp4", b"\0\0\0\x1cftypisom"))
    assert set(os.listdir("/proc/self/fd")) == before


def test_kinds_of_heads():
    assert is_film(b"\0\0\0\x1cftypisom")
    assert is_film(b"\0\0\0\x08wide....")
    assert is_film(b"RIFF\0\0\0\0AVI LIST")
    for other in (b"", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff", b"GIF89a"):
        assert not is_film(other)


class Script:
    """Stands for the nets: what is read at each picture, by the picture's brightness."""

    def __init__(self, readings):
        self.readings = readings

    def find(self, picture, looks, *, thorough=False):
        reading = self.readings.get(int(picture[0, 0, 0]))
        corners = np.float32([[10, 20], [50, 20], [50, 30], [10, 30]])
        return [PlateFound(reading, corners, 0.9)] if reading else []


def scripted(readings, shots):
    return list(visits(Lane(Script(readings), Visits(0.6, 2)), shots))


def shot(at_ms, level):
    picture = np.full((48, 64, 3), level, np.uint8)
    picture[:, : 2 + (at_ms // 100) % 30] = level  # same level throughout
    return Shot(at_ms, picture)


def test_what_only_waits_for_time_comes_after_the_last_picture():
    one = Reading("京A12345", "blue", 0.9)
    (visit,) = scripted({200: one}, [shot(n * 1000, 200) for n in range(2)])
    assert isinstance(visit.came_to, Seen)
    assert 1000 < visit.at_ms <= 1750
    weak = Reading("京A12345", "blue", 0.3)
    (visit,) = scripted({200: weak}, [shot(n * 1000, 200) for n in range(4)])
    assert visit.came_to == Unread("京A12345", "blue", 0.3, 4, "weak", 3000)
    assert visit.at_ms == 3000


def test_a_gap_in_a_film_ends_a_visit():
    one = Reading("京A12345", "blue", 0.9)
    shots = [shot(n * 1000, 200) for n in range(3)] + [shot(3_600_000 + n * 1000, 200) for n in range(3)]
    assert [round(visit.at_ms, -6) for visit in scripted({200: one}, shots)] == [0, 4_000_000]


def test_what_is_kept_for_drawing_is_bounded_and_the_right_one():
    kept = Kept()
    for n in range(3 * MAX_KEPT):
        kept.keep(shot(n * 100, n % 256), [])
    assert len(kept._pictures) == MAX_KEPT
    picture, _ = kept.at(15_040)
    assert abs(int(picture.mean()) - 150) <= 1
    assert kept.at(0) is not None, "what is gone is drawn on the oldest that is kept"
    assert Kept().at(0) is None


def test_progress_is_told_every_few_seconds_only():
    now, said = [0.0], []
    told = Told(Path("a.mp4"), 3_725_000, said.append, lambda: now[0])
    for second in range(13):
        now[0] = second
        told.at(second * 60_000)
    assert said == ["a.mp4: 05:00.0 of 1:02:05.0, 0 visits so far", "a.mp4: 10:00.0 of 1:02:05.0, 0 visits so far"]


@pytest.mark.parametrize(("ms", "words"), [(0, "00:00.0"), (61_250, "01:01.2"), (3_600_000, "1:00:00.0")])
def test_moments_of_a_film(ms, words):
    assert clock(ms) == words
