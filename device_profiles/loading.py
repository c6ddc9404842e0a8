"""From a TOML file to a Profile, or to every reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_origin

import msgspec

from device_profiles import rules
from device_profiles.errors import ProfileError
from device_profiles.model import KINDS, NAME_PATTERN, Profile
from runtime import toml_file
from runtime.errors import ConfigError

PACKAGE = "device_profiles"


@dataclass(frozen=True, slots=True)
class Examined:
    """A file after the check: `profile` is None where `errors` is not empty. Each error is one sentence."""

    source: str
    status: str | None
    profile: Profile | None
    errors: tuple[str, ...]


def names() -> list[str]:
    """The shipped profiles, in order."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


@cache
def load(name: str) -> Profile:
    """The shipped profile of that name (as in gateway.toml). Raises ProfileError: one sentence."""
    if not re.fullmatch(NAME_PATTERN, name) or name not in names():
        raise ProfileError(f"device profile {name[:40]!r}: there is none of that name; use one of {', '.join(names())}")
    examined = examine_file(shipped(name))
    if examined.profile is None:
        raise ProfileError(examined.errors[0])
    return examined.profile


def shipped(name: str) -> Path:
    """The file of a shipped profile; `name` is one of `names()`."""
    return Path(str(_folder() / f"{name}.toml"))


def examine_file(path: Path) -> Examined:
    """Read and check one file. Never raises for what the file holds."""
    try:
        plain = toml_file.load(path, dict[str, Any])
    except ConfigError as e:
        return Examined(str(path), None, None, (str(e),))
    return examine(plain, str(path))


def examine(plain: dict[str, Any], source: str) -> Examined:
    """Check parsed TOML; `source` goes in front of every sentence."""
    status = plain.get("status") if isinstance(plain.get("status"), str) else None
    kind = plain.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        got = "it is missing" if kind is None else f"got {str(kind)[:40]!r}"
        return Examined(
            source, status, None, (f"{source}: kind: expected one of {', '.join(KINDS)}; {got}; correct it",)
        )
    wrong = _malformed({key: value for key, value in plain.items() if key != "kind"}, KINDS[kind], source)
    if wrong:
        return Examined(source, status, None, tuple(wrong))
    profile = toml_file.check(plain, KINDS[kind], source)
    errors = tuple(f"{source}: {text}" for text in rules.broken(profile))
    return Examined(source, status, None if errors else profile, errors)


def _malformed(plain: dict[str, Any], kind: type[msgspec.Struct], source: str) -> list[str]:
    """One sentence per top-level key that is unknown, missing or of a wrong type (msgspec alone stops at the first)."""
    fields = {item.encode_name: item for item in msgspec.structs.fields(kind)}
    sentences = []
    for key, value in plain.items():
        allowed = [(key, fields[key].type)] if key in fields else []
        alone = msgspec.defstruct("Alone", allowed, bases=(toml_file.Table,))
        # A table of named things is checked entry by entry, so that the sentence can name the entry.
        of_entries = key in fields and get_origin(fields[key].type) is dict and isinstance(value, dict) and value
        for part in [{name: entry} for name, entry in value.items()] if of_entries else [value]:
            try:
                toml_file.check({key: part}, alone, source)
            except ConfigError as e:
                named = f"{key}.{next(iter(part))}" if of_entries else key
                sentences.append(_line(str(e).replace(f"{key}[...]", named)))
    for key, item in fields.items():
        if item.required and key not in plain:
            sentences.append(f"{source}: {key}: this key is missing; add it")
    return sentences


def _line(text: str) -> str:
    """A key may hold any character: a sentence stays one printable line."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _folder() -> resources.abc.Traversable:
    return resources.files(PACKAGE)
