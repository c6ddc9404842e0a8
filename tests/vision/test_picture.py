"""Pictures as they come: other orientations and colour spaces are read, everything else is one sentence."""

import io
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from gateway.errors import VisionError
from gateway.vision.picture import MAX_PIXELS, decode

PICTURE = np.zeros((40, 60, 3), np.uint8)
PICTURE[:, :30] = (200, 40, 10)  # BGR: blue on the left
PICTURE[:, 30:] = (20, 40, 220)


def encoded(mode="RGB", form="JPEG", **options):
    image = Image.fromarray(cv2.cvtColor(PICTURE, cv2.COLOR_BGR2RGB)).convert(mode)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def jpeg():
    return encoded(quality=95)


def moving(form):
    """Two pictures, one after the other."""
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    images[0].save(out, form, save_all=True, append_images=images[1:], duration=100)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_a_colour_picture_is_read(form):
    assert np.abs(decode(encoded(form=form), "a").astype(int) - PICTURE).mean() < 8


@pytest.mark.parametrize(
    ("mode", "form"), [("L", "JPEG"), ("L", "PNG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG")]
)
def test_other_colour_spaces_become_bgr(mode, form):
    picture = decode(encoded(mode, form), "a")
    assert picture.shape == PICTURE.shape
    expected = PICTURE if mode != "L" else cv2.cvtColor(cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert np.abs(picture.astype(int) - expected).mean() < 25


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    picture = decode(encoded(exif=exif.tobytes(), quality=95), "a")
    assert picture.shape == (60, 40, 3)
    assert picture[5, 20, 0] > 150, "the left side, blue, is on top now"


def test_a_grey_picture_on_its_side_is_upright_and_colour():
    exif = Image.Exif()
    exif[0x0112] = 8
    assert decode(encoded("L", exif=exif.tobytes()), "a").shape == (60, 40, 3)


GROWTH = """
import sys
from pathlib import Path
from gateway.errors import VisionError
from gateway.vision.picture import decode

def most_kb():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

data = Path(sys.argv[1]).read_bytes()
before = most_kb()
try:
    decode(data, "a")
except VisionError as e:
    assert "expected at most 25 million" in str(e), e
else:
    raise SystemExit("it was decoded")
print(most_kb() - before)
"""


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP"])
def test_a_hundred_megapixels_are_refused_before_anything_is_decoded(tmp_path, form):
    """The peak of the memory of a process of its own, which decodes nothing else: 300 MB if it did."""
    small = encoded(form=form)
    at, pattern = {"PNG": (16, ">II"), "JPEG": (small.find(b"\xff\xc0") + 5, ">HH"), "BMP": (18, "<ii")}[form]
    data = bytearray(small)
    struct.pack_into(pattern, data, at, 10_000, 10_001)
    (tmp_path / "a").write_bytes(data)
    command = [sys.executable, "-c", GROWTH, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8_000, "kB"


def bomb():
    """A PNG header that promises 100 megapixels."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 10_000, 10_001, 8, 2, 0, 0, 0)
        + b"\0" * 4
        + b"IEND"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"hello world, this is text", "expected a JPEG, PNG or BMP picture, got something else"),
        (b"GIF89a" + b"\0" * 40, "got a GIF"),
        (moving("GIF"), "got a GIF"),
        (moving("WEBP"), "got an animated WebP"),
        (moving("PNG"), "expected a still picture, got an animated PNG"),
        (encoded(form="WEBP"), "got a WebP"),
        (b"\x1aE\xdf\xa3" + b"\0" * 40, "got a video"),
        (b"RIFF\0\0\0\0AVI LIST" + b"\0" * 40, "got a video"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "got an AVIF or HEIC picture"),
        (b"%PDF-1.7 ...", "got a PDF"),
        (jpeg()[:-40], "cut short after"),
        (jpeg()[:9], "cut short after"),
        (b"\xff\xd8\xff", "cut short after"),
        (encoded(form="PNG")[:-20], "cut short after"),
        (encoded(form="PNG")[:20], "cut short after"),
        (encoded(form="PNG")[:50] + b"\0" * 30 + encoded(form="PNG")[-12:], "damaged"),
        (bomb(), f"10000 x 10001 pixels, expected at most {MAX_PIXELS // 1_000_000} million"),
        (jpeg() + b"\0" * 100_000, "expected at most 50000"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_with_the_name(data, words):
    with pytest.raises(VisionError, match=words) as e:
        decode(data, "门口/cam.jpg", max_bytes=50_000)
    assert str(e.value).startswith("门口/cam.jpg: ")
    assert "\n" not in str(e.value)


def test_any_prefix_of_a_picture_is_refused_and_nothing_else_happens():
    whole = jpeg()
    for end in range(0, len(whole) - 2, 7):
        with pytest.raises(VisionError):
            decode(whole[:end], "a")
