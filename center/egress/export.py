"""Files of events: CSV for spreadsheets and programs, Parquet for analysis."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from center.contract.cloudevents import rfc3339
from center.errors import CenterError
from center.store.reading import StoredEvent

COLUMNS = (
    "id", "source", "type", "time", "subject", "severity", "clock", "address", "grid", "simulated",
    "title_zh", "title_en", "data", "received", "district", "site", "gateway", "epoch", "seq",
)  # fmt: skip
_ROW_GROUP = 10_000
# What a spreadsheet takes for a formula at the beginning of a cell (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class ExportError(CenterError):
    """A file of events cannot be written."""


def record(event: StoredEvent) -> dict[str, Any]:
    """One event by column."""
    return {
        "id": f"{event.epoch}-{event.seq}",
        "source": f"/{event.district}/{event.site}/{event.gateway}",
        "type": event.type,
        "time": rfc3339(event.time_ms),
        "subject": event.subject,
        "severity": event.severity,
        "clock": "synced" if event.clock_certain else "uncertain",
        "address": event.address or "",
        "grid": event.grid or "",
        "simulated": event.simulated,
        "title_zh": event.title_zh,
        "title_en": event.title_en,
        "data": msgspec.json.encode(event.data, order="sorted").decode(),
        "received": rfc3339(event.received_ms),
        "district": event.district,
        "site": event.site,
        "gateway": event.gateway,
        "epoch": event.epoch,
        "seq": event.seq,
    }


def guarded(value: object) -> str:
    """A cell that no spreadsheet runs: text that begins like a formula gets an apostrophe in front."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_lines(events: Iterable[StoredEvent]) -> Iterator[str]:
    """CSV as RFC 4180 says, with a byte order mark: spreadsheets would read Chinese as something else without it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    yield "\ufeff" + _take(buffer)
    for event in events:
        writer.writerow([guarded(value) for value in record(event).values()])
        yield _take(buffer)


def write_csv(events: Iterable[StoredEvent], path: Path) -> int:
    """A file that is complete or not there; how many events. Raises ExportError, StoreError."""
    count = -1  # the line of headings
    with _Whole(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        for line in csv_lines(events):
            file.write(line)
            count += 1
    return count


def write_parquet(events: Iterable[StoredEvent], path: Path) -> int:
    """The same as Parquet, with times as UTC timestamps; how many events. Raises ExportError, StoreError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ExportError("Parquet needs the package pyarrow: pip install 'zhian[export]', or use csv") from None
    moment = pa.timestamp("ms", tz="UTC")
    kinds = {"time": moment, "received": moment, "simulated": pa.bool_(), "seq": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    count = 0
    left = iter(events)
    with _Whole(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as file:
        while group := list(islice(left, _ROW_GROUP)):
            rows = [record(one) | {"time": one.time_ms, "received": one.received_ms} for one in group]
            file.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


class _Whole:
    """A temporary file beside `path` that takes its place once the block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.absolute().parent)
        except OSError as e:
            raise ExportError(f"{self._path}: cannot be written ({e.strerror}); choose another place") from None
        os.close(handle)
        self._part = Path(name)
        return self._part

    def __exit__(self, kind: object, e: BaseException | None, _: object) -> None:
        if e is None:
            self._part.replace(self._path)
            return
        self._part.unlink(missing_ok=True)
        if isinstance(e, OSError):
            raise ExportError(f"{self._path}: cannot be written ({e.strerror}); check the disk") from None


def _take(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
