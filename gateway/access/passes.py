"""QR passes: a CBOR Web Token (RFC 8392) in COSE_Sign1 (RFC 9052) with EdDSA, as base45 behind a prefix.

Anybody's software can read one; only the site's key makes one. A gateway needs nothing but the public key to check it,
no network and no list of passes. Signing and checking are functions handed in: there is no cryptography in this room.

A pass belongs to a holder, its host, and never opens more than its host could: the rules of the host hold as well, and
when the host is gone, so is the pass. A pass can be revoked before its end by a policy entry of its id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.access import base45, cbor
from gateway.access.policy import Credential
from gateway.model import CredentialKind

PREFIX = "ZH1:"
MAX_TEXT = 600  # letters; a QR code of version 14 at level L, far above what a pass needs
MAX_PORTALS = 16
MAX_USES = 1000
MAX_DAYS = 366
_NAME_MAX = 32
_ID_BYTES = range(8, 17)
_KID_BYTES = range(1, 9)
_SIGNATURE_BYTES = 64  # Ed25519 (RFC 8032)

# RFC 8392, section 4: registered claims. Uses has no registered one: private use begins below -65536.
# When it was issued says nothing about whether it opens, and other software adds it unasked: taken and not looked at.
_SUB, _AUD, _EXP, _NBF, _IAT, _CTI, _USES = 2, 3, 4, 5, 6, 7, -65537
_ALG, _KID, _EDDSA = 1, 4, -8  # RFC 9052, section 3.1; RFC 9053, section 2.2
_SIGN1_TAG, _CWT_TAG = 18, 61

Sign = Callable[[bytes], bytes]  # the message -> 64 bytes of signature
Verify = Callable[[bytes, bytes, bytes], bool]  # key id, message, signature -> whether that key signed it


class PassError(ValueError):
    """The text is no pass of this site. The text of the error is for a log; the person is told `invalid-pass`."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass says, from `valid_from_s` to before `valid_until_s` (Unix seconds).

    id: 8 to 16 random bytes. host: the holder it belongs to.
    portals: 1 to 16 names that it opens. uses: how often, None = as often as one likes until the end.
    """

    id: bytes
    host: str
    portals: tuple[str, ...]
    valid_from_s: int
    valid_until_s: int
    uses: int | None = None


@dataclass(frozen=True, slots=True)
class SignedPass:
    """A pass whose form is right and whose signature nobody has checked yet."""

    claims: Pass
    key_id: bytes
    message: bytes  # what was signed (RFC 9052, section 4.4: Sig_structure)
    signature: bytes


def encode(claims: Pass, key_id: bytes, sign: Sign) -> str:
    """The text of the QR code. Raises PassError for claims that `parse` would refuse."""
    _check(claims)
    if len(key_id) not in _KID_BYTES:
        raise PassError(f"pass: expected a key id of 1 to 8 bytes, got {len(key_id)}; shorten it")
    payload: dict[int, object] = {
        _SUB: claims.host,
        _AUD: list(claims.portals),
        _EXP: claims.valid_until_s,
        _NBF: claims.valid_from_s,
        _CTI: claims.id,
    }
    if claims.uses is not None:
        payload[_USES] = claims.uses
    protected, body = cbor.encode({_ALG: _EDDSA}), cbor.encode(payload)
    signature = sign(_message(protected, body))
    token = cbor.Tag(_SIGN1_TAG, [protected, {_KID: key_id}, body, signature])
    return PREFIX + base45.encode(cbor.encode(token))


def read(text: str, verify: Verify) -> Pass:
    """The claims of a pass that a key of this site signed. Raises PassError for everything else."""
    signed = parse(text)
    if not verify(signed.key_id, signed.message, signed.signature):
        raise PassError("pass: the signature is not by a key of this site; the pass is forged or another site's")
    return signed.claims


def parse(text: str) -> SignedPass:
    """What `text` claims, unchecked. Raises PassError; never anything else, whatever the text."""
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise PassError(f"pass: expected {PREFIX} and at most {MAX_TEXT} letters, got {len(text)}; it is no pass")
    try:
        token = cbor.decode(base45.decode(text.removeprefix(PREFIX)))
    except (base45.Base45Error, cbor.CborError) as e:
        raise PassError(f"pass: {e}; it is damaged or no pass") from None
    if isinstance(token, cbor.Tag) and token.number == _CWT_TAG:
        token = token.value
    if not isinstance(token, cbor.Tag) or token.number != _SIGN1_TAG:
        raise PassError("pass: expected COSE_Sign1; it is no pass")
    match token.value:
        case [bytes(protected), dict(unprotected), bytes(body), bytes(signature)]:
            pass
        case _:
            raise PassError("pass: expected the four parts of COSE_Sign1; it is no pass")
    if len(signature) != _SIGNATURE_BYTES:
        raise PassError(f"pass: expected {_SIGNATURE_BYTES} bytes of signature, got {len(signature)}; it is no pass")
    key_id = _key_id(_map(protected, "header"), unprotected)
    return SignedPass(_claims(_map(body, "claims")), key_id, _message(protected, body), signature)


def pass_name(pass_id: str) -> str:
    """What a pass is called in lists and revocations, and what the uses of its QR code and plate are counted under.
    pass_id: 16 hex digits."""
    return f"pass-{pass_id}"


def as_credential(claims: Pass) -> Credential:
    """The pass as `decide` looks at it, under the key `claims.id.hex()`."""
    name = claims.id.hex()
    return Credential(
        CredentialKind.QR,
        name,
        claims.host,
        valid_from_ms=claims.valid_from_s * 1000,
        valid_until_ms=claims.valid_until_s * 1000,
        uses=claims.uses,
        portals=frozenset(claims.portals),
        counter=pass_name(name),
    )


def _message(protected: bytes, body: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, b"", body])


def _map(data: bytes, noun: str) -> dict[object, object]:
    try:
        value = cbor.decode(data)
    except cbor.CborError as e:
        raise PassError(f"pass: {noun}: {e}; it is no pass") from None
    if not isinstance(value, dict):
        raise PassError(f"pass: expected a map as its {noun}; it is no pass")
    return value


def _key_id(protected: dict[object, object], unprotected: dict[object, object]) -> bytes:
    if protected.get(_ALG) != _EDDSA:
        raise PassError("pass: expected EdDSA in the protected header; other signatures are not taken")
    if set(protected) - {_ALG, _KID}:
        raise PassError("pass: the protected header asks for more than this site understands; it is no pass of ours")
    key_id = protected.get(_KID, unprotected.get(_KID))
    if not isinstance(key_id, bytes) or len(key_id) not in _KID_BYTES:
        raise PassError("pass: expected a key id of 1 to 8 bytes; it is no pass")
    return key_id


def _claims(claims: dict[object, object]) -> Pass:
    if unknown := set(claims) - {_SUB, _AUD, _EXP, _NBF, _IAT, _CTI, _USES}:
        raise PassError(f"pass: {len(unknown)} claims that this site does not understand; it is no pass of ours")
    match [claims.get(name) for name in (_CTI, _SUB, _AUD, _NBF, _EXP, _USES)]:
        case [bytes(id_), str(host), list(portals), int(begins), int(ends), int() | None as uses]:
            names = tuple(one for one in portals if isinstance(one, str))
            if len(names) != len(portals):
                raise PassError("pass: expected names of portals as its audience; it is no pass")
            found = Pass(id_, host, names, begins, ends, uses)
            _check(found)
            return found
    raise PassError("pass: expected id, host, portals, begin and end; one is missing or of another kind")


def _check(claims: Pass) -> None:
    """Raise PassError (one sentence) for claims outside the limits."""
    if len(claims.id) not in _ID_BYTES:
        raise PassError(f"pass: expected an id of 8 to 16 bytes, got {len(claims.id)}; make a new one")
    for name in (claims.host, *claims.portals):
        if not 1 <= len(name) <= _NAME_MAX:
            raise PassError(f"pass: expected names of 1 to {_NAME_MAX} letters, got {len(name)}; correct the name")
    if not 1 <= len(claims.portals) <= MAX_PORTALS:
        raise PassError(f"pass: expected 1 to {MAX_PORTALS} portals, got {len(claims.portals)}; list fewer")
    if not 0 <= claims.valid_from_s < claims.valid_until_s <= claims.valid_from_s + MAX_DAYS * 86_400:
        raise PassError(f"pass: expected a begin, and an end at most {MAX_DAYS} days after it; correct the times")
    if claims.uses is not None and not 1 <= claims.uses <= MAX_USES:
        raise PassError(f"pass: expected 1 to {MAX_USES} uses, got {claims.uses}; correct it")
