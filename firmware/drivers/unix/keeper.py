"""What the control panel may change of a node on a computer: its key and its address, each in a file of its own."""

import binascii
import json
import os


class FileKeeper:
    """`key_file`: 32 hex digits; `line_file`: {"address", "baud"}, there once the panel has changed them."""

    def __init__(self, key_file: str, line_file: str):
        self._key_file = key_file
        self._line_file = line_file

    def keep_key(self, key: bytes) -> bool:
        """True once the file holds the key and would after a power cut."""
        return _replace(self._key_file, binascii.hexlify(key).decode() + "\n")

    def keep_line(self, address: int, baud: int) -> bool:
        """True once the file holds them."""
        return _replace(self._line_file, json.dumps({"address": address, "baud": baud}))


def _replace(path: str, text: str) -> bool:
    beside = path + ".new"
    try:
        # This port makes files as the umask says: the folder has to keep others from reading the key.
        with open(beside, "w") as file:
            file.write(text)
            file.flush()  # this port's flush is fsync(2)
        os.rename(beside, path)
    except OSError:
        return False
    return True
