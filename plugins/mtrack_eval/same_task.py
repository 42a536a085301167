"""In what evaluations differ that should be alike, so that their differences are those of the policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_MOST_NAMED = 6
Found = Mapping[str, Any]
"""An evaluation as `mtrack eval --json` prints it."""


def _slots(value: Any) -> str:
    return ", ".join(str(each["slot"]) for each in value or ()) or "none"


def _switch(value: Any) -> str:
    return "on" if value else "off"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value or ())) or "none"


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


_ALIKE: Mapping[tuple[str, ...], tuple[str, Callable[[Any], str]]] = {
    ("actor",): ("the actor", str),
    ("frames",): ("the trained frames", _count),
    ("rollouts",): ("rollouts per clip", _count),
    ("episodes",): ("episodes", _count),
    ("task", "robot"): ("the robot", str),
    ("task", "backend"): ("the backend", str),
    ("task", "control_dt"): ("control_dt", str),
    ("task", "physics_dt"): ("physics_dt", str),
    ("conditions", "seed"): ("the seed of the rollouts", str),
    ("conditions", "randomizations"): ("active randomizations", _slots),
    ("conditions", "action_delay_substeps"): ("the action delay in substeps", str),
    ("conditions", "observation_noise"): ("observation noise", _switch),
    ("conditions", "start_noise"): ("start noise", str),
    ("conditions", "terminations"): ("terminations", _listed),
}
"""What is compared, by its path in an evaluation: its name in messages, and how its value is shown."""


def differences_of_task(runs: Mapping[str, Found]) -> Iterator[str]:
    """Yield in words what differs between evaluations, by the name of their run, other than the results."""
    for path, (name, shown) in _ALIKE.items():
        holders = _by_value({run: _at(found, path) for run, found in runs.items()})
        if len(holders) > 1:
            texts = [shown(json.loads(value)) for value in holders]
            if len(set(texts)) < len(texts):
                texts = [f"{text} (other parameters)" if index else text for index, text in enumerate(texts)]
            each = (f"{text}: {', '.join(names)}" for text, names in zip(texts, holders.values(), strict=True))
            yield f"the runs differ in {name} ({'; '.join(each)})"
    for what, tables in (
        ("metrics", {run: metric_definitions(found) for run, found in runs.items()}),
        ("clips", {run: clips_of(found) for run, found in runs.items()}),
    ):
        names = _uncommon(list(tables.values()))
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            listed = ", ".join(names[:_MOST_NAMED]) + more
            yield f"some runs lack these {what} or have others of the same name, so they are left out: {listed}"


def is_paired(runs: Sequence[Found]) -> bool:
    """Return whether the rollouts of evaluations have the same random draws, clips and conditions, one by one."""
    facts = [(found.get("draws"), found.get("rollouts"), found.get("conditions"), clips_of(found)) for found in runs]
    return bool(facts and facts[0][0]) and all(each == facts[0] for each in facts)


def metric_definitions(found: Found) -> dict[str, str]:
    """Return what each metric of an evaluation is, by slot; by episodes there are also returns and lengths."""
    defined = found.get("task", {}).get("metrics", {})
    return {slot: json.dumps(defined.get(slot), sort_keys=True) for slot in found.get("average", ())}


def clips_of(found: Found) -> dict[str, str]:
    """Return the content hash of each clip of an evaluation, by name."""
    return {str(clip["clip"]): str(clip.get("sha256", "")) for clip in found.get("clips", ())}


def in_all(tables: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names that all tables have with the same value, in the order of the first."""
    return [name for name, value in tables[0].items() if all(table.get(name) == value for table in tables)]


def _uncommon(tables: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names that are not in all tables with the same value."""
    common = set(in_all(tables))
    return list(dict.fromkeys(name for table in tables for name in table if name not in common))


def _by_value(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the runs that have each value, by its JSON."""
    holders: dict[str, list[str]] = {}
    for run, value in values.items():
        holders.setdefault(json.dumps(value, sort_keys=True), []).append(run)
    return holders


def _at(found: Found, path: tuple[str, ...]) -> Any:
    value: Any = found
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
