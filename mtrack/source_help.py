"""What the source of a module says about a name in it, read without importing anything."""

from __future__ import annotations

import ast
import gc
import importlib.util
from functools import cached_property
from pathlib import Path

import attrs


@attrs.frozen(slots=False, eq=False)
class ModuleSource:
    """The source of one module; looked for and parsed once, when first asked."""

    module: str

    @cached_property
    def path(self) -> Path | None:
        """File of the module, or None. Only the top-level package is looked up: asking for more would import it."""
        top, *rest = self.module.split(".")
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        if not rest and spec.origin:
            return Path(spec.origin)
        for folder in spec.submodule_search_locations or ():
            place = Path(folder, *rest)
            compiled = place.parent.glob(f"{place.name}.*")
            for file in (place.with_suffix(".py"), place / "__init__.py", *compiled):
                if file.is_file():
                    return file
        return None

    @cached_property
    def _parsed(self) -> tuple[ast.Module | None, str]:
        """Syntax tree of the module, and what is wrong with it."""
        if self.path is None:
            return None, f"module '{self.module}' not found"
        if self.path.suffix != ".py":
            return None, ""
        enabled = gc.isenabled()
        gc.disable()  # a syntax tree has no cycles; looking for some would double the time of a listing
        try:
            return ast.parse(self.path.read_bytes()), ""
        except SyntaxError as error:
            return None, f"syntax error in {self.path}, line {error.lineno}: {error.msg}"
        except (OSError, ValueError, RecursionError) as error:
            return None, f"cannot read {self.path}: {error}"
        finally:
            if enabled:
                gc.enable()

    @cached_property
    def _definitions(self) -> dict[str, ast.stmt]:
        tree, _ = self._parsed
        found: dict[str, ast.stmt] = {}
        for node in tree.body if tree else []:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        return found

    def help(self, attribute: str) -> str:
        """Return the first line of a docstring, or of the `help=` of an assigned call; of the module's for no name."""
        tree, _ = self._parsed
        node = self._definitions.get(attribute) if attribute else tree
        text: str | None = None
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module):
            text = ast.get_docstring(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            values = [word.value for word in node.value.keywords if word.arg == "help"]
            text = next((str(value.value) for value in values if isinstance(value, ast.Constant)), None)
        return text.strip().splitlines()[0] if text and text.strip() else ""

    def error(self, attribute: str) -> str:
        """Return why the name cannot be had from this module, as far as its source shows, or an empty string."""
        tree, error = self._parsed
        if error or tree is None or not attribute or attribute in self._definitions:
            return error
        for node in ast.walk(tree):  # imported, or defined under a condition
            names = (getattr(node, "asname", None), getattr(node, "name", None), getattr(node, "id", None))
            if not {attribute, "*", "__getattr__"}.isdisjoint(names):
                return ""
        return f"module '{self.module}' has no '{attribute}'"
