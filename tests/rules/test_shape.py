"""What keeps the code readable in an hour: small files that say their job, and nothing left lying about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES_OF_A_FILE = 250
MOST_LINES_OF_A_FUNCTION = 60

TEXTS = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for folder in ("mtrack", "plugins", "deploy")
    for file in sorted((ROOT / folder).rglob("*.py"))
}
TREES = {name: ast.parse(text) for name, text in TEXTS.items()}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for name, tree in TREES.items():
        yield from ((f"{name}:{node.lineno}", node) for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_file_is_longer_than_one_reads_at_once() -> None:
    lengths = {name: len(text.splitlines()) for name, text in TEXTS.items()}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}


def test_every_module_says_its_job_in_its_first_line() -> None:
    docstrings = {name: (ast.get_docstring(tree) or "").splitlines() for name, tree in TREES.items()}
    assert [name for name, lines in docstrings.items() if not lines or not lines[0].endswith(".")] == []
    assert [name for name, lines in docstrings.items() if len(lines) > 1 and lines[1]] == [], "the rest stands apart"


def test_results_and_talk_go_where_they_belong() -> None:
    names = {place: call.func.id for place, call in calls() if isinstance(call.func, ast.Name)}
    assert {place: name for place, name in names.items() if name in ("print", "breakpoint")} == {}


def test_nothing_is_left_to_do() -> None:
    marks = {name: re.findall(r"\b(?:TODO|FIXME|XXX)\b|pdb\.set_trace", text) for name, text in TEXTS.items()}
    assert {name: found for name, found in marks.items() if found} == {}


def test_no_file_is_loaded_in_a_way_that_runs_its_code() -> None:
    unsafe = {("weights_only", False), ("allow_pickle", True)}
    given = [
        (place, (keyword.arg, keyword.value.value))
        for place, call in calls()
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
    ]
    assert [place for place, pair in given if pair in unsafe] == []
