"""Reads the help texts of fields: the string literals below them in the source of a class."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from types import ModuleType


def help_of(cls: type) -> dict[str, str]:
    """Return the help text of each field: the string literal below it in the class, or in its base class."""
    texts = help_of(cls.__base__) if cls.__base__ is not None and cls.__base__ is not object else {}
    if not inspect.get_annotations(cls):
        return texts  # no fields of its own, such as typing.Protocol, whose file takes a quarter of a second to parse
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return texts
    for field, following in pairwise(getattr(tree.body[0], "body", [])):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = inspect.cleandoc(str(following.value.value))
    return texts


def alias_help(module: ModuleType) -> dict[str, tuple[str, str]]:
    """Return value and help text of each type alias of a module: a public assignment with a string below it."""
    found = {}
    for node, following in pairwise(ast.parse(inspect.getsource(module)).body):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if is_text and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if not name.startswith("_") and not name.isupper():
                found[name] = (ast.unparse(node.value), inspect.cleandoc(str(following.value.value)))  # type: ignore[attr-defined]
    return found
