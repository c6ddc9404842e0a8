"""policy.toml: what people write, export and import. Read strictly, written so that reading gives the same again."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.access.policy import Policy
from gateway.store.policy_compile import compile_document
from gateway.store.policy_document import PolicyDocument
from runtime import toml_file
from runtime.errors import ConfigError

MAX_FILE_BYTES = 8_000_000  # 20 000 holders with their cards are about 5 MB

HEADER = """\
# The policy of this site: who may pass, where and when (docs/policy.md explains every key).
# Change it and hand it back with `zhian access import`; nothing here is in force by itself.

"""


def read(path: Path) -> Policy:
    """Parse and compile the document. Raises ConfigError (one sentence)."""
    return compile_document(read_document(path), str(path))


def read_document(path: Path) -> PolicyDocument:
    """Parse the document, without looking at how its parts fit together. Raises ConfigError."""
    return parse(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The file, if it is one and not too large. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the path of an existing policy") from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: more than {MAX_FILE_BYTES} bytes; expected a policy.toml, so check the path")
    return raw


def parse(raw: bytes, source: str) -> PolicyDocument:
    """TOML to tables. Raises ConfigError with `source` in front."""
    try:
        plain = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise ConfigError(f"{source}: byte {e.start} is not UTF-8; save the file as UTF-8") from e
    except RecursionError:
        raise ConfigError(f"{source}: not valid TOML: nested too deeply; a policy has a few levels") from None
    except ValueError as e:  # TOMLDecodeError, or a number that Python refuses to convert
        raise ConfigError(f"{source}: not valid TOML: {_printable(str(e))}; correct that line") from e
    return toml_file.check(plain, PolicyDocument, source)


def digest(raw: bytes) -> str:
    """sha256 of a file's bytes, hex: by which it is recognised as the one that was imported."""
    return hashlib.sha256(raw).hexdigest()


def written(document: PolicyDocument) -> str:
    """The document as TOML; what is at its default is left out."""
    import tomli_w

    return HEADER + tomli_w.dumps(_plain(document), multiline_strings=False)


def _plain(table: msgspec.Struct) -> dict[str, Any]:
    """A table's keys that are not at their default, in the order in which they are declared."""
    return {
        item.encode_name: _value(value)
        for item in msgspec.structs.fields(table)
        if (value := getattr(table, item.name)) != item.default
    }


def _value(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _plain(value)
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    if isinstance(value, Mapping | date | datetime | str | int):
        return value
    raise TypeError(f"a policy holds no {type(value).__name__}")  # a new kind of key must be added here


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
