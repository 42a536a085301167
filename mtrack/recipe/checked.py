"""The checked recipe: names are resolved, components imported, and parameters have valid types and values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtrack.api.fields import non_negative, param, params_of, positive
from mtrack.api.kinds import KINDS, TABLE_DEPTHS
from mtrack.api.schedule import Schedule
from mtrack.errors import Problem, RecipeError, did_you_mean
from mtrack.recipe.backend_choice import choose_device
from mtrack.recipe.keypath import KeyPath, dotted, leaves, merge, nested, split_path, value_at
from mtrack.recipe.load import read_recipe
from mtrack.recipe.phase_set import disabled_since, in_phase, named_by_phases, wrong_keys
from mtrack.recipe.reader import Reader
from mtrack.recipe.run_settings import RunSettings
from mtrack.recipe.slots import (
    AUTO,
    MotionSlot,
    ObservationSlot,
    PhaseSlot,
    RewardGroup,
    RewardSlot,
    Slot,
    TerminationSlot,
)
from mtrack.recipe.source import Layer, RecipeSource
from mtrack.recipe.write import Table, to_toml
from mtrack.registry.plain import plain
from mtrack.registry.registry import Registry

_TABLES = {kind.table: kind for kind in KINDS.values() if kind.table}


def _device(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise ValueError('expected "auto", "cpu", "cuda" or e.g. "cuda:1"')


@attrs.frozen(kw_only=True)
class Recipe:
    """A checked recipe, either without the changes of any phase or (from `for_phase`) with those of one phase."""

    source: RecipeSource = attrs.field(eq=False, repr=False)
    registry: Registry = attrs.field(eq=False, repr=False)
    seed: int = param(default=0, validator=non_negative)
    """Seed of all random numbers."""
    num_envs: int = param(default=256, validator=positive)
    """Number of environments in each process."""
    device: str = param(default=AUTO, validator=_device)
    """Device of the tensors: `auto`, `cpu`, `cuda` or e.g. `cuda:1`."""
    control_dt: float = param(default=0.02, validator=positive)
    """Duration of a control step [s]."""
    physics_dt: float = param(default=0.005, validator=positive)
    """Duration of a physics substep [s]; `control_dt` must be a multiple of it."""
    max_episode_steps: int = param(default=1000, validator=positive)
    """Control steps after which an episode is truncated."""
    run: RunSettings
    robot: Slot
    backend: Slot
    command: Slot
    action: Slot
    agent: Slot
    observations: dict[str, dict[str, ObservationSlot]]
    rewards: dict[str, dict[str, RewardSlot]]
    reward_groups: dict[str, RewardGroup]
    terminations: dict[str, TerminationSlot]
    randomizations: dict[str, Slot]
    motions: dict[str, MotionSlot]
    loggers: dict[str, Slot]
    metrics: dict[str, Slot]
    phases: dict[str, PhaseSlot]
    dormant: dict[str, Slot] = attrs.field(factory=dict)
    """Disabled slots that a phase may enable, by path."""

    @property
    def name(self) -> str:
        """Name by which the user calls it."""
        return self.source.name

    def slots(self, *kinds: str) -> Iterator[Any]:
        """Yield the enabled slots of some kinds, or of all kinds if none is given, kind by kind."""
        for kind in map(KINDS.__getitem__, kinds) if kinds else _TABLES.values():
            yield from (slot for _, slot in leaves(getattr(self, kind.table), kind.depth))

    def reward_scale(self, group: str) -> Schedule:
        """Return the factor on a reward group."""
        return self.reward_groups.get(group, RewardGroup()).scale

    @property
    def resolved_device(self) -> str:
        """Device of the run; `auto` means the GPU if there is one and the backend can use it, else the CPU."""
        return choose_device(self.backend.cls) if self.device == AUTO else self.device

    def for_phase(self, name: str) -> Recipe:
        """Return the recipe with the `set` of a phase applied."""
        recipe, problems = _read(in_phase(self.source, name), self.registry)
        if recipe is None:
            raise RecipeError(self.name, problems)
        return recipe

    def table(self) -> Table:
        """Return the whole recipe as one TOML table, with defaults and absolute paths."""
        table = self._table()
        for name, phase in self.phases.items():
            if phase.set:
                absolute = self.for_phase(name)._table()
                changed = {key: value_at(absolute, split_path(key)) for key in phase.set}
                changed |= {f"{dotted(slot)}.enabled": False for slot in disabled_since(self.source, name)}
                table["phases"][name]["set"] |= {key: value for key, value in changed.items() if value is not None}
        return table

    def resolved_toml(self) -> str:
        """Return one TOML text that gives an equal recipe without other files; comments have the origin of values.

        Components have their full names, so the meaning does not depend on what is installed later.
        """
        table = self.table()
        for slot in [*self.slots(), *self.dormant.values()]:
            if slot.use != AUTO:
                table = merge(table, nested(split_path(slot.path), {"use": slot.entry.full_name}))
        for name, phase in self.phases.items():
            uses = [key for key in phase.set if split_path(key)[-1] == "use"]
            in_this = {slot.path: slot for slot in self.for_phase(name).slots()} if uses else {}
            for key in uses:
                slot = in_this.get(dotted(split_path(key)[:-1]))
                if slot is not None and slot.use != AUTO:
                    table["phases"][name]["set"][key] = slot.entry.full_name
        return to_toml(table, self.origin)

    def origin(self, path: KeyPath) -> str:
        """Return where a value was set: `file:line`, `--set` or `default`; for `use`, also what enabled the slot."""
        layer = self.source.layer(path)
        if path[-1] == "use":
            enabling = _enabling_layer(self.source, path[:-1])
            named_at = _location(layer, path) if layer else ""
            enabled_at = f"enabled by {_location(enabling, path[:-1])}" if enabling else ""
            return ", ".join(filter(None, (named_at, enabled_at)))
        return _location(layer, path) if layer else "default"

    def _table(self) -> Table:
        slots = {slot.path: slot.table() for slot in self.slots()}
        slots |= {path: slot.table() | {"enabled": False} for path, slot in self.dormant.items()}
        table = {name: plain(getattr(self, name)) for name in (*params_of(Recipe), "run")}
        for name, kind in _TABLES.items():
            for path, _ in leaves(self.source.data.get(name, {}), kind.depth, (name,)):  # keeps the order of the source
                if dotted(path) in slots:
                    table = merge(table, nested(path, slots[dotted(path)]))
        groups = {name: plain(group) for name, group in self.reward_groups.items() if name in table.get("rewards", {})}
        return table | ({"reward_groups": groups} if groups else {})


def _enabling_layer(source: RecipeSource, slot: KeyPath) -> Layer | None:
    """Return the layer that enabled a slot after an earlier layer disabled it, if there is one."""
    found, was_disabled = None, False
    for layer in source.layers:
        table = value_at(layer.data, slot)
        if isinstance(table, dict) and table.get("enabled") is False:
            found, was_disabled = None, True
        elif isinstance(table, dict) and was_disabled:
            found = found or layer
    return found


def _location(layer: Layer, path: KeyPath) -> str:
    line = layer.line(path)
    return f"{layer.name}:{line}" if line else layer.name


def load_recipe(name_or_path: str | Path, *settings: str, plugins: Sequence[str] = ()) -> Recipe:
    """Load a recipe and check all its keys.

    `name_or_path` is a file, or the name of an installed recipe such as "g1_tracking_quick". `settings` change keys,
    as with `--set`: "num_envs=64". `plugins` are files with components, as for `mtrack run -p FILE.py`.

    Raises RecipeError with all problems, each with file and line, or MtrackError if there is no such recipe.
    """
    return check_recipe(read_recipe(name_or_path, settings), Registry.scan(files=plugins))


def check_recipe(source: RecipeSource, registry: Registry) -> Recipe:
    """Check every key of a recipe, also in each of its phases. Raises RecipeError with all problems."""
    recipe, problems = _read(source, registry)
    known = {(problem.path, problem.message) for problem in problems}
    phases = source.data.get("phases")
    for name in phases if isinstance(phases, dict) else ():
        _, in_this = _read(in_phase(source, name), registry)
        new = [problem for problem in in_this if (problem.path, problem.message) not in known]
        problems += [attrs.evolve(problem, path=f"phases.{name}.set.{problem.path}") for problem in new]
    if recipe is None or problems:
        raise RecipeError(source.name, problems)
    return recipe


def _read(source: RecipeSource, registry: Registry) -> tuple[Recipe | None, list[Problem]]:
    """Return the recipe of a source, or None and all problems."""
    reader = Reader(source, registry, named_by_phases(source))
    settings = params_of(Recipe)
    reader.unknown((), source.data, [*settings, *TABLE_DEPTHS, "extends"])
    values = reader.fields((), settings, source.data)
    if "control_dt" in values and "physics_dt" in values:
        substeps = values["control_dt"] / values["physics_dt"]
        if not 0.5 <= substeps < math.inf or abs(substeps - round(substeps)) > 1e-6:
            reader.problem(("control_dt",), f"expected a multiple of physics_dt ({values['physics_dt']})")
    run = reader.settings(("run",), RunSettings, "[run]")
    groups = _reward_groups(reader)
    for name in reader.table(("phases",)):
        for key, message in wrong_keys(source, name):
            reader.problem(("phases", name, "set", key), message)
    for table, kind in _TABLES.items():
        values[table] = reader.slots(kind) if kind.depth else reader.single(kind, AUTO if table == "backend" else "")
    for table in ("observations", "rewards", "phases"):
        if not values[table] and not any(problem.path.startswith(f"{table}.") for problem in reader.problems):
            hint = "all slots in it are disabled" if reader.table((table,)) else ""
            reader.problem((table,), f"a recipe needs at least one slot in [{table}]", hint, with_value=False)
    if reader.problems:
        return None, reader.problems
    groups = {name: RewardGroup() for name in values["rewards"]} | groups
    return Recipe(source=source, registry=registry, dormant=reader.dormant, run=run, reward_groups=groups, **values), []


def _reward_groups(reader: Reader) -> dict[str, RewardGroup]:
    rewards, groups = reader.table(("rewards",)), reader.table(("reward_groups",))
    for name in groups:
        if not rewards.get(name):
            remedy = did_you_mean(name, rewards.keys() - {name})
            reader.problem(("reward_groups", name), f"there are no rewards in group '{name}'", remedy, with_value=False)
    return {name: reader.settings(("reward_groups", name), RewardGroup, "a reward group") for name in groups}
