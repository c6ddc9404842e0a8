"""Keyed values: tokens cannot be joined across days or sites; a PIN's digest does not show the PIN."""

from datetime import date

from gateway.access.tokens import card_key, pin_digest, token

KEY, OTHER = bytes(32), bytes([1] * 32)
DAY, NEXT = date(2026, 11, 22), date(2026, 11, 23)


def test_a_token_stands_for_one_subject_on_one_day_at_one_site():
    first = token(KEY, "holder", "lin", DAY)
    assert first == token(KEY, "holder", "lin", DAY)
    others = {
        token(KEY, "holder", "lin", NEXT),
        token(OTHER, "holder", "lin", DAY),
        token(KEY, "holder", "wu", DAY),
        token(KEY, "vehicle", "lin", DAY),
    }
    assert len(others | {first}) == 5
    assert len(first) == 16


def test_two_holders_with_the_same_pin_have_different_digests():
    assert pin_digest(KEY, "1234", "lin") != pin_digest(KEY, "1234", "wu")
    assert pin_digest(KEY, "1234", "lin") != pin_digest(KEY, "1234")
    assert pin_digest(KEY, "1234", "lin") != pin_digest(OTHER, "1234", "lin")


def test_a_card_is_read_most_significant_bit_first_and_unused_bits_do_not_count():
    assert card_key(26, bytes([0x80, 0, 0, 0x40])) == f"26:{(1 << 25) | 1}"
    assert card_key(8, b"\xff") == "8:255"


def test_values_stay_what_they_were():
    """Stored PINs and tokens already sent depend on them. The digest was checked as hmac(key, "pin||1234")."""
    assert token(KEY, "holder", "lin", DAY) == "43gbo5fmeuanem6s"
    assert pin_digest(KEY, "1234") == "1bfa8c772395c77aefd501a7bec38fb7322ded92674bfab3e6e9cb91ee6329d1"
