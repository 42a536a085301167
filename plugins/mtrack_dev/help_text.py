"""The help texts of a class's fields: string literals in its source, which nothing else can see."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def help_of(cls: type) -> dict[str, str]:
    """Return the help text of each field: the string literal under it in the body of the class, or of its base."""
    texts = help_of(cls.__base__) if cls.__base__ is not None and cls.__base__ is not object else {}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return texts
    for field, following in pairwise(getattr(tree.body[0], "body", [])):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            texts[field.target.id] = inspect.cleandoc(str(following.value.value))
    return texts
