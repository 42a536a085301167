"""What keeps the code readable in an hour: small files that say their job, and nothing left lying about."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES_OF_A_FILE = 260
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_THE_KERNEL = 3000
NO_CODE = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}

TEXTS = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for folder in ("mtrack", "plugins")
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


def lines_of_code(name: str) -> int:
    """Count the lines that hold code: not those blank, or of comments, docstrings and imports alone."""
    skipped: set[int] = set()
    for node in ast.walk(TREES[name]):
        is_text = isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(TEXTS[name]).readline)
    held = {line for t in tokens if t.type not in NO_CODE for line in range(t.start[0], t.end[0] + 1)}
    return len(held - skipped)


def test_the_kernel_is_read_in_an_hour() -> None:
    """The kernel has under 3,000 lines of code; blank lines, comments, docstrings and imports are not counted.

    All lines together are some 4,800, since every field and function says what it is, with units and shapes.
    """
    assert sum(lines_of_code(name) for name in TEXTS if name.startswith("mtrack/")) < MOST_LINES_OF_THE_KERNEL


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
