"""One photo that was handed over, in memory: what is wrong with it, as the key of a sentence in two languages."""

from __future__ import annotations

from gateway.errors import VisionError
from gateway.vision.picture import MAX_PIXELS, Picture, decode, kind_of

MAX_PHOTO_BYTES = 24 << 20  # a photo of 40 million pixels still arrives, and is told what is wrong with it
PICTURES = ("a JPEG picture", "a PNG picture", "a BMP picture")


class PhotoError(VisionError):
    """It cannot be used. `key`: of the desk's texts, photo.*."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def opened(data: bytes) -> Picture:
    """The decoded photo. Raises PhotoError: empty, a film, another file, too many pixels, damaged."""
    if not data:
        raise PhotoError("photo.empty")
    kind = kind_of(data[:64])
    if kind not in PICTURES:
        film = kind is not None and ("video" in kind or "GIF" in kind or "animated" in kind)
        raise PhotoError("photo.film" if film else "photo.other")
    try:
        return decode(data, "photo", max_bytes=MAX_PHOTO_BYTES)
    except VisionError as e:
        raise PhotoError("photo.large" if f"{MAX_PIXELS // 1_000_000} million" in str(e) else "photo.damaged") from e
