"""Reads the names of a module and their docstrings from its source, without importing it."""

from __future__ import annotations

import ast
import gc
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path

import attrs


@attrs.frozen(slots=False, eq=False)
class ModuleSource:
    """The source of one module, which is found and parsed when it is first needed."""

    module: str

    def help(self, attribute: str) -> str:
        """Return the first line of the docstring, or of the `help=` of an assigned call; for "", that of the module."""
        return self._read[0].get(attribute, "")

    def error(self, attribute: str) -> str:
        """Return why the attribute cannot be imported, as far as the source shows, or an empty string."""
        names, error = self._read
        has_source = self.path is not None and self.path.suffix == ".py"  # an extension module has no source to read
        if error or not has_source or names.keys() & {attribute, "*", "__getattr__"}:
            return error
        return f"module '{self.module}' has no '{attribute}'"

    @cached_property
    def path(self) -> Path | None:
        """File of the module, or None. Only the top-level package is looked up, because more would import it."""
        top, *rest = self.module.split(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return None
        for part in rest:
            spec = spec and PathFinder.find_spec(part, spec.submodule_search_locations or [])
        return Path(spec.origin) if spec and spec.origin else None

    @cached_property
    def _read(self) -> tuple[dict[str, str], str]:
        """Help of each name that the module binds, and the problem of the source, if any."""
        if self.path is None:
            return {}, f"module '{self.module}' not found"
        if self.path.suffix != ".py":
            return {}, ""
        enabled = gc.isenabled()
        gc.disable()  # a syntax tree has no cycles, and searching for them would double the time of a listing
        try:
            tree = ast.parse(self.path.read_bytes())
            return {"": _first_line(ast.get_docstring(tree)), **dict(_bound(tree.body))}, ""
        except SyntaxError as error:
            return {}, f"syntax error in {self.path}, line {error.lineno}: {error.msg}"
        except (OSError, ValueError, RecursionError) as error:
            return {}, f"cannot read {self.path}: {error}"
        finally:
            if enabled:
                gc.enable()


def _bound(body: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield each name that statements bind, including those in `if`, `try` and `with`, and its help."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, _first_line(ast.get_docstring(node))
        elif isinstance(node, ast.Assign):
            yield from ((name.id, _help_argument(node.value)) for name in node.targets if isinstance(name, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, _help_argument(node.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name, "") for alias in node.names)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _bound(ast.iter_child_nodes(node))


def _help_argument(value: ast.expr | None) -> str:
    words = value.keywords if isinstance(value, ast.Call) else []
    texts = [word.value.value for word in words if word.arg == "help" and isinstance(word.value, ast.Constant)]
    return _first_line(str(texts[0])) if texts else ""


def _first_line(text: str | None) -> str:
    return next(iter((text or "").strip().splitlines()), "")
