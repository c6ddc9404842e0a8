"""Tables of standard addresses from CSV or XLSX: every error of every row, told before anything is stored."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from center.errors import AddressError
from center.store.addresses import MAX_CODE_CHARACTERS, MAX_PLACE_CHARACTERS, Address
from runtime.log import shown

MAX_FILE_BYTES = 32 << 20
MAX_UNPACKED_BYTES = 256 << 20  # of an XLSX, which is a ZIP file
MAX_ROWS = 200_000
MAX_COLUMNS = 50
MAX_FAULTS = 200  # told; a file with more is wrong in some general way
COLUMNS = ("district", "site", "gateway", "subject", "address", "grid", "place")
REQUIRED = ("district", "site", "address")
_HEADINGS = {
    "区域": "district", "小区": "site", "站点": "site", "网关": "gateway", "对象": "subject", "通道": "subject",
    "标准地址": "address", "标准地址编码": "address", "网格": "grid", "网格编码": "grid", "地址": "place",
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9-]{1,32}")
_CODE = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_CODE_CHARACTERS}}}")
_RULES = {
    "district": (_NAME, "lower-case letters, digits and hyphens, 1 to 32"),
    "site": (_NAME, "lower-case letters, digits and hyphens, 1 to 32"),
    "gateway": (_NAME, "empty, or lower-case letters, digits and hyphens, up to 32"),
    "subject": (_NAME, "empty, or lower-case letters, digits and hyphens, up to 32"),
    "address": (_CODE, f"a code of letters, digits and hyphens, 1 to {MAX_CODE_CHARACTERS}"),
    "grid": (_CODE, f"empty, or a code of letters, digits and hyphens, up to {MAX_CODE_CHARACTERS}"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one cell. row: as a spreadsheet numbers it; row 1 holds the headings."""

    row: int
    column: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """Entries of the rows without faults, and every fault (at most MAX_FAULTS; `more` = there are others)."""

    addresses: tuple[Address, ...]
    faults: tuple[Fault, ...]
    more: bool = False


def read_file(path: Path) -> Parsed:
    """The table in a .csv or .xlsx file. Raises AddressError where it is no table at all."""
    try:
        size = path.stat().st_size
    except OSError as e:
        raise AddressError(f"{path}: cannot be read ({e.strerror}); give a .csv or .xlsx file") from None
    if size > MAX_FILE_BYTES:
        raise AddressError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {size}; split the file")
    if path.suffix.lower() == ".xlsx":
        return parse(_xlsx_rows(path), str(path))
    if path.suffix.lower() == ".csv":
        return parse(_csv_rows(path), str(path))
    raise AddressError(f"{path}: expected a .csv or .xlsx file; save the table as one of these")


def parse(rows: Iterable[Sequence[str]], source: str) -> Parsed:
    """Check a table whose first row holds headings. Raises AddressError where the headings are wrong."""
    numbered = enumerate(rows, 1)
    _, heading = next(numbered, (0, ()))
    columns = _columns(heading, source)
    addresses: dict[tuple[str, str, str, str], Address] = {}
    first_row: dict[tuple[str, str, str, str], int] = {}
    faults: list[Fault] = []
    for number, row in numbered:
        cells = {name: (row[i].strip() if i < len(row) else "") for name, i in columns.items()}
        if not any(cells.values()):
            continue  # spreadsheets end in empty rows
        if len(addresses) >= MAX_ROWS:
            raise AddressError(f"{source}: expected at most {MAX_ROWS} rows; split the file")
        found = list(_faults(number, cells))
        address = Address(**{name: cells.get(name, "") for name in COLUMNS})
        if not found and address.key in first_row:
            what = "/".join(part or "*" for part in address.key)
            found.append(
                Fault(number, "subject", f"one row for {what}", f"another one in row {first_row[address.key]}")
            )
        if found:
            faults += found
            if len(faults) > MAX_FAULTS:
                return Parsed(tuple(addresses.values()), tuple(faults[:MAX_FAULTS]), more=True)
        else:
            addresses[address.key] = address
            first_row[address.key] = number
    return Parsed(tuple(addresses.values()), tuple(faults))


def write_csv(addresses: Iterable[Address], path: Path) -> int:
    """A table that `read_file` reads; how many entries. Raises AddressError."""
    count = 0
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for address in addresses:
                writer.writerow(getattr(address, name) for name in COLUMNS)
                count += 1
    except OSError as e:
        raise AddressError(f"{path}: cannot be written ({e.strerror}); choose another place") from None
    return count


def _columns(heading: Sequence[str], source: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for i, text in enumerate(heading[:MAX_COLUMNS]):
        plain = text.strip().lstrip("\ufeff")
        if not plain:
            continue
        name = _HEADINGS.get(plain, plain.lower())
        if name not in COLUMNS:
            raise AddressError(f"{source}: row 1: expected the headings {list(COLUMNS)}, got {shown(plain)[:40]!r}")
        if name in columns:
            raise AddressError(f"{source}: row 1: the heading {name!r} is there twice; remove one")
        columns[name] = i
    if lacking := [name for name in REQUIRED if name not in columns]:
        raise AddressError(f"{source}: row 1: the heading {lacking[0]!r} is missing; the first row holds the headings")
    return columns


def _faults(number: int, cells: dict[str, str]) -> Iterator[Fault]:
    for name, (rule, expected) in _RULES.items():
        value = cells.get(name, "")
        if not value and name not in REQUIRED:
            continue
        if not rule.fullmatch(value):
            yield Fault(number, name, expected, repr(shown(value)[:40]) if value else "nothing")
    place = cells.get("place", "")
    if len(place) > MAX_PLACE_CHARACTERS or not place.isprintable():
        yield Fault(number, "place", f"one line of at most {MAX_PLACE_CHARACTERS} characters", repr(shown(place)[:40]))
    if cells.get("subject") and not cells.get("gateway"):
        yield Fault(number, "gateway", "the gateway of this subject", "nothing")


def _csv_rows(path: Path) -> Iterator[list[str]]:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = raw.decode("gb18030")  # what a Chinese spreadsheet program saves as plain CSV
        except UnicodeDecodeError:
            raise AddressError(f"{path}: expected UTF-8 or GB18030 text; save the file as CSV UTF-8") from None
    try:
        yield from csv.reader(io.StringIO(text, newline=""), strict=True)
    except csv.Error as e:
        raise AddressError(f"{path}: not valid CSV ({e}); save the table again as CSV UTF-8") from None


def _xlsx_rows(path: Path) -> Iterator[list[str]]:
    try:
        import openpyxl
    except ImportError:
        raise AddressError("an .xlsx file needs the package openpyxl: pip install 'zhian[center]'") from None
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
    except (zipfile.BadZipFile, OSError):
        raise AddressError(f"{path}: not an .xlsx file; save the table again") from None
    if unpacked > MAX_UNPACKED_BYTES:
        raise AddressError(f"{path}: expected at most {MAX_UNPACKED_BYTES} bytes unpacked, got {unpacked}")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            for row in book.worksheets[0].iter_rows(max_col=MAX_COLUMNS, values_only=True):
                yield [_cell(value) for value in row]
        finally:
            book.close()
    except (KeyError, ValueError, IndexError, zipfile.BadZipFile, SyntaxError, OSError) as e:
        raise AddressError(f"{path}: not a readable .xlsx file ({shown(type(e).__name__)}); save it again") from None


def _cell(value: object) -> str:
    """As it is shown: a code that the spreadsheet took for a whole number has no decimal point."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
