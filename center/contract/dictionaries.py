"""Every zstd dictionary there ever was, by its number on the wire. An old one stays: stored frames still need it.

Trained on invented events only (training/event_dictionary.py): a dictionary shows pieces of what it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

from center.contract.dictionary_1 import DICTIONARY as _FIRST

NO_DICTIONARY = 0
DICTIONARIES: Mapping[int, bytes] = {1: _FIRST}
NEWEST = max(DICTIONARIES)
