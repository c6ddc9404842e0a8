"""An atheris target: any bytes given to the contract's decoders are a value or a ContractError, within the limits.

    python tests/fuzz/fuzz_contract.py CORPUS -max_total_time=3600

The corpus begins with the frames of tests/contract/frames. A crash is written to ./crash-<sha1>.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["center"]):
    from center.contract.acknowledgement import decode_answer
    from center.contract.errors import ContractError
    from center.contract.frame import FrameDecoder, FrameEncoder
    from center.contract.state import decode_state
    from center.contract.topics import parse

import zstandard

_decoder = FrameDecoder()
_encoder = FrameEncoder()
_compressor = zstandard.ZstdCompressor(level=1)


def one_input(data: bytes) -> None:
    """The first byte says which decoder; bodies are also tried behind a compression that is right."""
    if not data:
        return
    choice, rest = data[0] % 7, data[1:]
    try:
        if choice == 0:
            _frame(rest)
        elif choice in (1, 2):
            _frame(bytes((choice, 0)) + _compressor.compress(rest))
        elif choice == 3:
            _frame(b"\x03\x01" + rest[:16] + _compressor.compress(rest[16:])[4:])
        elif choice == 4:
            decode_answer(rest)
        elif choice == 5:
            decode_state(rest)
        else:
            parse(rest.decode("latin-1"))
    except ContractError as e:
        text = str(e)
        if not text.isprintable() or len(text) > 600:
            raise AssertionError(f"an error that cannot be shown: {text[:200]!r}") from e


def _frame(data: bytes) -> None:
    frame = _decoder.decode(data)
    # What was accepted can be sent on, and is the same then.
    again = _decoder.decode(_encoder.encode(frame.epoch, frame.events, frame.simulated))
    if again != frame:
        raise AssertionError("a frame that changes when it is sent on")


def seeds(folder: Path) -> None:
    """The stored frames, as inputs of this target."""
    for path in (Path(__file__).parents[1] / "contract" / "frames").glob("*/*.frame"):
        raw = path.read_bytes()
        (folder / path.name).write_bytes(b"\x00" + raw)
        if raw[0] in (1, 2):
            body = zstandard.ZstdDecompressor().decompress(raw[2:], max_output_size=1 << 20)
            (folder / f"{path.name}.body").write_bytes(raw[:1] + body)


if __name__ == "__main__":
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    seeds(corpus)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
