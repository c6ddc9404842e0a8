"""Keys, line settings and files given to a node by its control panel, honest or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_node_peripheral import KEY, RND_A, Panel, refused, secured

from firmware.node.peripheral import INSTALL_WINDOW_MS, LINE_TRIAL_MS, MAX_FILE_BYTES, Peripheral
from firmware.wire import codes, frame
from firmware.wire.commands import CommunicationSet, FileFragment, KeySet, Manufacturer, Text
from firmware.wire.replies import ClientCryptogram, Communication, FileStatus, ManufacturerReply
from firmware.wire.secure import SecureChannel, SessionKeys
from gateway.drivers.aes import aes

NEW = bytes(range(16, 32))


class Keeper:
    """The board's memory; `works` False is a disk that is full."""

    def __init__(self) -> None:
        self.works = True
        self.key: bytes | None = None
        self.line: tuple[int, int] | None = None

    def keep_key(self, key: bytes) -> bool:
        if self.works:
            self.key = key
        return self.works

    def keep_line(self, address: int, baud: int) -> bool:
        self.line = (address, baud)
        return self.works


def panel_of(scbk: bytes | None = KEY) -> tuple[Panel, Keeper]:
    panel, keeper = Panel(), Keeper()
    panel.pd = Peripheral(5, scbk, aes, lambda n: bytes(n), panel.pd._identity, panel.door, keeper)
    return panel, keeper


def install_handshake(panel: Panel) -> frame.Frame:
    """CHLNG and SCRYPT under SCBK-D; the last answer."""
    panel.sequence = 0
    panel.plain(codes.ID, b"\0")
    offer = panel.plain(codes.CHLNG, RND_A, b"\x11\x00")
    if offer.code != codes.CCRYPT:
        return offer
    keys = SessionKeys(aes, codes.SCBK_D, RND_A)
    proof = keys.server_cryptogram(RND_A, ClientCryptogram.decode(offer.payload).rnd_b)
    panel.channel = SecureChannel(keys, keys.initial_mac(proof), True)
    return panel.plain(codes.SCRYPT, proof, b"\x13\x00")


def test_the_default_key_begins_a_session_only_while_the_window_is_open() -> None:
    panel, _ = panel_of()
    assert refused(install_handshake(panel), codes.NAK_SECURITY_BLOCK)
    panel.pd.open_install_window(panel.now_ms)
    panel.now_ms = INSTALL_WINDOW_MS
    assert refused(install_handshake(panel), codes.NAK_SECURITY_BLOCK), "the window has closed by itself"
    panel.pd.open_install_window(panel.now_ms)
    assert install_handshake(panel).scb_data == b"\x01"
    assert panel.pd.secure is False, "a session under a key that everybody knows is none"


def test_a_session_under_the_default_key_can_do_nothing_but_set_a_key() -> None:
    panel, keeper = panel_of()
    panel.door.card(26, b"\x01\x02\x03\x40", 0)
    panel.pd.open_install_window(0)
    install_handshake(panel)
    assert panel.ask(codes.POLL) == (codes.ACK, b""), "no card is told under a public key"
    for code, payload in [
        (codes.OUT, b"\x00\x05\x32\x00"), (codes.ISTAT, b""), (codes.COMSET, CommunicationSet(6, 9600).encode()),
        (codes.FILETRANSFER, FileFragment(128, 1, 0, b"x").encode()), (codes.MFG, codes.VENDOR),
    ]:  # fmt: skip
        assert panel.ask(code, payload) == (codes.NAK, bytes((codes.NAK_NOT_SECURE,)))
    assert panel.door.effects() == []
    assert panel.ask(codes.KEYSET, KeySet(NEW).encode()) == (codes.ACK, b"")
    assert keeper.key == NEW
    assert refused(install_handshake(panel), codes.NAK_SECURITY_BLOCK), "the window closed with the key"
    panel.key = NEW
    assert panel.handshake() == b"\x01"
    assert panel.ask(codes.POLL)[0] == codes.RAW, "and the card is told to whoever has the key"


def test_the_window_that_closes_ends_what_an_open_session_may_do() -> None:
    panel, keeper = panel_of()
    panel.pd.open_install_window(0)
    install_handshake(panel)
    panel.now_ms = INSTALL_WINDOW_MS - 1
    panel.pd._heard_ms = panel.now_ms
    panel.now_ms += 1
    assert panel.ask(codes.KEYSET, KeySet(NEW).encode())[0] == codes.NAK
    assert keeper.key is None


def test_a_device_without_a_key_has_no_session_but_the_installers() -> None:
    panel, _ = panel_of(None)
    panel.sequence = 0
    panel.plain(codes.ID, b"\0")
    assert refused(panel.plain(codes.CHLNG, RND_A, b"\x11\x01"), codes.NAK_SECURITY_BLOCK)
    panel.pd.open_install_window(0)
    assert install_handshake(panel).scb_data == b"\x01"


@pytest.mark.parametrize(("key", "works"), [(codes.SCBK_D, True), (NEW, False)])
def test_a_key_that_is_public_or_cannot_be_kept_is_refused(key: bytes, works: bool) -> None:
    panel, keeper = panel_of()
    keeper.works = works
    panel.handshake()
    assert panel.ask(codes.KEYSET, KeySet(key).encode()) == (codes.NAK, bytes((codes.NAK_RECORD,)))
    assert panel.handshake() == b"\x01", "the old key still holds"


def test_a_new_line_setting_is_kept_once_the_panel_came_there() -> None:
    panel, keeper = panel_of()
    panel.handshake()
    asked = CommunicationSet(9, 115200)
    assert panel.ask(codes.COMSET, asked.encode()) == (codes.COM, Communication(9, 115200).encode())
    assert (panel.pd.address, panel.pd.baud) == (5, 38400), "not before the reply has left"
    panel.pd.replied(0)
    assert (panel.pd.address, panel.pd.baud, keeper.line) == (9, 115200, None)
    put = panel.put
    panel.put = lambda raw: put(moved(raw, 9))  # type: ignore[method-assign]
    panel.sequence = 0
    panel.plain(codes.ID, b"\0")
    client = ClientCryptogram.decode(panel.plain(codes.CHLNG, RND_A, b"\x11\x01").payload)
    keys = SessionKeys(aes, KEY, RND_A)
    proof = keys.server_cryptogram(RND_A, client.rnd_b)
    panel.plain(codes.SCRYPT, proof, b"\x13\x01")
    assert keeper.line is None, "a handshake can be replayed; a frame within the session cannot"
    panel.channel = SecureChannel(keys, keys.initial_mac(proof), True)
    put(panel.channel.seal(9, panel.sequence, codes.POLL))
    assert keeper.line == (9, 115200)
    panel.pd.tick(LINE_TRIAL_MS + 1)
    assert panel.pd.address == 9


def moved(raw: bytes, address: int) -> bytes:
    """The same frame for another address."""
    old = frame.decode(raw.lstrip(b"\xff"))
    scb = bytes((old.scb_type,)) + old.scb_data if old.scb_type else b""
    return frame.encode(address, old.sequence, old.code, old.payload, scb=scb)


def test_a_panel_may_go_on_with_its_session_at_the_new_setting() -> None:
    panel, keeper = panel_of()
    panel.handshake()
    panel.ask(codes.COMSET, CommunicationSet(9, 38400).encode())
    panel.pd.replied(0)
    assert panel.channel is not None
    answer = panel.put(panel.channel.seal(9, panel.sequence, codes.POLL))
    assert answer is not None
    assert (answer.code, answer.address, keeper.line) == (codes.ACK, 9, (9, 38400))


def test_a_new_line_setting_where_nobody_comes_is_given_up() -> None:
    panel, keeper = panel_of()
    panel.handshake()
    panel.ask(codes.COMSET, CommunicationSet(9, 115200).encode())
    panel.pd.replied(0)
    panel.pd.tick(LINE_TRIAL_MS - 1)
    assert panel.pd.address == 9
    panel.pd.tick(LINE_TRIAL_MS)
    assert (panel.pd.address, panel.pd.baud, keeper.line) == (5, 38400, None)
    assert panel.handshake() == b"\x01"


@pytest.mark.parametrize(("address", "baud"), [(127, 9600), (200, 9600), (5, 12345)])
def test_an_impossible_line_setting_is_answered_with_the_present_one(address: int, baud: int) -> None:
    panel, _ = panel_of()
    panel.handshake()
    payload = bytes((address,)) + baud.to_bytes(4, "little")
    assert panel.ask(codes.COMSET, payload) == (codes.COM, Communication(5, 38400).encode())
    panel.pd.replied(0)
    assert panel.ask(codes.POLL)[0] == codes.ACK


class Files:
    """Grafted onto the door: what a node that takes files does."""

    def __init__(self, panel: Panel) -> None:
        self.taken: list[tuple[int, bytes]] = []
        panel.door.on_file = self.on_file  # type: ignore[attr-defined]

    def on_file(self, kind: int, data: bytes) -> int:
        self.taken.append((kind, data))
        return codes.FT_PROCESSED


def piece(panel: Panel, total: int, offset: int, data: bytes, kind: int = 0x80) -> int:
    code, payload = panel.ask(codes.FILETRANSFER, FileFragment(kind, total, offset, data).encode())
    assert code == codes.FTSTAT
    return int(FileStatus.decode(payload).status)


@given(st.binary(min_size=1, max_size=900), st.integers(1, 200))
def test_a_file_arrives_whole_whatever_the_size_of_its_pieces(data: bytes, size: int) -> None:
    panel = secured()
    files = Files(panel)
    said = [piece(panel, len(data), at, data[at : at + size]) for at in range(0, len(data), size)]
    assert said == [codes.FT_PROCEED] * (len(said) - 1) + [codes.FT_PROCESSED]
    assert files.taken == [(0x80, data)]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40), st.binary(max_size=40), st.integers(1, 2)), max_size=8)
)
def test_pieces_that_do_not_fit_never_make_a_file(pieces: list[tuple[int, int, bytes, int]]) -> None:
    panel = secured()
    files = Files(panel)
    so_far: tuple[int, int, bytes] | None = None
    for total, offset, data, kind in pieces:
        if offset + len(data) > total:
            continue
        status = piece(panel, total, offset, data, kind)
        if offset == 0:
            so_far = (total, kind, b"") if data else None
        good = so_far is not None and so_far[:2] == (total, kind) and len(so_far[2]) == offset
        if not good:
            assert status == codes.FT_ABORT
            so_far = None
            continue
        assert so_far is not None
        so_far = (total, kind, so_far[2] + data)
        if len(so_far[2]) == total:
            assert files.taken.pop() == (kind, so_far[2])
            so_far = None
    assert files.taken == []


def test_a_file_that_is_too_long_or_unwanted_is_refused_at_once() -> None:
    panel = secured()
    assert piece(panel, 10, 0, b"x") == codes.FT_UNKNOWN, "this door takes no files"
    Files(panel)
    assert piece(panel, MAX_FILE_BYTES + 1, 0, b"x") == codes.FT_ABORT
    assert piece(panel, 10, 3, b"x") == codes.FT_ABORT


def test_a_file_does_not_survive_its_session() -> None:
    panel = secured()
    files = Files(panel)
    assert piece(panel, 2, 0, b"a") == codes.FT_PROCEED
    panel.handshake()
    assert piece(panel, 2, 1, b"b") == codes.FT_ABORT
    assert files.taken == []


def test_a_manufacturers_command_is_for_our_own_devices_only() -> None:
    panel = secured()
    answers = {b"\x01": b"", b"\x02": b"ok", b"\x03": None}
    panel.door.on_manufacturer = answers.get  # type: ignore[attr-defined]
    assert panel.ask(codes.MFG, Manufacturer(codes.VENDOR, b"\x01").encode()) == (codes.ACK, b"")
    assert panel.ask(codes.MFG, Manufacturer(codes.VENDOR, b"\x02").encode()) == (
        codes.MFGREP, ManufacturerReply(codes.VENDOR, b"ok").encode(),
    )  # fmt: skip
    for vendor, data in ((codes.VENDOR, b"\x03"), (b"abc", b"\x01")):
        assert panel.ask(codes.MFG, Manufacturer(vendor, data).encode()) == (codes.NAK, bytes((codes.NAK_RECORD,)))


def test_an_event_of_the_manufacturer_is_told_until_it_arrived() -> None:
    panel = secured()
    panel.door.events.push(ManufacturerReply(codes.VENDOR, b"record 1"), 0)
    told = (codes.MFGREP, codes.VENDOR + b"record 1")
    assert panel.ask(codes.POLL) == told
    panel.handshake()
    assert panel.ask(codes.POLL) == told
    assert panel.ask(codes.POLL) == (codes.ACK, b"")


def test_text_is_for_devices_with_a_display() -> None:
    panel = secured()
    text = Text(0, codes.TEXT_TEMPORARY, 5, 1, 1, b"welcome")
    assert panel.ask(codes.TEXT, text.encode()) == (codes.NAK, bytes((codes.NAK_UNKNOWN,)))
    shown: list[Text] = []
    panel.door.text = lambda text, now_ms: shown.append(text) or 0  # type: ignore[attr-defined]
    assert panel.ask(codes.TEXT, text.encode()) == (codes.ACK, b"")
    assert shown == [text]
    assert panel.ask(codes.TEXT, text.encode()[:-1])[0] == codes.NAK
