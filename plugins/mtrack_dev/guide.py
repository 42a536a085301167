"""What a plugin author reads first: the contract of a kind, and everything that a component can see."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping

import attrs

from mtrack import Contacts, Kinematics, Reference, Robot, RobotModel, RobotState, Scene
from mtrack.api import abilities, lifecycle, protocols
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.api.fields import fields_of, params_of
from mtrack.api.kinds import KINDS
from mtrack.recipe.slots import SLOT_CLASSES, Slot
from mtrack.registry.values import default_text, type_name
from mtrack_dev.exchanged import Exchanged, signature_of, types_named
from mtrack_dev.help_text import help_of

_EVERY_KEY = {
    "use": "The component: its name, or DISTRIBUTION:NAME; without it, that of the slot's name.",
    "enabled": "Whether the slot counts; true unless it says false.",
}
_ROLES = {
    "name: float = param(default=1.0, validator=positive)": "A parameter of recipes; the string below is its help.",
    "name: Tensor = state()": (
        "Changes in a run and is saved in checkpoints. For the annotation `torch.Generator`, mtrack makes and seeds a "
        "generator of the slot's own before `bind`."
    ),
    "name: Mirror = scratch()": "Is derived in `bind` or at each call, and not saved.",
}
_SECTIONS = (
    ("scene", Scene, CachedTensors),
    ("scene.robot", RobotState, CachedTensors),
    ("scene.reference, and its kinematics as in scene.robot", Reference, Kinematics),
    ("scene.contacts", Contacts, CachedTensors),
    ("scene.model", RobotModel, object),
)


@attrs.frozen
class Contract:
    """What the author of a component of one kind must know."""

    kind: str
    protocol: str
    """Source of its Protocol."""
    keys: dict[str, str]
    """What the kernel's own keys in its recipe table mean."""
    optional: dict[str, str]
    """Help of each call or attribute that it may have besides, by signature."""
    types: list[Exchanged]
    """What is named in all of these."""

    @staticmethod
    def of(kind: str) -> Contract:
        """Return the contract of a kind, from the sources of the kernel."""
        protocol = inspect.getsource(getattr(protocols, KINDS[kind].protocol))
        optional = dict(_optional(kind))
        return Contract(kind, protocol, dict(_keys(kind)), optional, types_named(f"{protocol} {' '.join(optional)}"))

    def text(self) -> str:
        """Return all of it, as `mtrack describe KIND` prints it."""
        parts = [
            self.protocol,
            _section("its fields (mtrack.api.fields), each with a type; others cannot be set:", _ROLES),
        ]
        if self.keys:
            parts.append(_section("keys of its table that the kernel reads:", self.keys))
        if self.optional:
            parts.append(_section("it may also have (mtrack.api.lifecycle, mtrack.api.abilities):", self.optional))
        if self.types:
            parts.append("what is named here:\n\n" + "\n\n".join(each.text() for each in self.types))
        parts.append(
            "seen by components: mtrack describe scene   one type: mtrack describe TYPE   "
            f"examples: mtrack list-plugins {self.kind}, mtrack new-plugin"
        )
        return "\n\n".join(part.rstrip() for part in parts)


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


def _section(title: str, rows: Mapping[str, str]) -> str:
    return "\n".join([title, *(f"  {name}\n      {text}" for name, text in rows.items())])


def _keys(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the kernel's keys of a slot with type and help."""
    slot = SLOT_CLASSES.get(kind, Slot)
    helps, fields = {**help_of(slot), **_EVERY_KEY}, params_of(slot)
    for name in sorted(KINDS[kind].keys, key=list(helps).index):
        field = fields.get(name)
        facts = ", ".join(filter(None, (type_name(field.type), default_text(field)))) if field else ""
        yield f"{name} ({facts})" if facts else name, helps[name]


def _optional(kind: str) -> Iterator[tuple[str, str]]:
    """Yield signature and help of each optional call and attribute that a kind may offer."""
    nodes = [node for module in (lifecycle, abilities) for node in ast.parse(inspect.getsource(module)).body]
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
