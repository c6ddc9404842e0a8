"""What makes one node this node: its settings, its key, its fire latch, on the board's littlefs.

`node.json` (all keys may be missing): "address" 0..126, "baud", "serial", "fire_loop" and "mains_contact" (as in
drivers.unix.door_node), "supervised": inputs wired with two resistors, "sensors": names of firmware.node.door.SENSORS
that are wired, "scbk": 32 hex digits, taken into the file `scbk` at the next start and then removed from node.json.
"""

import binascii
import json

from firmware.drivers import files
from firmware.drivers.loops import SUPERVISED
from firmware.node.door import SENSORS
from firmware.wire import codes

BAUDS = (9600, 19200, 38400, 57600, 115200)
KEY_BYTES = 16
_MOST_BYTES = 2048
_DEFAULTS: dict = {
    "address": 0,
    "baud": 38400,
    "serial": 0,
    "fire_loop": False,
    "mains_contact": False,
    "supervised": [],
    "sensors": [],
    "scbk": "",
}


class SettingsError(Exception):
    """node.json cannot be used."""


def _wrong(key: str, expected: str) -> SettingsError:
    return SettingsError("node.json: " + key + ": expected " + expected + "; correct it and copy the file again")


def _line(address: int, baud: int) -> bytes:
    return bytes((address,)) + baud.to_bytes(4, "little")


def checked(settings) -> dict:
    """The settings with every key. Raises SettingsError with one sentence."""
    if not isinstance(settings, dict):
        raise _wrong("file", "a JSON object")
    for key in settings:
        if key not in _DEFAULTS:
            raise _wrong(str(key)[:20], "one of " + ", ".join(sorted(_DEFAULTS)))
    merged = dict(_DEFAULTS)
    merged.update(settings)
    for key, default in _DEFAULTS.items():
        kind = type(default)
        if type(merged[key]) is not kind:
            raise _wrong(key, kind.__name__)
    if not 0 <= merged["address"] < codes.BROADCAST:
        raise _wrong("address", "0..126")
    if merged["baud"] not in BAUDS:
        raise _wrong("baud", "one of " + ", ".join([str(baud) for baud in BAUDS]))
    for key, known in (("supervised", SUPERVISED), ("sensors", SENSORS)):
        if [name for name in merged[key] if name not in known]:
            raise _wrong(key, "names out of " + ", ".join(known))
    if "fire" in merged["supervised"] and not merged["fire_loop"]:
        raise _wrong("supervised", "fire only together with fire_loop = true")
    return merged


class Keeper:
    """The node's files under `folder`. What `keep_...` answers with True survives a power cut."""

    def __init__(self, folder: str = ""):
        """A board starts with its file system's root as working directory, hence no folder there."""
        self._folder = folder + "/" if folder else ""
        self._said = b""  # address and baud rate of node.json, as `_line` has them

    def path(self, name: str) -> str:
        """Where a file of this name lies."""
        return self._folder + name

    def settings(self) -> dict:
        """node.json, checked, with the line's setting that the panel has changed since. Raises SettingsError."""
        settings = checked(self._json())
        if settings["scbk"]:
            self._take_key(settings["scbk"])
        self._said = _line(settings["address"], settings["baud"])
        line = files.read_sealed(self.path("line"), 10)
        # Where the panel has moved the node, that holds until node.json says something else than it did then.
        if line is not None and len(line) == 10 and line[5:] == self._said:
            settings["address"] = line[0]
            settings["baud"] = int.from_bytes(line[1:5], "little")
        return settings

    def key(self):
        """The node's own key, or None: it has to be given one (the install window)."""
        key = files.read_sealed(self.path("scbk"), KEY_BYTES)
        return key if key is not None and len(key) == KEY_BYTES else None

    def keep_key(self, key: bytes) -> bool:
        """A new key, in place of the one before, which stays beside it for the cache that was made with it."""
        before = self.key()
        if before is not None and before != key and not files.write_sealed(self.path("scbk.old"), before):
            return False
        return files.write_sealed(self.path("scbk"), key)

    def key_before(self):
        """The key before this one, or None: what was kept of a cache may be made with it."""
        key = files.read_sealed(self.path("scbk.old"), KEY_BYTES)
        return key if key is not None and len(key) == KEY_BYTES else None

    def keep_line(self, address: int, baud: int) -> bool:
        """The panel has moved this node to another address or speed."""
        return files.write_sealed(self.path("line"), _line(address, baud) + self._said)

    def latched(self) -> bool:
        """Fire had released the lock when the node last ran, and nobody has reset it since."""
        return files.exists(self.path("latch"))

    def keep_latch(self, on: bool) -> bool:
        """The file is there or it is not: a power cut half way leaves no third state."""
        if on:
            return files.write_sealed(self.path("latch"), b"released by fire")
        return files.remove(self.path("latch"))

    def _json(self):
        try:
            with open(self.path("node.json")) as file:
                return json.loads(file.read(_MOST_BYTES))
        except OSError:
            return {}
        except ValueError:
            raise _wrong("file", "a JSON object")

    def _take_key(self, digits: str) -> None:
        """Move a key out of node.json, where it would stay readable in a copy of the settings."""
        try:
            key = binascii.unhexlify(digits)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES or key == codes.SCBK_D:
            raise _wrong("scbk", "32 hex digits of a secret key")
        taken = self.path("scbk.taken")
        if files.read_sealed(taken, KEY_BYTES) != key:  # else it was, and may have been rotated since
            if not self.keep_key(key) or not files.write_sealed(taken, key):
                return
            files.remove(self.path("line"))  # a board that is given a new key begins anew
        settings = self._json()
        del settings["scbk"]
        beside = self.path("node.json.new")
        try:
            with open(beside, "w") as file:
                file.write(json.dumps(settings))
            files.rename(beside, self.path("node.json"))
        except OSError:
            return  # tried again at the next start; the key is in place
        files.remove(taken)
