"""Every installed component, known from metadata alone; a class is imported when asked for, and then checked."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

import attrs

from mtrack.errors import ComponentError, NameProblem, did_you_mean
from mtrack.kinds import COMMAND_GROUP, HOOK_GROUP, KINDS
from mtrack.source_help import ModuleSource

OWN = "mtrack"
_GROUPS = {kind.group: kind.name for kind in KINDS.values()} | {HOOK_GROUP: "hook", COMMAND_GROUP: "cli"}
KIND_NAMES = tuple(_GROUPS.values())


def canonical(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def allowed_plugins() -> frozenset[str] | None:
    """Return the distributions that `MTRACK_PLUGINS` allows to load; None (unset) is all of them."""
    names = os.environ.get("MTRACK_PLUGINS")
    return None if names is None else frozenset(canonical(name.strip()) for name in names.split(",") if name.strip())


@attrs.frozen
class Entry:
    """One component, hook or command, as its distribution announces it."""

    kind: str
    """Kind of component, or `hook`, or `cli`."""
    name: str
    distribution: str
    version: str
    module: str
    attribute: str
    refusal: str = ""
    """Why it cannot be used, as far as the metadata tell."""
    rivals: tuple[str, ...] = ()
    """Full names of all that share kind and name, this one included, where there are others."""
    source: ModuleSource = attrs.field(default=ModuleSource(""), eq=False, repr=False)

    @property
    def help(self) -> str:
        """First line of the docstring, read from the source."""
        return self.source.help(self.attribute)

    @property
    def error(self) -> str:
        """What is wrong as far as metadata and source tell; empty where it looks fine."""
        return self.refusal or self.source.error(self.attribute) or self.ambiguity

    @property
    def ambiguity(self) -> str:
        """How to choose among those of the same name; empty where there is but one."""
        ways = " or ".join(f'"{name}"' for name in self.rivals)
        return f"{len(self.rivals)} distributions have a {self.kind} '{self.name}': write {ways}" if ways else ""

    @property
    def full_name(self) -> str:
        """A name that no other distribution can bear: `acme-rewards:root_position`."""
        return f"{self.distribution}:{self.name}"

    def __str__(self) -> str:
        """Return e.g. `reward 'root_pos' (mtrack 0.1.0)`."""
        return f"{self.kind} '{self.name}' ({self.distribution} {self.version})"


@attrs.frozen(eq=False)
class Registry:
    """What is installed; `Registry.scan()` finds it."""

    entries: list[Entry]
    """Components, by kind, name, distribution."""
    hooks: list[Entry]
    commands: list[Entry]
    problems: list[str]
    """Distributions and groups that could not be read, one line each."""
    _loaded: dict[Entry, Any] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def scan(cls, allow: Iterable[str] | None = None) -> Registry:
        """Read the entry points of all distributions; a broken one is noted and hides no other.

        `allow` restricts which distributions may be used, besides mtrack itself; by default `MTRACK_PLUGINS` does.
        """
        allowed = allowed_plugins() if allow is None else frozenset(map(canonical, allow))
        problems: list[str] = []
        sources: dict[str, ModuleSource] = {}
        found: list[Entry] = []
        for distribution in _distributions(problems):
            found += _entries(distribution, allowed, sources, problems)
        found.sort(key=lambda entry: (KIND_NAMES.index(entry.kind), entry.name, entry.distribution))
        found = _mark_rivals(found)
        hooks = [entry for entry in found if entry.kind == "hook"]
        commands = [entry for entry in found if entry.kind == "cli"]
        return cls([entry for entry in found if entry.kind in KINDS], hooks, commands, problems)

    def all(self) -> list[Entry]:
        """Return components, hooks and commands."""
        return [*self.entries, *self.hooks, *self.commands]

    def find(self, kind: str, use: str) -> Entry:
        """Return what a recipe means by `use`: a name, or `distribution:name`. Raises NameProblem."""
        distribution, _, name = use.rpartition(":")
        fitting = [
            entry
            for entry in self.all()
            if (entry.kind, entry.name) == (kind, name)
            and (not distribution or canonical(entry.distribution) == canonical(distribution))
        ]
        usable = [entry for entry in fitting if not entry.refusal]
        if not fitting:
            raise NameProblem(self._unknown(kind, distribution, name))
        if not usable:
            raise NameProblem(f"{fitting[0]} cannot be used: {fitting[0].refusal}")
        if len(usable) > 1:
            raise NameProblem(usable[0].ambiguity)
        return usable[0]

    def load(self, entry: Entry) -> Any:
        """Import the class (hook, command) of an entry and check its contract, once. Raises ComponentError."""
        if entry not in self._loaded:
            self._loaded[entry] = _load(entry)
        return self._loaded[entry]

    def _unknown(self, kind: str, distribution: str, name: str) -> str:
        known = self.all()
        if distribution and canonical(distribution) not in {canonical(entry.distribution) for entry in known}:
            return f"no distribution '{distribution}' with components is installed; 'pip install {distribution}'?"
        remedy = did_you_mean(name, [entry.name for entry in known if entry.kind == kind])
        elsewhere = sorted({entry.kind for entry in known if entry.name == name})
        if elsewhere and not remedy:
            remedy = f"of that name there is: {', '.join(elsewhere)}"
        place = f" in {distribution}" if distribution else ""
        hints = "   ".join(filter(None, (remedy, f"'mtrack list-plugins {kind}' lists them")))
        return f"no {kind} named '{name}'{place}; {hints}"


def _distributions(problems: list[str]) -> Iterator[metadata.Distribution]:
    """Yield the distributions that announce something for mtrack, each name once, the first on the path as in Python.

    But a dist-info goes before an egg-info: a stale build folder in the working directory must not win.
    """
    named: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        try:
            if OWN not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = canonical(distribution.metadata["Name"])
            if name not in named or named[name].read_text("METADATA") is None:
                named[name] = distribution
        except Exception as error:  # whatever a foreign package did to its metadata
            problems.append(_unreadable(distribution, error))
    yield from named.values()


def _unreadable(distribution: metadata.Distribution, error: Exception) -> str:
    place = getattr(distribution, "_path", "a distribution")  # its name may be what is broken
    return f"cannot read the entry points of {place}: {type(error).__name__}: {error}"


def _entries(
    distribution: metadata.Distribution,
    allowed: frozenset[str] | None,
    sources: dict[str, ModuleSource],
    problems: list[str],
) -> Iterator[Entry]:
    try:
        name, version, points = distribution.name, distribution.version, list(distribution.entry_points)
    except Exception as error:
        problems.append(_unreadable(distribution, error))
        return
    is_refused = allowed is not None and canonical(name) not in {OWN, *allowed}
    for point in points:
        if point.group in _GROUPS:
            module, _, attribute = point.value.partition("[")[0].replace(" ", "").partition(":")
            is_whole = bool(module and attribute) or (
                bool(module) and point.group == HOOK_GROUP
            )  # a hook may be a module
            refusal = "" if is_whole else f"its entry point '{point.value}' is not 'module:name'"
            if is_refused:
                refusal = f"{name} is not in the allow list MTRACK_PLUGINS"
            source = sources.setdefault(module, ModuleSource(module))
            kind = _GROUPS[point.group]
            yield Entry(kind, point.name, name, version, module, attribute, refusal, source=source)
        elif point.group.startswith(f"{OWN}."):
            remedy = did_you_mean(point.group, _GROUPS)
            problems.append(f"{name} {version}: unknown entry-point group '{point.group}'; {remedy}".rstrip("; "))


def _mark_rivals(entries: list[Entry]) -> list[Entry]:
    """Return the entries, those that share kind and name with another usable one marked."""
    same: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if not entry.refusal:
            same.setdefault((entry.kind, entry.name), []).append(entry.full_name)
    rivals = {key: tuple(names) for key, names in same.items() if len(names) > 1}
    return [attrs.evolve(entry, rivals=rivals.get((entry.kind, entry.name), ())) for entry in entries]


def _load(entry: Entry) -> Any:
    try:
        if entry.refusal:
            raise ImportError(entry.refusal)
        target: Any = importlib.import_module(entry.module)
        for part in filter(None, entry.attribute.split(".")):
            target = getattr(target, part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may even raise SystemExit
        reason = (str(error).splitlines() or ["no message"])[0]
        raise ComponentError(f"{entry} cannot be imported: {type(error).__name__}: {reason}") from error
    if entry.kind in KINDS:
        from mtrack.contract import breaches  # noqa: PLC0415  brings torch

        broken = breaches(KINDS[entry.kind], target)
        if broken:
            raise ComponentError(f"{entry} breaks the contract of a {entry.kind}: {'; '.join(broken)}")
    return target
