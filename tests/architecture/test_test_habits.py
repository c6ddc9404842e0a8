"""Habits of the tests themselves: no unexplained waiting, no mocks of our own code."""

from __future__ import annotations

import ast

from source_tree import PACKAGES, REPOSITORY, dotted, imports, python_files, tree


def test_a_sleep_says_why() -> None:
    wrong = []
    for path in python_files("tests"):
        lines = (REPOSITORY / path).read_text(encoding="utf-8").splitlines()
        polling = {inner for loop in ast.walk(tree(path)) if isinstance(loop, ast.While) for inner in ast.walk(loop)}
        for node in ast.walk(tree(path)):
            # Inside `while` it is the pause between two looks at a condition, which is what a test should do.
            if not isinstance(node, ast.Call) or node in polling or not dotted(node.func).endswith("sleep"):
                continue
            yields = node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
            explained = "#" in lines[node.lineno - 1] or lines[node.lineno - 2].strip().startswith("#")
            if not yields and not explained:
                wrong.append(f"{path}:{node.lineno}: a sleep needs a comment that says why no condition can be awaited")
    assert not wrong, "\n".join(wrong)


def test_our_own_code_is_not_mocked() -> None:
    wrong = [
        f"{one.path}:{one.line}: {one.full}; give the part a small fake that keeps its contract"
        for path in python_files("tests", *PACKAGES)
        for one in imports(path)
        if one.within("unittest.mock") or one.within("mock")
    ]
    assert not wrong, "\n".join(wrong)
