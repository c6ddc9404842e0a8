"""Base45 (RFC 9285): bytes as characters that a QR code packs 5.5 bits each (its alphanumeric mode)."""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


class Base45Error(ValueError):
    """The text is not base45; the text of the error says where."""


def encode(data: bytes) -> str:
    """Three letters for two bytes, two for a last single one."""
    letters = []
    for i in range(0, len(data), 2):
        number = int.from_bytes(data[i : i + 2], "big")
        for _ in range(3 if len(data) - i > 1 else 2):
            number, value = divmod(number, 45)
            letters.append(ALPHABET[value])
    return "".join(letters)


def decode(text: str) -> bytes:
    """The bytes. Raises Base45Error for any text that `encode` does not make."""
    data = bytearray()
    for i in range(0, len(text), 3):
        group = text[i : i + 3]
        if len(group) == 1 or not all(letter in _VALUES for letter in group):
            raise Base45Error(f"expected two or three base45 letters at {i}")
        number = sum(_VALUES[letter] * 45**place for place, letter in enumerate(group))
        length = len(group) - 1
        if number >= 1 << (8 * length):
            raise Base45Error(f"the letters at {i} say more than {length} bytes hold")
        data += number.to_bytes(length, "big")
    return bytes(data)
