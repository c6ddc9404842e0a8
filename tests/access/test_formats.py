"""Card formats against published examples, and what a wrong parity bit does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.formats import FORMATS, CardNumber, parity_holds, parity_problem, read_number, with_parity
from gateway.access.tokens import card_key

layouts = st.sampled_from(sorted(FORMATS)).map(FORMATS.__getitem__)

# format, facility, number, the bits as they arrive; where they are from.
VECTORS = [
    # Facility 0 and card 0: no ones at all, so only the odd parity bit is set.
    ("h10301", 0, 0, 0b0_00000000_0000000000000000_1),
    # Facility 1, card 1: one bit in the first half sets the even bit; one in the second satisfies the odd one.
    ("h10301", 1, 1, 0b1_00000001_0000000000000001_0),
    ("h10301", 255, 65535, 0b0_11111111_1111111111111111_1),
    # Hikvision "Wiegand Camera Operation Manual", page 9: card 1234567890 as 34 bits.
    ("wiegand-34", 0, 1234567890, 0b1_01001001100101100000001011010010_0),
    ("h10302", 0, 1, 0b0_00000000000000000000000000000000001_0),
    # Bit 18 belongs to both parities of the 37-bit formats: one in the middle flips both.
    ("h10302", 0, 1 << 17, 0b1_00000000000000000100000000000000000_0),
    ("h10304", 1, 0, 0b1_0000000000000001_0000000000000000000_1),
    ("h10304", 65535, 524287, 0b0_1111111111111111_1111111111111111111_1),
]


@pytest.mark.parametrize(("name", "facility", "number", "value"), VECTORS)
def test_published_examples(name, facility, number, value):
    layout = FORMATS[name]
    expected = CardNumber(name, None if layout.facility is None else facility, number)
    assert with_parity(layout, number, facility) == value
    assert read_number(value, layout) == expected


@given(layouts, st.data())
def test_what_is_written_is_read_and_any_flipped_bit_is_seen(layout, data):
    start, end = layout.number
    number = data.draw(st.integers(0, (1 << (end - start)) - 1))
    start, end = layout.facility or (0, 0)
    facility = data.draw(st.integers(0, (1 << (end - start)) - 1))
    value = with_parity(layout, number, facility)
    assert value < 1 << layout.bits
    found = read_number(value, layout)
    assert found == CardNumber(layout.name, facility if layout.facility else None, number)
    flipped = value ^ 1 << data.draw(st.integers(0, layout.bits - 1))
    assert not parity_holds(flipped, layout)
    assert read_number(flipped, layout) is None


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^h10301: expected a number of 0 to 65535, got 65536; read it off again$"):
        with_parity(FORMATS["h10301"], 65536)
    with pytest.raises(ValueError, match="expected a facility of 0 to 255, got 256"):
        with_parity(FORMATS["h10301"], 1, 256)
    with pytest.raises(ValueError, match="expected a facility of 0 to 0, got 1"):
        with_parity(FORMATS["h10302"], 1, 1)
    with pytest.raises(ValueError, match="expected a number of 0 to 65535, got -1"):
        with_parity(FORMATS["h10301"], -1)


@pytest.mark.parametrize(
    ("key", "accepted", "problem"),
    [
        ("26:0", {"h10301"}, "the parity of its 26 bits is wrong for h10301"),
        ("26:1", {"h10301"}, None),
        ("26:0", {"wiegand-34"}, None),  # a length that no named format has stays raw
        ("26:0", set(), None),
        ("32:0", {"h10301"}, None),
        ("37:1", {"h10302"}, None),
        ("37:0", {"h10302", "h10304"}, "the parity of its 37 bits is wrong for h10302 and h10304"),
        ("26:67108864", {"h10301"}, "it is no number of 26 bits"),  # 2**26: one bit too many
        ("26:67108863", {"h10301"}, "the parity of its 26 bits is wrong for h10301"),
        ("26:", {"h10301"}, "it is no number of 26 bits"),
        ("26:x", {"h10301"}, "it is no number of 26 bits"),
        ("26:\u0661", {"h10301"}, "it is no number of 26 bits"),  # a digit, but no ASCII one
        ("37:137438953471", {"h10304"}, "the parity of its 37 bits is wrong for h10304"),  # the most digits there are
        ("37:68719476735", {"h10304"}, None),
        ("37:0000000000001", {"h10304"}, "it is no number of 37 bits"),
        ("26", {"h10301"}, "it is no number of 26 bits"),
    ],
)
def test_parity_of_a_key(key, accepted, problem):
    assert parity_problem(key, accepted) == problem


def test_a_format_without_facility_needs_none():
    assert with_parity(FORMATS["h10302"], 1) == 2
    assert with_parity(FORMATS["h10301"], 0) == with_parity(FORMATS["h10301"], 0, 0)


def test_the_key_of_a_read_carries_the_parity_bits():
    value = with_parity(FORMATS["h10301"], 1, 1)
    data = (value << 6).to_bytes(4, "big")
    assert card_key(26, data) == f"26:{value}"
    assert parity_problem(card_key(26, data), {"h10301"}) is None
