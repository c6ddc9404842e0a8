"""An atheris target: any bytes from a serial line, or in a capture, are a value or an error of their own kind.

    python tests/fuzz/fuzz_wire.py CORPUS -max_total_time=3600

The corpus begins with the recorded session of tests/wire/vectors. A crash is written to ./crash-<sha1>.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["firmware", "gateway.drivers.osdp"]):
    from firmware.node.door import DoorNode
    from firmware.node.peripheral import Peripheral
    from firmware.wire import codes, commands, frame, replies
    from firmware.wire.crc import crc16
    from firmware.wire.errors import MessageError
    from firmware.wire.secure import SecureChannel, SessionKeys
    from gateway.drivers.osdp.capture import from_osdpcap, to_osdpcap, to_pcapng
    from gateway.drivers.osdp.decode import Decoder, frames_of
    from gateway.drivers.osdp.ring import Heard

from gateway.drivers.aes import aes
from gateway.errors import DriverError

VECTORS = Path(__file__).parents[1] / "wire" / "vectors" / "session_libosdp.toml"
KEY = bytes(range(16))
KINDS = [
    kind for module in (commands, replies) for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "decode")
]  # fmt: skip
RND = b"12345678"


class _Door(DoorNode):
    def on_file(self, _kind: int, _data: bytes) -> int:
        return int(codes.FT_PROCESSED)

    def on_manufacturer(self, data: bytes) -> bytes | None:
        return data or None

    def text(self, _text: object, _now_ms: int) -> int:
        return 0


class _Keeper:
    def keep_key(self, _key: bytes) -> bool:
        return True

    def keep_line(self, _address: int, _baud: int) -> bool:
        return True


def one_input(data: bytes) -> None:
    """The first byte says which parser."""
    if not data:
        return
    choice, rest = data[0] % 5, data[1:]
    if choice == 0:
        _message(rest)
    elif choice == 1:
        _node(rest)
    elif choice == 2:
        _session(rest)
    elif choice == 3:
        _decoded([Heard(n, bool(n & 1), rest[at : at + 40]) for n, at in enumerate(range(0, len(rest), 40))])
    else:
        try:
            _decoded(list(from_osdpcap(rest.decode("utf-8", "replace").split("\n"), "capture")))
        except DriverError as e:
            if not str(e).isprintable() or len(str(e)) > 400:
                raise AssertionError("an error that cannot be shown") from e


def _message(data: bytes) -> None:
    if not data:
        return
    try:
        told = KINDS[data[0] % len(KINDS)].decode(data[1:])
    except MessageError:
        return
    for one in told if isinstance(told, list) else [told]:
        if len(one.encode()) > len(data) - 1:
            raise AssertionError(f"{one!r} grew")


def _node(data: bytes) -> None:
    """Bytes of a stranger never move the lock."""
    door = _Door()
    device = Peripheral(
        5, KEY, aes, lambda size: bytes(size), replies.Identity(b"abc", 1, 1, 1, (0, 1, 0)), door, _Keeper()
    )
    device.open_install_window(0)
    framed = bytes((0x53, 5, (len(data) + 6) & 0xFF, 0)) + data
    for raw in (data, framed + crc16(framed).to_bytes(2, "little")):
        for got in frame.FrameParser().feed(raw):
            device.receive(got, 0)
            device.replied(0)
    if door.effects():
        raise AssertionError("a stranger moved something")


def _session(data: bytes) -> None:
    """Whatever the holder of the key sends gets an answer, and no more than a frame."""
    keys = SessionKeys(aes, KEY, RND)
    mac = keys.initial_mac(keys.server_cryptogram(RND, RND))
    panel = SecureChannel(keys, mac, True)
    device = Peripheral(
        5, KEY, aes, lambda size: bytes(size), replies.Identity(codes.VENDOR, 1, 1, 1, (0, 1, 0)), _Door()
    )
    device._channel, device._sequence, at, sequence = SecureChannel(keys, mac, False), 0, 0, 0
    while at + 2 <= len(data):
        code, size = data[at], data[at + 1] % 100
        sequence = sequence % 3 + 1
        sealed = panel.seal(5, sequence, code, data[at + 2 : at + 2 + size])
        answer = device.receive(frame.decode(sealed[1:]), 0)
        if answer is None or len(answer) > codes.MAX_FRAME_BYTES + 1:
            raise AssertionError(f"no answer, or one too long, to {code:02x}")
        panel.open(frame.decode(answer.lstrip(b"\xff")))
        at += 2 + size


def _decoded(heard: list[Heard]) -> None:
    told = list(Decoder([KEY]).told(heard))
    if len(told) != len(list(frames_of(heard))):
        raise AssertionError("a frame was lost")
    for one in told:
        if not one.detail.isprintable() and one.detail:
            raise AssertionError(f"a detail that cannot be shown: {one.detail!r}")
    b"".join(to_pcapng(record for record, _ in frames_of(heard)))
    if list(from_osdpcap([to_osdpcap(one) for one in heard], "x")) != heard:
        raise AssertionError("a capture that changes when it is saved")


def seeds(folder: Path) -> None:
    """The recorded session, frame by frame and as captures."""
    told = tomllib.loads(VECTORS.read_text())["frames"]
    heard = [Heard(n, who == "command", bytes.fromhex(text)) for n, (who, text) in enumerate(told)]
    (folder / "stream").write_bytes(b"\x03" + b"".join(one.data for one in heard))
    (folder / "capture").write_bytes(b"\x04" + "\n".join(to_osdpcap(one) for one in heard).encode())
    (folder / "session").write_bytes(bytes((2, codes.POLL, 0, codes.TEXT, 7, 0, 1, 0, 1, 1, 1, 65, codes.ID, 1, 0)))
    for n, one in enumerate(heard[:8]):
        (folder / f"node-{n}").write_bytes(b"\x01" + one.data)


if __name__ == "__main__":
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    seeds(corpus)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
