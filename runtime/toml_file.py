"""Read a TOML file once into a frozen, typed struct. Unknown keys and wrong types are errors, never defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from runtime.errors import ConfigError

T = TypeVar("T")
MAX_BYTES = 1_000_000  # a configuration is written by hand; anything larger is a mistake


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every configuration table."""


def load(path: Path, kind: type[T]) -> T:
    """Return the file as `kind`. Raises ConfigError with one sentence: file, key, expected, got, what next."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the path of an existing configuration") from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(raw)} bytes; a configuration has at most {MAX_BYTES}")
    try:
        plain = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path}: byte {e.start} is not UTF-8; save the file as UTF-8") from e
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply; a configuration has a few levels") from None
    except ValueError as e:  # TOMLDecodeError, or a number that Python refuses to convert
        raise ConfigError(f"{path}: not valid TOML: {_printable(str(e))}") from e
    return check(plain, kind, str(path))


def check(plain: object, kind: type[T], source: str) -> T:
    """Convert parsed TOML to `kind`; the same errors as `load`, with `source` in front."""
    try:
        return msgspec.convert(plain, kind, strict=True)
    except msgspec.ValidationError as e:
        raise ConfigError(f"{source}: {_explain(_printable(str(e)), plain, kind)}") from None


def _explain(message: str, plain: object, kind: object) -> str:
    text, _, where = message.partition(" - at `")
    key = where.rstrip("`").removeprefix("$").removeprefix(".") or "(top level)"
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", text):
        name = unknown[1] if key == "(top level)" else f"{key}.{unknown[1]}"
        return f"{name}: this key is not known; remove it or correct its spelling"
    if missing := re.fullmatch(r"Object missing required field `(.+)`", text):
        name = missing[1] if key == "(top level)" else f"{key}.{missing[1]}"
        return f"{name}: this key is missing; add it"
    got = _look_up(plain, key)
    shown = "" if got is _NOTHING else _cap(got)
    if typed := re.fullmatch(r"Expected (.+), got `(.+)`", text):
        return f"{key}: expected {typed[1]}, got {shown or 'another type'} ({typed[2]}); correct the value"
    if text.startswith("Invalid enum value") and (choices := _choices(kind, key)):
        return f"{key}: expected one of {', '.join(map(repr, choices))}, got {shown}; choose one of them"
    return f"{key}: {text[0].lower()}{text[1:]}{', got ' + shown if shown else ''}; correct the value"


def _choices(kind: object, key: str) -> tuple[object, ...]:
    """The values that a Literal at `key` allows; () where the type there cannot be followed."""
    at: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
    for name, index in _STEP.findall(key):
        at = _inside(at, name if name else None) if name or index else None
    return tuple(at.values) if isinstance(at, msgspec.inspect.LiteralType) else ()


def _inside(at: msgspec.inspect.Type | None, name: str | None) -> msgspec.inspect.Type | None:
    """The type of the field `name`, or with None of an item."""
    if isinstance(at, msgspec.inspect.UnionType):
        return next((found for one in at.types if (found := _inside(one, name)) is not None), None)
    if isinstance(at, msgspec.inspect.Metadata):
        return _inside(at.type, name)
    if name is None:
        return getattr(at, "item_type", None)
    if isinstance(at, msgspec.inspect.StructType):
        return next((field.type for field in at.fields if field.encode_name == name), None)
    return at.value_type if isinstance(at, msgspec.inspect.DictType) else None


_NOTHING = object()
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def _look_up(plain: object, key: str) -> object:
    """Follow `a.b[0].c` through parsed TOML; _NOTHING where it cannot be followed."""
    for name, index in _STEP.findall(key):
        if name and isinstance(plain, dict) and name in plain:
            plain = plain[name]
        elif index.isdigit() and isinstance(plain, list) and int(index) < len(plain):
            plain = plain[int(index)]
        else:
            return _NOTHING
    return plain


def _printable(text: str) -> str:
    """A file's own words, with what a terminal would obey escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _cap(value: object) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
