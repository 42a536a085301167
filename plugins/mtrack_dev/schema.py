"""`mtrack schema`: writes a JSON schema of recipes for editors, from the installed components.

It accepts everything that `mtrack check` accepts, with one exception: a slot without `use` is assumed to be the
component of its name, though a file that it extends may set another one. TOML servers of editors support draft 7 best;
they complete keys from `properties` and `anyOf`, but not from `if`, which is why there are hints.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mtrack import ComponentError, MtrackError, Recipe
from mtrack.api.kinds import KINDS, Kind
from mtrack.recipe.run_settings import RunSettings
from mtrack.recipe.slots import SLOT_CLASSES, RewardGroup, Slot
from mtrack.registry.registry import Entry, Registry
from mtrack_dev.schema_values import Schema, hint, open_table, parameters, required_parameters, schedule, table

_IS_OFF: Schema = open_table({"enabled": {"const": False}}, "enabled")  # a disabled slot may lack required keys
_Components = Sequence[tuple[Entry, type]]
_NAME = "[A-Za-z0-9_-]+"  # of slots and groups
_HAS_USE: Schema = open_table({}, "use")
_SET_IN_PHASES = ("num_envs", "control_dt", "physics_dt", "max_episode_steps", "reward_groups")
_SAME_IN_PHASES = ("agent", "phases", "loggers")


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,
) -> None:
    """Write a JSON schema of recipes, with which editors complete keys and mark mistakes."""
    document, left_out = recipe_schema(Registry.scan())
    text = json.dumps(document, indent=1) + "\n"
    for reason in left_out:
        typer.echo(f"left out: {reason}", err=True)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise MtrackError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(f"first line of a recipe in the same folder:  #:schema ./{output.name}", err=True)


def recipe_schema(registry: Registry) -> tuple[Schema, list[str]]:
    """Return the schema, and the reasons why components are left out."""
    group = parameters(RewardGroup)
    properties = parameters(Recipe) | {"run": table(parameters(RunSettings)), "reward_groups": _tables(table(group))}
    properties["extends"] = {"type": "string", "description": "Recipe that this one extends: relative path, or name."}
    definitions: Schema = {"schedule": schedule()}
    complete: Schema = {}
    changes = {f"^{name}$": _ref(name, "properties") for name in _SET_IN_PHASES}
    changes |= {rf"^reward_groups\.{_NAME}\.{name}$": one for name, one in group.items()}
    changes |= {rf"^reward_groups\.{_NAME}\.scale\.": {}, "[\"'\\s]": {}}  # parts of a schedule; keys in quotes
    left_out: list[str] = []
    for kind in KINDS.values():
        if kind.table:
            found = _load(registry, kind, left_out)
            definitions |= _definitions(kind, found)
            properties[kind.table] = _slots(kind, found)
            complete[kind.table] = _complete(kind, found)
            changes |= {} if kind.table in _SAME_IN_PHASES else _changes(kind, found)
    unknown = {"not": {"description": "not a key of a recipe, or one that is the same in all phases"}}
    definitions["set"] = {"type": "object", "patternProperties": changes, "additionalProperties": unknown}
    document = table(properties) | {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "mtrack recipe",
        "if": open_table({}, "extends"),
        "else": open_table(complete),
        "definitions": definitions,
    }
    return document, left_out


def _load(registry: Registry, kind: Kind, left_out: list[str]) -> _Components:
    found = []
    for entry in registry.of(kind.name):
        try:
            found.append((entry, registry.load(entry)))
        except ComponentError as error:
            left_out.append(str(error))
    return found


def _definitions(kind: Kind, found: _Components) -> Schema:
    """Return the schemas of the table of each component, of the names in `use`, and of a slot with any name."""
    own = _own_keys(kind)
    made: Schema = {f"{kind.name}.use": _use(kind, found)}
    for entry, cls in found:
        text = inspect.cleandoc(cls.__doc__ or "")
        made[_key(entry)] = table(own | parameters(cls)) | {"description": text}
    by_use = [{"if": _uses(entry), "then": _ref(_key(entry))} for entry, _ in found]
    some = table(own | _merged(found))  # without `use`, the extended file sets the component
    checked = {"if": _HAS_USE, "then": open_table({"use": own["use"]}) | {"allOf": [{}, *by_use]}, "else": some}
    made[kind.name] = open_table({}) | hint(some) | {"type": "object", **checked}
    return made


def _slots(kind: Kind, found: _Components) -> Schema:
    """Return the schema of the table of a kind: the slot itself, slots by name, or groups of slots."""
    slot = _ref(kind.name)
    if kind.depth == 0:
        return slot
    named = {}
    for entry, _ in found:
        if not entry.rivals:
            own = _ref(_key(entry))
            named[entry.name] = open_table({}) | hint(own) | {"if": _HAS_USE, "then": slot, "else": own}
    level = _tables(slot) | {"properties": named}
    return _tables(level) if kind.depth > 1 else level


def _complete(kind: Kind, found: _Components) -> Schema:
    """Return the required keys in the table of a kind, for a recipe that extends no other."""
    if kind.name == "backend":  # without `use` it is "auto"
        return open_table({})
    needs = {entry: required_parameters(cls) for entry, cls in found}
    cases = [{"if": _uses(entry), "then": open_table({}, *names)} for entry, names in needs.items() if names]
    always = required_parameters(SLOT_CLASSES.get(kind.name, Slot))
    rest = open_table({}, "use", *always) | {"allOf": [{}, *cases]}
    if kind.depth == 0:
        return rest
    named = {
        entry.name: {"if": _IS_OFF, "else": {"if": _HAS_USE, "then": rest, "else": open_table({}, *always, *names)}}
        for entry, names in needs.items()
        if not entry.rivals
    }
    level = {"properties": named, "additionalProperties": {"if": _IS_OFF, "else": rest}}
    return {"additionalProperties": level} if kind.depth > 1 else level


def _changes(kind: Kind, found: _Components) -> Schema:
    """Return the schemas of the keys that a phase may set in slots of a kind, by pattern."""
    slot = rf"{kind.table}(\.{_NAME}){{{kind.depth}}}"
    changes: Schema = {rf"^{kind.table}(\.{_NAME}){{0,{kind.depth}}}$": {"type": "object"}}
    for name, parameter in (_own_keys(kind) | _merged(found)).items():
        changes |= {rf"^{slot}\.{name}$": parameter, rf"^{slot}\.{name}\.": {}}
    return changes


def _own_keys(kind: Kind) -> Schema:
    """Return the schemas of the keys of a slot that belong to the kernel."""
    keys = parameters(SLOT_CLASSES.get(kind.name, Slot)) | {"use": _ref(f"{kind.name}.use")}
    if "enabled" in kind.keys:
        keys["enabled"] = {"type": "boolean", "default": True, "description": "Whether the slot is used."}
    if "set" in kind.keys:
        keys["set"] = _ref("set")
    return keys


def _use(kind: Kind, found: _Components) -> Schema:
    short = {entry.name: entry.help for entry, _ in found if not entry.rivals}
    short |= {"auto": "The GPU backend where there is a GPU, else `mujoco`."} if kind.name == "backend" else {}
    names = {"enum": list(short), "x-taplo": {"docs": {"enumValues": list(short.values())}}}
    full = {"enum": [entry.full_name for entry, _ in found]}
    is_full = {"type": "string", "pattern": ":"}
    return hint(names) | {"description": f"Name of the {kind.name}.", "if": is_full, "then": full, "else": names}


def _merged(found: _Components) -> Schema:
    """Return the parameters of all components; a value must fit one of the components that have it."""
    merged: dict[str, list[Schema]] = {}
    for _, cls in found:
        for name, parameter in parameters(cls).items():
            bare = {key: value for key, value in parameter.items() if key not in ("description", "default")}
            if bare not in merged.setdefault(name, []):
                merged[name].append(bare)
    return {name: schemas[0] if len(schemas) == 1 else {"anyOf": schemas} for name, schemas in merged.items()}


def _key(entry: Entry) -> str:
    return f"{entry.kind}.{entry.full_name if entry.rivals else entry.name}"


def _uses(entry: Entry) -> Schema:
    names = [entry.full_name] if entry.rivals else [entry.name, entry.full_name]
    return open_table({"use": {"enum": names}}, "use")


def _tables(inner: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": f"^{_NAME}$"}, "additionalProperties": inner}


def _ref(name: str, where: str = "definitions") -> Schema:
    return {"$ref": f"#/{where}/{name}"}
