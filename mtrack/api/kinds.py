"""The kinds of component, each with its entry-point group, its recipe table and the keys that the kernel reads there.

This module imports nothing heavy.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Kind:
    """One kind of component."""

    name: str
    """Name on the command line, e.g. `reward`."""
    table: str
    """Recipe table of its slots, e.g. `rewards`; empty if recipes do not use it."""
    depth: int
    """Levels of a slot below `table`: 0 `[robot]`, 1 `[motions.mine]`, 2 `[rewards.tracking.root_pos]`."""
    keys: frozenset[str] = frozenset()
    """Keys of a slot that the kernel reads; a component parameter cannot have these names."""
    protocol: str = ""
    """Name of its contract in `mtrack.api.protocols`."""

    @property
    def group(self) -> str:
        """Entry-point group."""
        return f"mtrack.{self.name}s"


def _kind(name: str, table: str, depth: int, keys: str = "") -> Kind:
    return Kind(name, table, depth, frozenset({"use", *keys.split()}), name.capitalize())


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("robot", "robot", 0),
        _kind("backend", "backend", 0),
        _kind("motion", "motions", 1, "enabled weight"),
        Kind("importer", "", 0, frozenset(), "Importer"),
        Kind("skeleton_source", "", 0, frozenset(), "SkeletonSource"),
        _kind("command", "command", 0),
        _kind("action", "action", 0),
        _kind("observation", "observations", 2, "enabled noise history"),
        _kind("reward", "rewards", 2, "enabled weight"),
        _kind("termination", "terminations", 1, "enabled grace_steps"),
        _kind("randomization", "randomizations", 1, "enabled"),
        _kind("metric", "metrics", 1, "enabled"),
        _kind("agent", "agent", 0),
        _kind("phase", "phases", 1, "enabled frames until train_every set"),
        _kind("logger", "loggers", 1, "enabled"),
    )
}

TABLE_DEPTHS = {"run": 0, "reward_groups": 1} | {kind.table: kind.depth for kind in KINDS.values() if kind.table}
"""Levels below each top-level table of a recipe, as in `Kind.depth`."""
HOOK_GROUP = "mtrack.hooks"
COMMAND_GROUP = "mtrack.cli"


def with_article(name: str) -> str:
    """Return a name with its indefinite article: `an observation`, `a reward`, `an int`."""
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"
