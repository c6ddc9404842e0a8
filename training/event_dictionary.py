"""Train the zstd dictionary of live events, from invented traffic only, reproducibly.

    python -m training.event_dictionary --number 1 > center/contract/dictionary_1.py

The same seed and zstd version give the same bytes (a test compares). A new dictionary gets a new number and a new file;
numbers and files that were released are never changed.
"""

from __future__ import annotations

import argparse
import random

import msgspec
import zstandard

from center.contract.live import event_values
from zhian.event_traffic import Community, events

SEED = 20_261_122
SITES = 300
EVENTS_PER_SITE = 400
DICTIONARY_BYTES = 4096
LEVEL = 19

# Names as people give them. The figures of docs/events.md are measured with other ones.
DOORS = (
    *("lobby", "main-door", "back-door", "side-door", "stairwell", "unit-1", "unit-2", "unit-3", "tower-a", "tower-b"),
    *("building-1-door", "garden-gate", "pool", "gym", "parcel-room", "bike-room", "lift-lobby", "roof", "fire-exit"),
)
GATES = (
    *("north-gate", "south-gate", "east-gate", "west-gate", "main-gate", "garage", "garage-in", "garage-out"),
    *("barrier-1", "barrier-2"),
)


def train() -> bytes:
    """The dictionary."""
    pack = msgspec.msgpack.Encoder()
    samples: list[bytes] = []
    for site in range(SITES):
        dice = random.Random(SEED + site)
        names = Community(tuple(dice.sample(DOORS, dice.randint(2, 8))), tuple(dice.sample(GATES, dice.randint(1, 3))))
        samples += [pack.encode(event_values(event)) for event in events(names, SEED + site, EVENTS_PER_SITE)]
    return zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=LEVEL).as_bytes()


def as_module(number: int, dictionary: bytes) -> str:
    """The text of center/contract/dictionary_<number>.py."""
    text = dictionary.hex()
    lines = [text[i : i + 112] for i in range(0, len(text), 112)]
    return (
        f'"""Dictionary {number} of live events: {len(dictionary)} bytes, made by training/event_dictionary.py. Never'
        ' changed."""\n\nfrom __future__ import annotations\n\n'
        "DICTIONARY = bytes.fromhex(\n" + "".join(f'    "{line}"\n' for line in lines) + ")\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    number = parser.parse_args().number
    print(as_module(number, train()), end="")
