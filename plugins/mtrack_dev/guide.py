"""What a plugin author reads first: the contract of a kind, and everything that a component can see."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import attrs

from mtrack import lifecycle, protocols
from mtrack.fields import fields_of
from mtrack.kinds import KINDS
from mtrack.protocols import Robot
from mtrack.quantities import Quantities, derived
from mtrack.robot import RobotModel
from mtrack.scene import Contacts, Kinematics, Reference, RobotState, Scene
from mtrack_dev.help_text import help_of

_SECTIONS = (
    ("scene", Scene, Quantities),
    ("scene.robot", RobotState, Quantities),
    ("scene.reference, and its kinematics as in scene.robot", Reference, Kinematics),
    ("scene.contacts", Contacts, Quantities),
    ("scene.model", RobotModel, object),
)


def contract(kind: str) -> str:
    """Return the Protocol of a kind as its source has it, and the calls that any component may have besides."""
    protocol = inspect.getsource(getattr(protocols, KINDS[kind].protocol))
    calls = "\n".join(f"  {call}" for call in _calls())
    hints = f"seen by components: mtrack describe scene   examples: mtrack list-plugins {kind}, mtrack new-plugin"
    return f"{protocol}\nany component may have, too (mtrack.lifecycle):\n{calls}\n\n{hints}"


def sights() -> str:
    """Return everything a component can see: names, shapes, units."""
    sections = []
    for title, cls, beyond in _SECTIONS:
        rows = dict(_members(cls, beyond))
        width = max(map(len, rows))
        sections.append("\n".join([title, *(f"  {name:<{width}}  {text}" for name, text in rows.items())]))
    return "\n\n".join(sections)


def offers(cls: type) -> str:
    """Return what an agent keeps and can do: what a phase may use of it."""
    helps = help_of(cls)
    kept = [(field.name, helps.get(field.name, "")) for field in fields_of(cls, "state")]
    rows = [f"  {name}\n      {text}" if text else f"  {name}" for name, text in [*kept, *_methods(cls)]]
    return "\n".join(["offers phases:", *rows])


def names_of_robot(cls: type[Robot]) -> str:
    """Return the names that recipes and components may use of a robot as it is without parameters."""
    try:
        model = cls().model()
    except Exception as error:  # a robot of somebody else's that cannot do without them
        return f"its names depend on its parameters: {error}"
    known = {"joints": model.joint_names, "bodies": model.body_names}
    rows = [f"  {name}: {', '.join(names)}" for name, names in (known | dict(model.sets)).items()]
    return "\n".join(["names, and sets of names:", *rows])


def _calls() -> Iterator[str]:
    """Yield signature and help of each call in mtrack.lifecycle."""
    classes = [node for node in ast.parse(inspect.getsource(lifecycle)).body if isinstance(node, ast.ClassDef)]
    for cls in classes:
        for call in cls.body:
            if isinstance(call, ast.FunctionDef):
                call.args.args = call.args.args[1:]
                returned = f" -> {ast.unparse(call.returns)}" if call.returns else ""
                text = " ".join((ast.get_docstring(node) or "").partition("\n")[0] for node in (cls, call))
                yield f"{call.name}({ast.unparse(call.args)}){returned}: {text}"


def _members(cls: type, beyond: type) -> Iterator[tuple[str, str]]:
    """Yield the fields, derived quantities and methods that a class has beyond a base, with the first line of help."""
    known = {field.name for field in attrs.fields(beyond)} if attrs.has(beyond) else set()
    helps = help_of(cls)
    for field in attrs.fields(cls):
        if field.name not in known and not field.name.startswith("_"):
            yield field.name, (helps.get(field.name) or str(field.type)).partition("\n")[0]
    for base in reversed(cls.__mro__):
        if base is not beyond and issubclass(base, beyond) and base is not object:
            yield from _methods(base)


def _methods(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and computed quantities of a class itself."""
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | derived)):
            call = str(inspect.signature(value)).replace("(self, ", "(") if inspect.isfunction(value) else ""
            yield name + call.partition(" -> ")[0].replace("'", ""), (value.__doc__ or "").partition("\n")[0]
