"""The secure channel: session keys, cryptograms, chained MACs, encryption. AES-128 comes in as a function.

`aes(key16)` returns `(encrypt, decrypt)`, each ECB over a multiple of 16 bytes. Both sides keep two MACs: `own` of the
last frame they sent, `peer` of the last they accepted. A frame is sealed with `peer` as initial value, opened with
`own`, so that every frame is bound to the whole conversation before it.
"""

from firmware.wire.codes import SCS_ENCRYPTED, SCS_ENCRYPTED_REPLY, SCS_MAC, SCS_MAC_REPLY
from firmware.wire.errors import SecureError
from firmware.wire.frame import MAC_BYTES, Frame, encode

_BLOCK = 16
KEY_BYTES = 16
RANDOM_BYTES = 8


def equal(a: bytes, b: bytes) -> bool:
    """Compare without telling by timing where the first difference is."""
    difference = len(a) ^ len(b)
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(_BLOCK, "big")


def _inverted(block: bytes) -> bytes:
    return _xor(block, b"\xff" * _BLOCK)


def _padded(data: bytes) -> bytes:
    data += b"\x80"
    return data + bytes(-len(data) % _BLOCK)


def derive(aes, scbk: bytes, rnd_a: bytes) -> tuple:
    """S-ENC, S-MAC1 and S-MAC2, 16 bytes each, from the device's base key and the panel's random number."""
    encrypt = aes(scbk)[0]
    tail = rnd_a[:6] + bytes(8)
    return encrypt(b"\x01\x82" + tail), encrypt(b"\x01\x01" + tail), encrypt(b"\x01\x02" + tail)


class SessionKeys:
    """Keys of one session, ready to use: `encrypt` and `decrypt` with S-ENC, `mac1` and `mac2`."""

    def __init__(self, aes, scbk: bytes, rnd_a: bytes):
        s_enc, s_mac1, s_mac2 = derive(aes, scbk, rnd_a)
        self.encrypt, self.decrypt = aes(s_enc)
        self.mac1 = aes(s_mac1)[0]
        self.mac2 = aes(s_mac2)[0]

    def client_cryptogram(self, rnd_a: bytes, rnd_b: bytes) -> bytes:
        """The device's proof that it knows the base key."""
        return self.encrypt(rnd_a + rnd_b)

    def server_cryptogram(self, rnd_a: bytes, rnd_b: bytes) -> bytes:
        """The panel's proof."""
        return self.encrypt(rnd_b + rnd_a)

    def initial_mac(self, server_cryptogram: bytes) -> bytes:
        """R-MAC_I, where the chain of MACs begins."""
        return self.mac2(self.mac1(server_cryptogram))


class SecureChannel:
    """One established session, seen from one side. A failed `open` changes nothing."""

    def __init__(self, keys: SessionKeys, initial_mac: bytes, panel: bool):
        self._keys = keys
        self._panel = panel
        self._own = initial_mac
        self._peer = initial_mac

    def seal(self, address: int, sequence: int, code: int, payload: bytes = b"") -> bytes:
        """The next frame to send, authenticated, its payload encrypted. A panel seals commands, a device replies."""
        if payload:
            kind = SCS_ENCRYPTED if self._panel else SCS_ENCRYPTED_REPLY
            payload = self._encrypted(payload, _inverted(self._peer))
        else:
            kind = SCS_MAC if self._panel else SCS_MAC_REPLY
        mac = b""

        def sign(signed: bytes) -> bytes:
            nonlocal mac
            mac = self._mac(signed, self._peer)
            return mac

        frame = encode(address, sequence, code, payload, not self._panel, bytes((kind,)), sign)
        self._own = mac
        return frame

    def open(self, frame: Frame) -> bytes:
        """The plain payload of a frame from the other side. Raises SecureError: plain, mac or padding."""
        if frame.scb_type not in ((SCS_MAC_REPLY, SCS_ENCRYPTED_REPLY) if self._panel else (SCS_MAC, SCS_ENCRYPTED)):
            raise SecureError("plain", frame.scb_type)
        mac = self._mac(frame.signed, self._own)
        if not equal(mac[:MAC_BYTES], frame.mac):
            raise SecureError("mac")
        payload = frame.payload
        # Some devices announce encryption and then send no payload at all; the MAC covers that too.
        if payload and frame.scb_type in (SCS_ENCRYPTED, SCS_ENCRYPTED_REPLY):
            payload = self._decrypted(payload, _inverted(self._own))
        elif payload:
            raise SecureError("plain", frame.scb_type)
        self._peer = mac
        return payload

    def overheard(self, other) -> None:
        """The frame that `other`, the opposite side, has just opened was this side's: for whoever listens to both."""
        self._own = other._peer

    def _mac(self, signed: bytes, initial: bytes) -> bytes:
        """CBC over all blocks but the last with the first key, the last one with the second."""
        # Unlike an encrypted payload, the signed part is padded only where it does not fill its last block.
        if len(signed) % _BLOCK:
            signed = _padded(signed)
        mac = initial
        last = len(signed) - _BLOCK
        for at in range(0, last, _BLOCK):
            mac = self._keys.mac1(_xor(mac, signed[at : at + _BLOCK]))
        return self._keys.mac2(_xor(mac, signed[last:]))

    def _encrypted(self, payload: bytes, initial: bytes) -> bytes:
        plain = _padded(payload)
        out = b""
        for at in range(0, len(plain), _BLOCK):
            initial = self._keys.encrypt(_xor(initial, plain[at : at + _BLOCK]))
            out += initial
        return out

    def _decrypted(self, payload: bytes, initial: bytes) -> bytes:
        if len(payload) % _BLOCK:
            raise SecureError("padding", len(payload))
        out = b""
        for at in range(0, len(payload), _BLOCK):
            block = payload[at : at + _BLOCK]
            out += _xor(initial, self._keys.decrypt(block))
            initial = block
        plain = out.rstrip(b"\x00")
        if not plain or plain[-1] != 0x80 or len(out) - len(plain) >= _BLOCK:
            raise SecureError("padding", len(payload))
        return plain[:-1]
