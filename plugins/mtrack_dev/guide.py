"""Help for plugin authors: the contract of a kind, and the contents of a scene, an agent and a robot."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping

import attrs

from mtrack import Contacts, Kinematics, Reference, Robot, RobotModel, RobotState, Scene
from mtrack.api import abilities, deployment, lifecycle, protocols
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.api.fields import fields_of, params_of
from mtrack.api.kinds import KINDS
from mtrack.recipe.slots import SLOT_CLASSES, Slot
from mtrack.registry.values import default_text, type_name
from mtrack_dev.help_text import help_of
from mtrack_dev.type_help import TypeHelp, signature_of, types_named

_EVERY_KEY = {
    "use": "Name of the component, or DISTRIBUTION:NAME; default: the name of the slot.",
    "enabled": "Whether the slot is used; default: true.",
}
_ROLES = {
    "name: float = param(default=1.0, validator=positive)": "A parameter for recipes; the string below is its help.",
    "name: Tensor = state()": (
        "Changes during a run and is saved in checkpoints. If the annotation is `torch.Generator`, mtrack creates a "
        "generator with a seed of the slot before `bind`."
    ),
    "name: Mirror = scratch()": "Computed in `bind` or in each call, and not saved.",
}
_SECTIONS = (
    ("scene", Scene, CachedTensors),
    ("scene.robot", RobotState, CachedTensors),
    ("scene.reference, and its kinematics as in scene.robot", Reference, Kinematics),
    ("scene.contacts", Contacts, CachedTensors),
    ("scene.model", RobotModel, object),
)


@attrs.frozen
class ContractHelp:
    """The contract of one kind of component, for its authors."""

    kind: str
    protocol: str
    """Source of the Protocol."""
    keys: dict[str, str]
    """Meaning of the keys of the kernel in its recipe table."""
    optional: dict[str, str]
    """Help of each optional method or attribute, by signature."""
    types: list[TypeHelp]
    """The types that occur in these."""

    @staticmethod
    def of(kind: str) -> ContractHelp:
        """Read the contract of a kind from the sources of the kernel."""
        protocol = inspect.getsource(getattr(protocols, KINDS[kind].protocol))
        optional = dict(_optional(kind))
        return ContractHelp(
            kind, protocol, dict(_keys(kind)), optional, types_named(f"{protocol} {' '.join(optional)}")
        )

    def text(self) -> str:
        """Return the contract as `mtrack describe KIND` prints it."""
        parts = [
            self.protocol,
            _section("fields (mtrack.api.fields), each with a type; other attributes cannot be set:", _ROLES),
        ]
        if self.keys:
            parts.append(_section("keys of its recipe table that the kernel reads:", self.keys))
        if self.optional:
            parts.append(
                _section(
                    "optional methods and attributes (mtrack.api: lifecycle, abilities, deployment):", self.optional
                )
            )
        if self.types:
            parts.append("types:\n\n" + "\n\n".join(each.text() for each in self.types))
        parts.append(
            "contents of a scene: mtrack describe scene   one type: mtrack describe TYPE   "
            f"examples: mtrack list-plugins {self.kind}, mtrack new-plugin"
        )
        return "\n\n".join(part.rstrip() for part in parts)


def describe_scene() -> str:
    """Return everything that a component can see: names, shapes, units."""
    sections = []
    for title, cls, beyond in _SECTIONS:
        rows = dict(_members(cls, beyond))
        width = max(map(len, rows))
        sections.append("\n".join([title, *(f"  {name:<{width}}  {text}" for name, text in rows.items())]))
    return "\n\n".join(sections)


def describe_agent(cls: type) -> str:
    """Return the fields and methods of an agent, which phases may use."""
    helps = help_of(cls)
    kept = [(field.name, helps.get(field.name, "")) for field in fields_of(cls, "state")]
    methods = {name: text for base in reversed(cls.__mro__[:-1]) for name, text in _methods(base)}
    rows = [f"  {name}\n      {text}" if text else f"  {name}" for name, text in [*kept, *methods.items()]]
    return "\n".join(["fields and methods for phases:", *rows])


def describe_robot(cls: type[Robot]) -> str:
    """Return the names that recipes and components may use of a robot with default parameters."""
    try:
        model = cls().model()
    except Exception as error:  # a third-party robot may require parameters
        return f"its names depend on its parameters: {error}"
    names = {"joints": model.joint_names, "bodies": model.body_names, **model.sets}
    rows = [f"  {name}: {', '.join(members)}" for name, members in names.items()]
    return "\n".join(["names, and sets of names:", *rows])


def _section(title: str, rows: Mapping[str, str]) -> str:
    return "\n".join([title, *(f"  {name}\n      {text}" for name, text in rows.items())])


def _keys(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a slot that belong to the kernel, with type and help."""
    slot = SLOT_CLASSES.get(kind, Slot)
    helps, fields = {**help_of(slot), **_EVERY_KEY}, params_of(slot)
    for name in sorted(KINDS[kind].keys, key=list(helps).index):
        field = fields.get(name)
        facts = ", ".join(filter(None, (type_name(field.type), default_text(field)))) if field else ""
        yield f"{name} ({facts})" if facts else name, helps[name]


def _optional(kind: str) -> Iterator[tuple[str, str]]:
    """Yield signature and help of each optional method and attribute of a kind."""
    nodes = [
        node for module in (lifecycle, abilities, deployment) for node in ast.parse(inspect.getsource(module)).body
    ]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    for protocol in (protocol for protocol, kinds in abilities.OFFERED_BY.items() if kind in kinds):
        node = classes[protocol.__name__]
        about = (ast.get_docstring(node) or "").partition("\n")[0]
        helps = help_of(protocol)
        for member in node.body:
            if isinstance(member, ast.FunctionDef):
                yield signature_of(member), f"{about} {' '.join((ast.get_docstring(member) or '').split())}"
            elif isinstance(member, ast.AnnAssign):
                name = ast.unparse(member.target)
                yield f"{name}: {ast.unparse(member.annotation)}", f"{about} {' '.join(helps.get(name, '').split())}"


def _members(cls: type, beyond: type) -> Iterator[tuple[str, str]]:
    """Yield the fields, quantities and methods that a class adds to a base, with the first line of their help."""
    inherited = {field.name for field in attrs.fields(beyond)} if attrs.has(beyond) else set()
    helps = help_of(cls)
    for field in attrs.fields(cls):
        if field.name not in inherited and not field.name.startswith("_"):
            yield field.name, (helps.get(field.name) or str(field.type)).partition("\n")[0]
    for base in reversed(cls.__mro__):
        if base is not beyond and issubclass(base, beyond) and base is not object:
            yield from _methods(base)


def _methods(cls: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties of a class, without those of its bases."""
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | derived)):
            call = str(inspect.signature(value)).replace("(self, ", "(") if inspect.isfunction(value) else ""
            yield (
                name + re.sub(r"'([^']+)'", r"\1", call.partition(" -> ")[0]),
                (value.__doc__ or "").partition("\n")[0],
            )
