"""QR passes: our form, other people's software, pictures, and everything that is no pass."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from typing import Any

import cbor2
import cwt
import pytest
import segno
import zxingcpp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gateway.access import base45, cbor
from gateway.access.passes import PREFIX, Pass, PassError, as_credential, encode, parse, read
from gateway.access.policy import Credential
from gateway.model import CredentialKind

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY_ID = b"\x01\x02"
BEGIN = 1_795_000_000
GUEST = Pass(b"pass-id!", "lin", ("lobby", "gate"), BEGIN, BEGIN + 7200, 2)
LONGEST = Pass(b"p" * 16, "h" * 32, tuple(f"portal-{i:02}-" + "x" * 4 for i in range(16)), BEGIN, BEGIN + 7200, 1000)


def sign(message: bytes) -> bytes:
    return KEY.sign(message)


def verify(key_id: bytes, message: bytes, signature: bytes) -> bool:
    try:
        KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return key_id == KEY_ID


passes = st.builds(
    Pass,
    st.binary(min_size=8, max_size=16),
    st.text(min_size=1, max_size=8),
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4).map(tuple),
    st.just(BEGIN),
    st.integers(BEGIN + 1, BEGIN + 366 * 86_400),
    st.one_of(st.none(), st.integers(1, 1000)),
)


@given(passes, st.binary(min_size=1, max_size=8))
def test_what_is_encoded_is_parsed(claims, key_id):
    text = encode(claims, key_id, sign)
    signed = parse(text)
    assert signed.claims == claims
    assert signed.key_id == key_id
    KEY.public_key().verify(signed.signature, signed.message)
    assert set(text) <= set(base45.ALPHABET)


def test_a_pass_of_this_site_is_read():
    assert read(encode(GUEST, KEY_ID, sign), verify) == GUEST
    with pytest.raises(
        PassError, match=r"^pass: the signature is not by a key of this site; the pass is forged or another site's$"
    ):
        read(encode(GUEST, b"other", sign), verify)


def test_any_changed_letter_is_noticed():
    text = encode(GUEST, KEY_ID, sign)
    for i in range(len(PREFIX), len(text)):
        changed = text[:i] + ("0" if text[i] != "0" else "1") + text[i + 1 :]
        with pytest.raises(PassError):
            read(changed, verify)


def test_as_a_credential():
    expected = Credential(
        CredentialKind.QR,
        b"pass-id!".hex(),
        "lin",
        valid_from_ms=BEGIN * 1000,
        valid_until_ms=(BEGIN + 7200) * 1000,
        uses=2,
        portals=frozenset({"lobby", "gate"}),
        counter=f"pass-{GUEST.id.hex()}",
    )
    assert as_credential(GUEST) == expected
    assert as_credential(GUEST).name == f"qr:{GUEST.id.hex()}"


# --- other people's software -------------------------------------------------------------------------------------


def test_the_cwt_package_reads_our_pass():
    """It looks at the real time, so the pass is one of now."""
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    begin = int(time.time()) - 60
    guest = replace(GUEST, valid_from_s=begin, valid_until_s=begin + 7200)
    token = base45.decode(encode(guest, KEY_ID, sign).removeprefix(PREFIX))
    found = cwt.decode(token, cwt.COSEKey.from_pem(pem, kid=KEY_ID))
    assert found == {2: "lin", 3: ["lobby", "gate"], 4: begin + 7200, 5: begin, 7: b"pass-id!", -65537: 2}
    stranger = Ed25519PrivateKey.generate().public_key()
    pem = stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(cwt.VerifyError):
        cwt.decode(token, cwt.COSEKey.from_pem(pem, kid=KEY_ID))


def test_a_pass_made_by_the_cwt_package_is_accepted():
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private = cwt.COSEKey.from_pem(pem, kid=KEY_ID)
    claims = {2: "lin", 3: ["lobby", "gate"], 4: BEGIN + 7200, 5: BEGIN, 7: b"pass-id!", -65537: 2}
    token = cwt.encode(claims, private)
    assert read(PREFIX + base45.encode(token), verify) == GUEST
    tagged = cwt.encode(claims, private, tagged=True)
    assert read(PREFIX + base45.encode(tagged), verify) == GUEST


@pytest.mark.parametrize(("claims", "error"), [(GUEST, "m"), (GUEST, "l"), (LONGEST, "l")], ids=["m", "l", "longest"])
def test_through_a_picture(claims, error):
    """Drawn by segno, read by zxing-cpp: two QR implementations by other authors."""
    text = encode(claims, KEY_ID, sign)
    code = segno.make(text, error=error, boost_error=False, micro=False)
    assert code.mode == "alphanumeric"
    picture = io.BytesIO()
    code.save(picture, kind="png", scale=4)
    (seen,) = zxingcpp.read_barcodes(Image.open(picture))
    assert seen.text == text
    assert read(seen.text, verify) == claims


def test_the_size_that_the_docs_state():
    text = encode(GUEST, KEY_ID, sign)
    sizes = {error: segno.make(text, error=error, boost_error=False).version for error in ("l", "m")}
    assert (len(text), sizes) == (193, {"l": 6, "m": 8})
    longest = encode(LONGEST, KEY_ID, sign)
    assert len(longest) < 600
    assert segno.make(longest, error="l", boost_error=False).version <= 14


# --- what is no pass -------------------------------------------------------------------------------------------------


@given(st.text(max_size=700))
def test_any_text_is_a_pass_or_a_pass_error(text):
    for one in (text, PREFIX + text):
        with pytest.raises(PassError):
            read(one, verify)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_pass_or_a_pass_error(data):
    with pytest.raises(PassError):
        read(PREFIX + base45.encode(data), verify)


plain = st.recursive(
    st.one_of(st.integers(-(2**64), 2**64 - 1), st.binary(max_size=9), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.integers(-70000, 70000), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(plain, plain, plain, plain)
def test_any_four_parts_are_a_pass_or_a_pass_error(protected, unprotected, body, signature):
    for wrapped in (body, cbor2.dumps(body), cbor2.dumps({4: body})):
        token = cbor2.CBORTag(18, [protected, unprotected, wrapped, signature])
        with pytest.raises(PassError):
            read(PREFIX + base45.encode(cbor2.dumps(token)), verify)


def forged(
    protected: Any = None, unprotected: Any = None, claims: Any = None, *, signature: Any = None, tag: int = 18
) -> str:
    """A token with our signature whose parts are replaced."""
    protected = cbor2.dumps({1: -8}) if protected is None else protected
    unprotected = {4: KEY_ID} if unprotected is None else unprotected
    good = {2: "lin", 3: ["lobby", "gate"], 4: BEGIN + 7200, 5: BEGIN, 7: b"pass-id!", -65537: 2}
    body = cbor2.dumps(good | claims) if isinstance(claims, dict) else good if claims is None else claims
    body = cbor2.dumps(body) if isinstance(body, dict) else body
    made = sign(cbor2.dumps(["Signature1", protected, b"", body])) if signature is None else signature
    return PREFIX + base45.encode(cbor2.dumps(cbor2.CBORTag(tag, [protected, unprotected, body, made])))


def test_the_forger_can_make_a_good_one():
    assert read(forged(), verify) == GUEST
    assert read(forged(cbor2.dumps({1: -8, 4: KEY_ID}), {}), verify) == GUEST
    assert read(forged(cbor2.dumps({1: -8, 4: KEY_ID}), {4: b"ignored"}), verify) == GUEST


NO_PASS = {
    "another algorithm": (forged(cbor2.dumps({1: -7})), "expected EdDSA in the protected header; other"),
    "no algorithm": (forged(cbor2.dumps({})), "expected EdDSA"),
    "algorithm not protected": (forged(cbor2.dumps({}), {1: -8, 4: KEY_ID}), "expected EdDSA"),
    "critical headers": (forged(cbor2.dumps({1: -8, 2: [9], 9: 1})), "asks for more than this site understands"),
    "header is no map": (forged(cbor2.dumps([1])), "expected a map as its header; it is no pass"),
    "header is no cbor": (forged(b"\xff"), "header: expected a definite integer"),
    "claims are no map": (forged(claims=cbor2.dumps([1])), "expected a map as its claims"),
    "claims are no cbor": (forged(claims=b""), "claims: cut off at byte 0; it is no pass"),
    "no key id": (forged(unprotected={}), "expected a key id of 1 to 8 bytes; it is no pass"),
    "an empty key id": (forged(unprotected={4: b""}), "expected a key id of 1 to 8 bytes"),
    "a long key id": (forged(unprotected={4: b"123456789"}), "expected a key id of 1 to 8 bytes"),
    "a key id of text": (forged(unprotected={4: "ab"}), "expected a key id of 1 to 8 bytes"),
    "a short signature": (forged(signature=b"x" * 63), "expected 64 bytes of signature, got 63; it is no pass"),
    "a signature of text": (forged(signature="x" * 64), "expected the four parts of COSE_Sign1; it is no pass"),
    "a MAC": (forged(tag=17), "expected COSE_Sign1; it is no pass"),
    "an unknown claim": (forged(claims={1: "iss"}), "1 claims that this site does not understand"),
    "a claim by name": (forged(claims={"uses": 9}), "1 claims that this site does not understand"),
    "no host": (
        forged(claims=cbor2.dumps({3: ["a"], 4: 2, 5: 1, 7: b"12345678"})),
        "one is missing or of another kind",
    ),
    "a host of bytes": (forged(claims={2: b"lin"}), "one is missing or of another kind"),
    "one portal without a list": (forged(claims={3: "lobby"}), "one is missing or of another kind"),
    "a time of text": (forged(claims={4: "x"}), "one is missing or of another kind"),
    "uses of text": (forged(claims={-65537: "2"}), "one is missing or of another kind"),
    "an id of text": (forged(claims={7: "pass-id!"}), "one is missing or of another kind"),
    "a fractional time": (forged(claims={4: 1.5}), "claims: expected a definite integer"),
    "a portal of bytes": (forged(claims={3: ["lobby", b"gate"]}), "expected names of portals as its audience"),
    "no portals": (forged(claims={3: []}), "expected 1 to 16 portals, got 0; list fewer"),
    "many portals": (forged(claims={3: ["a"] * 17}), "expected 1 to 16 portals, got 17; list fewer"),
    "a portal without a name": (forged(claims={3: ["a", ""]}), "expected names of 1 to 32 letters, got 0; correct"),
    "a long portal": (forged(claims={3: ["x" * 33]}), "expected names of 1 to 32 letters, got 33"),
    "a host without a name": (forged(claims={2: ""}), "expected names of 1 to 32 letters, got 0"),
    "a short id": (forged(claims={7: b"1234567"}), "expected an id of 8 to 16 bytes, got 7; make a new one"),
    "a long id": (forged(claims={7: b"1" * 17}), "expected an id of 8 to 16 bytes, got 17"),
    "no time at all": (forged(claims={4: BEGIN}), "expected a begin, and an end at most 366 days after it; correct"),
    "before 1970": (forged(claims={5: -1, 4: 5}), "expected a begin, and an end"),
    "longer than a year": (forged(claims={4: BEGIN + 366 * 86_400 + 1}), "expected a begin, and an end"),
    "no uses": (forged(claims={-65537: 0}), "expected 1 to 1000 uses, got 0; correct it"),
    "many uses": (forged(claims={-65537: 1001}), "expected 1 to 1000 uses, got 1001"),
    "not base45": (PREFIX + "abc", "expected two or three base45 letters at 0; it is damaged or no pass"),
    "no token": (PREFIX, "cut off at byte 0; it is damaged or no pass"),
    "no tag": (PREFIX + base45.encode(cbor2.dumps([1])), "expected COSE_Sign1"),
    "another prefix": ("HC1:ABC", "expected ZH1: and at most 600 letters, got 7; it is no pass"),
    "endless": (PREFIX + "A" * 597, "expected ZH1: and at most 600 letters, got 601; it is no pass"),
}


@pytest.mark.parametrize(("text", "sentence"), NO_PASS.values(), ids=NO_PASS)
def test_refused_in_one_sentence(text, sentence):
    with pytest.raises(PassError) as refused:
        read(text, lambda key_id, message, signature: True)
    assert str(refused.value).startswith("pass: ")
    assert sentence in str(refused.value)


def test_the_limits_themselves_are_accepted():
    yes = lambda key_id, message, signature: True  # noqa: E731
    year = 366 * 86_400
    for claims in (
        replace(GUEST, valid_from_s=0, valid_until_s=year),
        replace(GUEST, uses=1, id=b"8" * 8, host="h" * 32),
        replace(GUEST, uses=1000, id=b"6" * 16, portals=("a",)),
        replace(GUEST, uses=None, portals=("a",) * 16, valid_until_s=BEGIN + 1),
    ):
        for key_id in (b"1", b"12345678"):
            assert read(encode(claims, key_id, sign), yes) == claims


@pytest.mark.parametrize("key_id", [b"", b"123456789"])
def test_a_pass_that_nobody_would_accept_is_not_made(key_id):
    with pytest.raises(PassError, match=rf"^pass: expected a key id of 1 to 8 bytes, got {len(key_id)}; shorten it$"):
        encode(GUEST, key_id, sign)
    with pytest.raises(PassError, match="expected 1 to 16 portals"):
        encode(replace(GUEST, portals=()), KEY_ID, sign)


def test_a_longest_text_is_still_looked_at():
    with pytest.raises(PassError, match="damaged"):
        parse(PREFIX + "A" * 596)


def test_passes_say_nothing_about_a_person_but_the_host():
    token = cbor2.loads(base45.decode(encode(GUEST, KEY_ID, sign).removeprefix(PREFIX)))
    assert json.loads(json.dumps(sorted(cbor2.loads(token.value[2])))) == [-65537, 2, 3, 4, 5, 7]


# --- the two codecs --------------------------------------------------------------------------------------------------


@given(plain)
def test_our_cbor_is_what_cbor2_makes_and_reads(value):
    data = cbor.encode(value)
    assert cbor2.loads(data) == value
    assert cbor.decode(data) == value


@given(st.dictionaries(st.integers(-70000, 70000), st.integers(0, 300), max_size=30))
def test_maps_are_in_the_order_of_their_bytes(value):
    assert cbor.encode(value) == b"".join(
        [cbor.encode(dict.fromkeys(range(len(value)), 0))[: 1 if len(value) < 24 else 2]]
        + [k + v for k, v in sorted((cbor2.dumps(k), cbor2.dumps(v)) for k, v in value.items())]
    )


@given(st.binary(max_size=40))
def test_what_we_decode_is_what_cbor2_decodes(data):
    try:
        value = cbor.decode(data)
    except cbor.CborError:
        return
    assert cbor.encode(value) == data or isinstance(value, dict | list | cbor.Tag)  # only maps may be in another order
    if not isinstance(value, cbor.Tag):
        assert cbor2.loads(data) == value or "Tag" in repr(value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cut off at byte 0"),
        (b"\x18", "cut off at byte 1"),
        (b"\x19\x01", "cut off at byte 2"),
        (b"\x18\x17", "expected the shortest form, got 23 in 1 bytes at byte 0"),
        (b"\x19\x00\xff", "expected the shortest form, got 255 in 2 bytes at byte 0"),
        (b"\x1a\x00\x00\xff\xff", "expected the shortest form, got 65535 in 4 bytes at byte 0"),
        (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", "expected the shortest form, got 4294967295 in 8 bytes at byte 0"),
        (b"\x1c", "expected a definite integer, string, array, map or tag, got 0x1c at byte 0"),
        (b"\x5f\x41a\xff", "got 0x5f at byte 0"),
        (b"\xf4", "got 0xf4 at byte 0"),
        (b"\xf9\x3c\x00", "got 0xf9 at byte 0"),
        (b"\x42a", "cut off at byte 2"),
        (b"\x61\xff", "expected UTF-8 at byte 1"),
        (b"\x00\x00", "expected the end at byte 1, got 1 more"),
        (b"\x82\x00", "cut off at byte 2"),
        (b"\xa2\x01\x02\x01\x03", "expected integers and texts as keys, each once, before byte 4"),
        (b"\xa1\x41a\x00", "expected integers and texts as keys, each once, before byte 3"),
        (b"\x98\x41" + b"\x00" * 65, "expected at most 64 items, got 65 at byte 2"),
        (b"\x81" * 5 + b"\x00", "nested deeper than 4 at byte 5"),
        (b"\xc1" * 5 + b"\x00", "nested deeper than 4 at byte 5"),
        (b"\xa1\x00" * 5 + b"\x00", "nested deeper than 4 at byte"),
    ],
)
def test_what_cbor_refuses(data, sentence):
    with pytest.raises(cbor.CborError) as refused:
        cbor.decode(data)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        23,
        24,
        255,
        256,
        65535,
        65536,
        2**32 - 1,
        2**32,
        2**64 - 1,
        -1,
        -24,
        -25,
        -(2**64),
        "ü" * 12,
        [0] * 64,
        [[[[0]]]],
    ],
)
def test_cbor_at_its_edges(value):
    assert cbor.decode(cbor2.dumps(value)) == value
    assert cbor.encode(value) == cbor2.dumps(value)


def test_what_this_subset_of_cbor_cannot_say():
    for value, name in ((True, "a boolean"), (1.5, "float"), (None, "NoneType"), ({1, 2}, "set")):
        with pytest.raises(TypeError, match=f"^cbor: {name} is not part of this subset"):
            cbor.encode(value)
    with pytest.raises(ValueError, match=r"^cbor: 18446744073709551616 needs more than 64 bits$"):
        cbor.encode(2**64)
    assert cbor.decode(cbor.encode(cbor.Tag(61, (1, "a")))) == cbor.Tag(61, [1, "a"])


# RFC 9285, section 4.3
@pytest.mark.parametrize(
    ("data", "text"), [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]
)
def test_base45_as_in_its_rfc(data, text):
    assert base45.encode(data) == text
    assert base45.decode(text) == data


@given(st.binary(max_size=50))
def test_base45_there_and_back(data):
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet=base45.ALPHABET, max_size=12))
def test_base45_has_one_text_for_each_bytes(text):
    try:
        data = base45.decode(text)
    except base45.Base45Error:
        return
    assert base45.encode(data) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A", "expected two or three base45 letters at 0"),
        ("BB8A", "expected two or three base45 letters at 3"),
        ("BB8a0", "expected two or three base45 letters at 3"),
        ("GGW", "the letters at 0 say more than 2 bytes hold"),  # RFC 9285, section 6: 65536
        (":::", "the letters at 0 say more than 2 bytes hold"),
        ("BB8V5", "the letters at 3 say more than 1 bytes hold"),
    ],
)
def test_what_base45_refuses(text, sentence):
    with pytest.raises(base45.Base45Error) as refused:
        base45.decode(text)
    assert str(refused.value) == sentence
