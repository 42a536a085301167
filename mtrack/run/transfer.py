"""The transfer contract: what a trained policy and its data are, as recorded in every checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from mtrack.api.lifecycle import DescribesPolicy, HasProvenance
from mtrack.errors import ComponentError
from mtrack.loop.assemble import Assembly
from mtrack.recipe.checked import Recipe
from mtrack.recipe.slots import ObservationSlot, Slot
from mtrack.recipe.source import RecipeSource
from mtrack.registry.plain import plain
from mtrack.run.manifest import portable

Facts = dict[str, Any]


@attrs.frozen
class Contract:
    """What an assembled phase adds to a manifest; `mtrack.run.compatibility` compares it."""

    policy: Facts
    """By recipe path: robot, control rate, observation terms, action, command, agent: what a policy depends on."""
    widths: dict[str, int]
    """Columns of each observation group and of the action; networks fit no others."""
    data: dict[str, dict[str, str]]
    """Content hash of each clip (or other data) by component path and name."""
    phase_keys: list[str]
    """Recipe keys that some phase sets: a policy may change phases although they differ."""

    @staticmethod
    def of(recipe: Recipe, assembly: Assembly) -> Contract:
        """Return the contract of a phase that has been assembled. Raises ComponentError if facts are not JSON."""
        layout = assembly.layout
        widths = {f"observations.{group}": width for group, width in layout.observations.items()}
        return Contract(
            policy=_policy(recipe, assembly),
            widths=widths | {"action": layout.num_actions},
            data={path: found for path, part in assembly.components.items() if (found := _data(path, part))},
            phase_keys=phase_keys(recipe.source),
        )


def phase_keys(source: RecipeSource) -> list[str]:
    """Return the recipe keys that some phase of a recipe changes by its `set`."""
    phases = source.data.get("phases")
    tables = [phase.get("set") for phase in phases.values() if isinstance(phase, dict)] if phases else []
    return sorted({key for table in tables if isinstance(table, dict) for key in table})


def _policy(recipe: Recipe, assembly: Assembly) -> Facts:
    model, scene = assembly.env.scene.model, assembly.env.scene
    observations: dict[str, Facts] = {}
    widths = {term.path: term.width for term in assembly.env.observer.terms()}
    for slot in recipe.slots("observation"):
        term = _observation(slot, assembly.components[slot.path], widths[slot.path])
        observations.setdefault(slot.group, {})[slot.path.rpartition(".")[2]] = term
    return {
        "control_dt": recipe.control_dt,
        "robot": {
            "joint_names": list(model.joint_names),
            "default_joint_pos": model.default_joint_pos.tolist(),
            "sets": {name: list(members) for name, members in model.sets.items()},
        },
        "command": {
            "use": recipe.command.entry.full_name,
            "num_future": scene.reference.future.root_pos.shape[1],
            **_described(recipe.command, assembly.components["command"], {}),
        },
        "action": {
            "use": recipe.action.entry.full_name,
            "joints": list(assembly.layout.action_names),
            **_described(recipe.action, assembly.components["action"], _parameters(recipe.action)),
        },
        "agent": {"use": recipe.agent.entry.full_name, **_parameters(recipe.agent)},
        "observations": observations,
    }


def _observation(slot: ObservationSlot, component: Any, width: int) -> Facts:
    """Return what determines the columns of a term: its component, parameters, history and own policy facts."""
    return {
        "use": slot.entry.full_name,
        "history": list(slot.history),
        "columns": width,
        **_parameters(slot),
        **_described(slot, component, {}),
    }


def _parameters(slot: Slot) -> Facts:
    return {name: portable(plain(value)) for name, value in slot.params.items()}


def _described(slot: Slot, component: Any, otherwise: Facts) -> Facts:
    """Return the policy facts of a component, `otherwise` if it does not declare any. Raises ComponentError."""
    if not isinstance(component, DescribesPolicy):
        return otherwise
    facts = dict(component.policy_facts())
    _require_json(slot, "policy_facts()", facts)
    return facts


def _data(path: str, component: Any) -> dict[str, str]:
    """Return the hashes of what a component has read, by name; a name that occurs again gets a number."""
    found: dict[str, str] = {}
    if isinstance(component, HasProvenance):
        for members in component.provenance().values():
            for member in members if isinstance(members, list) else ():
                if isinstance(member, Mapping) and {"name", "sha256"} <= member.keys():
                    name, count = str(member["name"]), 1
                    while name in found:
                        count += 1
                        name = f"{member['name']} ({count})"
                    found[name] = str(member["sha256"])
    return found


def _require_json(slot: Slot, what: str, facts: object) -> None:
    try:
        json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ComponentError(f"{slot}: what its {what} returns cannot be saved: {error}") from error
