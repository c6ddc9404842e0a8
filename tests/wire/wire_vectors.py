"""Checks vectors against firmware.wire; the same file runs in CPython and in MicroPython, so it keeps to both.

`check(vectors, aes)` returns a list of sentences, one per vector that does not hold; [] is good. As a program under
MicroPython: `micropython wire_vectors.py VECTORS.json`.
"""

import binascii

from firmware.wire import commands, frame, replies, secure
from firmware.wire.crc import crc16
from firmware.wire.errors import FrameError, MessageError, SecureError, WireError

MODULES = {"commands": commands, "replies": replies}


def unhex(text):
    return binascii.unhexlify(text)


def check(vectors, aes):
    wrong = []
    for vector in vectors.get("crc", []):
        got = crc16(unhex(vector["data"]))
        if bytes((got & 0xFF, got >> 8)) != unhex(vector["sent"]):
            wrong.append("crc of " + vector["data"])
    for vector in vectors.get("keys", []):
        wrong += check_keys(vector, aes)
    for vector in vectors.get("message", []):
        wrong += check_message(vector)
    for vector in vectors.get("refused", []):
        module, name = vector["of"].split(".")
        try:
            getattr(MODULES[module], name).decode(unhex(vector["payload"]))
            wrong.append("accepted " + str(vector))
        except MessageError:
            pass
    if "frames" in vectors:
        wrong += check_session(vectors, aes)
    return wrong


def check_keys(vector, aes):
    scbk, rnd_a, rnd_b = [unhex(vector[name]) for name in ("scbk", "rnd_a", "rnd_b")]
    got = {}
    got["s_enc"], got["s_mac1"], got["s_mac2"] = secure.derive(aes, scbk, rnd_a)
    keys = secure.SessionKeys(aes, scbk, rnd_a)
    got["client_cryptogram"] = keys.client_cryptogram(rnd_a, rnd_b)
    got["server_cryptogram"] = keys.server_cryptogram(rnd_a, rnd_b)
    got["initial_mac"] = keys.initial_mac(got["server_cryptogram"])
    return [name for name in got if got[name] != unhex(vector[name])]


def value(plain):
    if isinstance(plain, list):
        return tuple([value(item) for item in plain])
    if isinstance(plain, str) and plain.startswith("hex:"):
        return unhex(plain[4:])
    return plain


def check_message(vector):
    module, name = vector["of"].split(".")
    kind = getattr(MODULES[module], name)
    values = [value(item) for item in vector["values"]]
    if name == "Capabilities":
        values = [list(values[0])]
    message = kind(*values)
    payload = unhex(vector["payload"])
    wrong = []
    if message.encode() != payload:
        wrong.append("encoding " + vector["of"] + ": " + binascii.hexlify(message.encode()).decode())
    decoded = kind.decode(payload)
    if isinstance(decoded, list):
        decoded = decoded[0]
    if decoded != message:
        wrong.append("decoding " + vector["of"])
    return wrong


def check_session(vectors, aes):
    """Follow a recorded session from both sides at once."""
    parser = frame.FrameParser()
    scbk = unhex(vectors["scbk"])
    rnd_a = rnd_b = keys = panel = device = None
    wrong = []
    opened = 0
    for direction, text in vectors["frames"]:
        raw = unhex(text)
        frames = parser.feed(raw)
        if len(frames) != 1 or frames[0].reply != (direction == "reply") or frames[0].address != vectors["address"]:
            wrong.append("parsing " + text)
            continue
        got = frames[0]
        if got.scb_type == 0x11:
            rnd_a = got.payload
        elif got.scb_type == 0x12:
            client = replies.ClientCryptogram.decode(got.payload)
            rnd_b = client.rnd_b
            keys = secure.SessionKeys(aes, scbk, rnd_a)
            if client.cryptogram != keys.client_cryptogram(rnd_a, rnd_b):
                wrong.append("client cryptogram")
        elif got.scb_type == 0x13:
            if got.payload != keys.server_cryptogram(rnd_a, rnd_b):
                wrong.append("server cryptogram")
        elif got.scb_type == 0x14:
            panel = secure.SecureChannel(keys, got.payload, True)
            device = secure.SecureChannel(keys, got.payload, False)
        elif got.scb_type:
            sender, receiver = (device, panel) if got.reply else (panel, device)
            payload = receiver.open(got)
            again = sender.seal(got.address, got.sequence, got.code, payload)
            if again.lstrip(b"\xff") != raw.lstrip(b"\xff"):
                wrong.append("sealing " + text)
            opened += 1
    if not opened:
        wrong.append("no authenticated frame in the recording")
    return wrong


def check_errors():
    """The error tree is what callers rely on, in both interpreters."""
    wrong = []
    for kind in (FrameError, MessageError, SecureError):
        try:
            raise kind("reason", 7)
        except WireError as error:
            if error.reason != "reason" or error.detail != 7:
                wrong.append(kind.__name__)
    return wrong


def main():
    import json
    import sys

    from firmware.drivers.aes import aes

    with open(sys.argv[1]) as file:
        vectors = json.load(file)
    wrong = check(vectors, aes) + check_errors()
    print(json.dumps(wrong))


if __name__ == "__main__":
    main()
