"""Describes the types in the contracts of components: their fields, methods, shapes and units."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType

import attrs

from mtrack.api import deployment, metrics, mirror, recorded_step, robot, rollout, scene, schedule
from mtrack.api import types as exchange
from mtrack.api.cached_tensors import derived
from mtrack.errors import did_you_mean
from mtrack_dev.help_text import alias_help, help_of

_MODULES = (exchange, mirror, robot, rollout, metrics, recorded_step, schedule, scene, deployment)
_LISTED_ELSEWHERE = {"Scene"}  # `mtrack describe scene`


@attrs.frozen
class TypeHelp:
    """The help of one type."""

    name: str
    module: str
    help: str
    members: dict[str, str]
    """Help of fields, properties and methods, by signature."""

    def text(self) -> str:
        """Return name, help and members, indented."""
        width = min(40, max(map(len, self.members), default=0))
        rows = [f"    {name:<{width}}  {text}".rstrip() for name, text in self.members.items()]
        about = [f"  {line}".rstrip() for line in self.help.split("\n")]
        return "\n".join([f"{self.name}   {self.module}", *about, *rows])


@cache
def known_types() -> dict[str, TypeHelp]:
    """Return every public type by name."""
    return {found.name: found for module in _MODULES for found in _types(module)}


def find_type(name: str) -> TypeHelp | None:
    """Return a type by its name, ignoring case, or None if there is no such type."""
    return next((found for key, found in known_types().items() if key.lower() == name.lower()), None)


def closest(name: str, others: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for an unknown name, from the types and `others`."""
    names = {one.lower(): one for one in (*known_types(), *others)}
    hint = did_you_mean(name.lower(), names)
    return re.sub(r"'(.*)'", lambda match: f"'{names[match[1]]}'", hint)


def types_named(source: str) -> list[TypeHelp]:
    """Return the types that occur in a source text, and the types that occur in these."""
    found: dict[str, TypeHelp] = {}
    queue = [source]
    while queue:
        for name in re.findall(r"\b[A-Z]\w+", queue.pop(0)):
            one = known_types().get(name)
            if one is not None and name not in found and name not in _LISTED_ELSEWHERE:
                found[name] = one
                queue.append(" ".join(one.members))
    return list(found.values())


def _types(module: ModuleType) -> Iterator[TypeHelp]:
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        if is_own and isinstance(value, type) and attrs.has(value):
            yield TypeHelp(name, module.__name__, inspect.cleandoc(value.__doc__ or ""), dict(_members(value)))
    for name, (meaning, text) in alias_help(module).items():
        yield TypeHelp(name, module.__name__, text, {meaning: ""})


def _members(cls: type) -> Iterator[tuple[str, str]]:
    """Yield fields, derived quantities and methods of a class and its bases, with their help."""
    helps = help_of(cls)
    for field in attrs.fields(cls):
        if field.name != "cache" and not field.name.startswith("_"):
            yield f"{field.name}: {_annotation(field.type)}", " ".join(helps.get(field.name, "").split())
    for base in (base for base in cls.__mro__[-2::-1] if attrs.has(base)):
        for name, value in vars(base).items():
            if name.startswith("_") and name != "__call__":
                continue
            function = value.__func__ if isinstance(value, staticmethod) else value
            if inspect.isfunction(function) and function.__doc__:
                call = "" if name == "__call__" else name
                yield f"{call}{_signature(function)}", _first_line(function.__doc__)
            elif isinstance(value, property | derived):
                yield name, _first_line(value.__doc__ or "")


def _signature(function: object) -> str:
    text = str(inspect.signature(function)).replace("'", "")  # type: ignore[arg-type]
    return text.replace("(self, ", "(").replace("(self)", "()")


def _annotation(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def signature_of(call: ast.FunctionDef) -> str:
    """Return the signature of a method without `self`."""
    call.args.args = call.args.args[1:]
    returned = f" -> {ast.unparse(call.returns)}" if call.returns else ""
    return f"{call.name}({ast.unparse(call.args)}){returned}"
