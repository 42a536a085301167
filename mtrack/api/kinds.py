"""The kinds of component: entry-point group, recipe table and the keys the kernel owns there. Imports nothing heavy."""

from __future__ import annotations

import attrs


@attrs.frozen
class Kind:
    """One kind of component."""

    name: str
    """As in `mtrack list-plugins reward`."""
    table: str
    """Recipe table its slots live in, e.g. `rewards`; for a single component the table is the slot."""
    depth: int
    """Table levels below `table` that name a slot: 0 `[robot]`, 1 `[motions.mine]`, 2 `[rewards.tracking.root_pos]`."""
    keys: frozenset[str] = frozenset()
    """Keys of a slot that belong to the kernel; no component parameter may bear one."""
    protocol: str = ""
    """Its contract in `mtrack.api.protocols`."""

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
        _kind("command", "command", 0),
        _kind("action", "action", 0),
        _kind("observation", "observations", 2, "enabled noise history"),
        _kind("reward", "rewards", 2, "enabled weight"),
        _kind("termination", "terminations", 1, "enabled grace_steps"),
        _kind("randomization", "randomizations", 1, "enabled"),
        _kind("metric", "metrics", 1, "enabled"),
        _kind("agent", "agent", 0),
        _kind("phase", "phases", 1, "enabled frames train_every set"),
        _kind("logger", "loggers", 1, "enabled"),
    )
}

TABLE_DEPTHS = {"run": 0, "reward_groups": 1} | {kind.table: kind.depth for kind in KINDS.values() if kind.table}
"""Table levels of a recipe below each table at its top, as `Kind.depth`."""
HOOK_GROUP = "mtrack.hooks"
COMMAND_GROUP = "mtrack.cli"


def with_article(name: str) -> str:
    """Return the name of a kind or type as a sentence needs it: `an observation`, `a reward`, `an int`."""
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"
