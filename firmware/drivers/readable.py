"""Wait in asyncio until a stream of MicroPython has something to read, whatever the stream is."""

import asyncio


# A generator on purpose: it is awaited by MicroPython's scheduler, which polls the stream.
def readable(stream):
    """Use as `await readable(stream)`. Also returns when the stream has ended or failed: read it to find out."""
    yield asyncio.core._io_queue.queue_read(stream)  # type: ignore[attr-defined]
