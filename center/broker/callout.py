"""Who may connect to nats-server: it asks for every connection (authorization call-out). Pure: claims in, claims out.

The rights alone could stand in the server's configuration; whose MQTT client id is whose cannot. MQTT lets the newer of
two connections with one id end the older, so a client id `NAME/...` belongs to the user NAME and to nobody else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from msgspec import Struct

from center.broker.rights import rights
from center.config import User
from center.contract import topics

OWNER_ENDS = "/"  # in no user name (center.config.Username)
ACCOUNT = "DISTRICT"  # of everybody who is let in
ASK_TIMEOUT_S = 5.0  # so long the server waits: thousands come back at once, and we answer one after the other
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_ACCOUNT_PREFIX = 0  # NATS nkeys: the first byte of an account's public key, which makes it begin with A
_MAX_CLIENT_ID = 256
_UNLIMITED = -1


class CalloutError(ValueError):
    """The server asks something that is not understood."""


class _ServerId(Struct, frozen=True):
    id: str


class _ClientInfo(Struct, frozen=True):
    id: int
    type: str = ""
    mqtt_id: str = ""


class _ConnectOpts(Struct, frozen=True):
    user: str = ""
    password: str = msgspec.field(default="", name="pass")


class _ClientTls(Struct, frozen=True):
    verified_chains: list[list[str]] = []


class Question(Struct, frozen=True):
    """The part of NATS's authorization request that decides."""

    server_id: _ServerId
    user_nkey: str
    client_info: _ClientInfo
    connect_opts: _ConnectOpts = _ConnectOpts()
    client_tls: _ClientTls | None = None
    asked_s: int | None = None  # when, by the clock of this machine, in seconds since 1970


class _Claims(Struct, frozen=True):
    nats: Question
    iat: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """To be sent back. `user` is None where the connection is refused, and `why` says so in the log."""

    token: bytes
    user: User | None
    why: str = ""


_decode_claims = msgspec.json.Decoder(_Claims).decode


def question(token: bytes) -> Question:
    """What the server asks. Its signature is not looked at: only the server and we may speak in its system account.

    Raises CalloutError.
    """
    parts = token.split(b".")
    try:
        claims = _decode_claims(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, msgspec.DecodeError) as e:  # binascii.Error is a ValueError
        raise CalloutError(f"nats-server asks about a connection in a form that is not understood ({e})") from None
    return msgspec.structs.replace(claims.nats, asked_s=claims.iat)


class Doorkeeper:
    """Decides by the users file; signs with a key of this run. `by_certificate`: the certificate's CN is the user."""

    def __init__(self, users: Sequence[User], *, by_certificate: bool) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.issuer = _nkey(_ACCOUNT_PREFIX, self._key.public_key().public_bytes_raw())
        self._by_certificate = by_certificate
        self._users: Mapping[str, User] = {}
        self.change(users)

    def change(self, users: Sequence[User]) -> None:
        """From now on these and no others are let in."""
        self._users = {user.username: user for user in users}

    def knows(self, user: User) -> bool:
        """Whether this very entry is still in the users file."""
        return self._users.get(user.username) == user

    def answer(self, asked: Question, now_s: int) -> Answer:
        """Let in with the rights of the user, or refuse. Deny by default."""
        user = self._user(asked)
        if user is None:
            return self._refuse(asked, now_s, "no such user, or not its password or certificate")
        owner, ends, _ = asked.client_info.mqtt_id.partition(OWNER_ENDS)
        if ends and owner != user.username:
            return self._refuse(asked, now_s, f"{user.username} used a client id that belongs to another user")
        claims = self._claims(asked, now_s, asked.server_id.id, "authorization_response")
        claims["nats"]["jwt"] = self._sign(self._user_claims(asked, now_s, user)).decode()
        return Answer(self._sign(claims), user)

    def _user(self, asked: Question) -> User | None:
        if asked.client_info.type != "mqtt" or len(asked.client_info.mqtt_id) > _MAX_CLIENT_ID:
            return None
        if self._by_certificate:
            return self._users.get(_common_name(asked.client_tls) or "")
        user = self._users.get(asked.connect_opts.user)
        if user is None or not user.password:
            return None
        given = asked.connect_opts.password.encode()
        return user if hmac.compare_digest(given, user.password.encode()) else None

    def _refuse(self, asked: Question, now_s: int, why: str) -> Answer:
        claims = self._claims(asked, now_s, asked.server_id.id, "authorization_response")
        claims["nats"]["error"] = "refused"
        return Answer(self._sign(claims), None, why)

    def _claims(self, asked: Question, now_s: int, audience: str, kind: str) -> dict[str, dict[str, object]]:
        head = {"jti": secrets.token_hex(16), "iat": now_s, "iss": self.issuer, "sub": asked.user_nkey, "aud": audience}
        return {**head, "nats": {"type": kind, "version": 2}}  # type: ignore[dict-item]

    def _user_claims(self, asked: Question, now_s: int, user: User) -> Mapping[str, object]:
        may = rights(user)
        claims = self._claims(asked, now_s, ACCOUNT, "user")
        claims["nats"] |= {
            "pub": permission(may.publish),
            "sub": permission(may.subscribe),
            "subs": _UNLIMITED,
            "data": _UNLIMITED,
            "payload": _UNLIMITED,
            "allowed_connection_types": ["MQTT"],
        }
        return {**claims, "name": user.username}

    def _sign(self, claims: Mapping[str, object]) -> bytes:
        signed = _b64(msgspec.json.encode(_HEADER)) + b"." + _b64(msgspec.json.encode(claims))
        return signed + b"." + _b64(self._key.sign(signed))


def permission(of_topics: Sequence[str]) -> dict[str, list[str]]:
    """These MQTT topics or filters, as NATS writes it."""
    # An empty list would allow everything.
    return {"allow": [topics.nats_subject(one) for one in of_topics]} if of_topics else {"deny": [">"]}


def _common_name(tls: _ClientTls | None) -> str | None:
    """The CN of the certificate that the server has verified, where its subject is that and nothing else."""
    if tls is None or not tls.verified_chains or not tls.verified_chains[0]:
        return None
    try:
        subject = x509.load_pem_x509_certificate(tls.verified_chains[0][0].encode()).subject
    except ValueError:
        return None
    names = list(subject)
    if len(names) != 1 or names[0].oid != NameOID.COMMON_NAME:
        return None
    return str(names[0].value)


def _nkey(prefix: int, key: bytes) -> str:
    """A public key as NATS writes it: base32 of prefix, key and CRC-16/XMODEM (little-endian)."""
    body = bytes((prefix,)) + key
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
