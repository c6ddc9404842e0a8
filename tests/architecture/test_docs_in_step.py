"""Documents say what the product has: commands, make targets, configuration keys, dependencies, decisions, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from source_tree import PACKAGES, REPOSITORY, tracked_files

from center.config import CenterConfig
from gateway.config import GatewayConfig
from zhian.cli import COMMANDS, build


@cache
def text(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


@cache
def commands() -> dict[str, Any]:
    """`zhian a b` -> its command, for every command that does something."""
    found = {}
    waiting = {"zhian": typer.main.get_command(build(list(COMMANDS)))}
    while waiting:
        line, command = waiting.popitem()
        inner = getattr(command, "commands", None)
        if inner is None:
            found[line] = command
        else:
            waiting |= {f"{line} {name}": sub for name, sub in inner.items()}
    return found


def sections() -> dict[str, str]:
    """`zhian a b` -> what docs/commands.md says under the heading of that command."""
    parts = re.split(r"^#+ `(zhian [a-z -]*[a-z])[^\n]*$", text("docs/commands.md"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    assert len(commands()) >= 10
    assert sorted(sections()) == sorted(commands())


def test_every_option_is_documented_with_its_command_and_no_other() -> None:
    wrong = []
    for line, command in commands().items():
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        documented = set(re.findall(r"^\| `(--[a-z0-9-]+)", sections().get(line, ""), re.M))
        wrong += [f"{line} {option}" for option in options ^ documented - {"--help"}]
    assert not wrong, sorted(wrong)


def test_every_make_target_is_documented() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):[^#\n]*## ", text("Makefile"), re.M)
    assert len(targets) >= 9
    prose = text("README.md") + text("CONTRIBUTING.md")
    assert [name for name in targets if f"make {name}" not in prose] == []


def keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration file as `table.key`; elements of a list of tables as `table.key` too."""
    for item in msgspec.structs.fields(kind):
        path = f"{prefix}{item.encode_name}"
        inner = structs(item.type)
        if not inner:
            yield path
        for one in inner:
            yield from keys(one, f"{path}.")


def structs(kind: object) -> list[type]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [inner for part in getattr(kind, "__args__", ()) for inner in structs(part)]


@pytest.mark.parametrize(("kind", "section"), [(GatewayConfig, "# gateway.toml"), (CenterConfig, "# center.toml")])
def test_configuration_keys_are_documented_and_nothing_else(kind: type, section: str) -> None:
    part = text("docs/configuration.md").partition(f"\n{section}\n")[2].partition("\n# ")[0]
    documented = set(re.findall(r"^\| `([a-z_.]+)`", part, re.M))
    assert documented == set(keys(kind))


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0] for line in lines} - {"zhian"}
    assert sorted(name for name in names if f"`{name}`" not in text("docs/dependencies.md")) == []


def test_every_package_is_in_the_architecture() -> None:
    assert [name for name in PACKAGES if f"`{name}" not in text("docs/architecture.md")] == []


def test_every_decision_is_listed() -> None:
    records = [path.name for path in tracked_files() if re.fullmatch(r"docs/adr/\d{4}-.*\.md", str(path))]
    assert len(records) >= 2
    assert [name for name in records if f"({name})" not in text("docs/adr/README.md")] == []
    assert len({name[:4] for name in records}) == len(records), "two records share a number"


def test_every_document_can_be_found_from_the_first_page() -> None:
    documents = [str(path) for path in tracked_files() if path.match("docs/*.md") or path.match("docs/examples/*.py")]
    assert len(documents) >= 6
    assert [name for name in documents if f"({name})" not in text("README.md")] == []


def test_links_inside_the_repository_lead_somewhere() -> None:
    broken = []
    for path in tracked_files():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#\s]+)", text(str(path))):
            if "://" not in target and not (REPOSITORY / path.parent / target).exists():
                broken.append(f"{path}: {target}")
    assert not broken, broken
    files = re.findall(
        r"`((?:docs|device_profiles|setup|firmware|gateway|center|sim)/[\w./-]+\.\w+)`", text("README.md")
    )
    assert [name for name in files if not Path(REPOSITORY / name).exists()] == []
