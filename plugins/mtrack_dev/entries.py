"""Checks an entry for `list-plugins` and the doctor: whether it can be loaded, and which others share its name."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

from mtrack.cli.commands import load_command
from mtrack.registry.registry import OWN, Entry, Registry


def try_to_load(registry: Registry, entry: Entry) -> None:
    """Import an entry and check its contract; its output goes to stderr. Raises ComponentError."""
    with redirect_stdout(sys.stderr):
        if entry.kind == "cli":
            load_command(registry, entry)
        else:
            registry.load(entry)


def clash(entry: Entry) -> str:
    """Return how to choose between an entry and others of its name; empty if there are no others."""
    if not entry.rivals:
        return ""
    others = " and ".join(name.rpartition(":")[0] for name in entry.rivals if name != entry.full_name)
    if entry.kind == "hook":
        return f"also in {others}: all of them are called, and -p no:{entry.name} disables all of them"
    if entry.kind == "cli":
        return _clash_of_commands(entry, others)
    return (
        f"also in {others}: recipes that come with {entry.distribution} use this one; "
        f'in your own write use = "{entry.full_name}"'
    )


def _clash_of_commands(entry: Entry, others: str) -> str:
    built_in = f"{OWN}:{entry.name}"
    *groups, name = entry.name.split(".")
    short, full = (f"'{' '.join(['mtrack', *groups, last])}'" for last in (name, f"{entry.distribution}:{name}"))
    if entry.full_name == built_in:
        return f"also in {others}: {short} is this one, the built-in command"
    if built_in in entry.rivals:
        return f"{short} is the built-in command; this one is {full}"
    return f"also in {others}, so {short} is ambiguous; this one is {full}"
