"""The repository as these tests see it: its tracked files, the Python modules in it and what they import."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("firmware", "gateway", "center", "device_profiles", "sim", "runtime", "pages", "model_conversion", "zhian")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files that are in the repository or would be added to it, relative to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = tuple(Path(name) for name in sorted(set(listed.split("\0")) - {""}) if (REPOSITORY / name).is_file())
    assert Path("pyproject.toml") in found
    return found


def python_files(*folders: str) -> list[Path]:
    """Tracked Python files under these folders (or files), relative to the repository."""
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and any(path == Path(folder) or Path(folder) in path.parents for folder in folders)
    ]


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a tracked file."""
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"), filename=str(path))


@dataclass(frozen=True)
class Import:
    """One imported name: `module` as written, `name` is what was taken from it ('' for a plain import)."""

    path: Path
    line: int
    module: str
    name: str

    @property
    def full(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module

    def within(self, allowed: str) -> bool:
        """Whether this import is of `allowed` or of something inside it."""
        return self.full == allowed or self.full.startswith(f"{allowed}.")


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever it stands in it; relative ones are made absolute."""
    package = path.parent.parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield Import(path, node.lineno, module, alias.name)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain, '' for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (front := dotted(node.value)):
        return f"{front}.{node.attr}"
    return ""


def calls(path: Path, *, in_defaults: bool = True) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every call of a file; without `in_defaults` not those inside a parameter's default."""
    skipped = set() if in_defaults else {id(node) for node in _inside_defaults(path)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and id(node) not in skipped and (name := dotted(node.func)):
            yield node.lineno, name


def _inside_defaults(path: Path) -> Iterator[ast.AST]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    yield from ast.walk(default)
