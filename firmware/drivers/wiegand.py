"""Wiegand: from single bits to cards and keys, whoever hears the pulses. Pure; time is the listener's.

A reader pulls DATA0 low for a 0 and DATA1 for a 1, for 20 to 100 microseconds, bits 0.2 to 20 ms apart; a frame ends
with silence. Cards have 26 to 37 bits; a keypad sends each key as 4 bits, or as 8: the nibble inverted, then as it is.
"""

MIN_CARD_BITS = 26
MAX_CARD_BITS = 37
# Longer than the longest pause between two bits, much shorter than between two cards or keys.
GAP_MS = 32
_KEYS = "0123456789*#"
_SYMBOLS = 16  # two-bit symbols in a word of the PIO program
_BOTH = 3  # both lines low at once: no reader does that


class BitFrames:
    """Gathers the bits of one frame. `refused` counts frames of an odd length, with a key that is none, or spoiled."""

    def __init__(self):
        self._value = 0
        self._bits = 0
        self._spoiled = False
        self.refused = 0

    @property
    def empty(self) -> bool:
        """No bit since the last end."""
        return self._bits == 0 and not self._spoiled

    def add(self, bit: int) -> None:
        """The next bit. Bits beyond the longest frame spoil it and are not kept."""
        if self._bits == MAX_CARD_BITS:
            self._spoiled = True
            return
        self._value = self._value << 1 | bit
        self._bits += 1

    def spoil(self) -> None:
        """What is being gathered is not to be believed."""
        self._spoiled = True

    def end(self):
        """Silence: ("card", bits, data with the first bit in the top of data[0]), ("keys", text), or None."""
        value, bits, spoiled, empty = self._value, self._bits, self._spoiled, self.empty
        self._value = self._bits = 0
        self._spoiled = False
        if empty:
            return None
        if not spoiled:
            if MIN_CARD_BITS <= bits <= MAX_CARD_BITS:
                size = (bits + 7) // 8
                return "card", bits, (value << (8 * size - bits)).to_bytes(size, "big")
            key = value & 15
            if (bits == 4 or (bits == 8 and value >> 4 == key ^ 15)) and key < len(_KEYS):
                return "keys", _KEYS[key]
        self.refused += 1
        return None


class WordFrames:
    """Reads what the PIO program pushes: words of up to 16 two-bit symbols, the oldest in the highest place.

    1 is a pulse on DATA0, 2 on DATA1, 3 on both; a word whose lowest symbol is 0 ends the frame.
    """

    def __init__(self):
        self._frames = BitFrames()

    @property
    def refused(self) -> int:
        """Frames that were no card and no key."""
        return self._frames.refused

    def spoil(self) -> None:
        """Words were lost: the frame that goes on now is not to be believed."""
        self._frames.spoil()

    def word(self, word: int):
        """One word. What `BitFrames.end` returns where it ends a frame, else None."""
        for place in range(2 * _SYMBOLS - 2, -1, -2):
            symbol = word >> place & 3
            if symbol == _BOTH:
                self._frames.spoil()
            elif symbol:
                self._frames.add(symbol - 1)
        return None if word & 3 else self._frames.end()
