"""Every installed component, known from metadata alone; a class is imported when asked for, and then checked."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import metadata
from typing import Any

import attrs

from mtrack.errors import ComponentError, NameProblem, did_you_mean
from mtrack.kinds import COMMAND_GROUP, HOOK_GROUP, KINDS
from mtrack.source_help import ModuleSource
from mtrack.versions import unmet

OWN = "mtrack"
_GROUPS = {kind.group: kind.name for kind in KINDS.values()} | {HOOK_GROUP: "hook", COMMAND_GROUP: "cli"}
KIND_NAMES = tuple(_GROUPS.values())


def canonical(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


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

    @property
    def home(self) -> str:
        """Distribution and version: `mtrack 0.1.0`."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        """Return e.g. `reward 'root_pos' (mtrack 0.1.0)`."""
        return f"{self.kind} '{self.name}' ({self.home})"


@attrs.frozen(eq=False)
class Registry:
    """What is installed; `Registry.scan()` finds it."""

    entries: Sequence[Entry] = ()
    """Components, hooks and commands, by kind, name, distribution."""
    problems: Sequence[str] = ()
    """Distributions and groups that could not be read, one line each."""
    _loaded: dict[Entry, Any] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def scan(cls, allow: Iterable[str] | None = None) -> Registry:
        """Read the entry points of all distributions; a broken one is noted and hides no other.

        `allow` restricts which distributions may be used, besides mtrack itself; by default those that the variable
        `MTRACK_PLUGINS` names (unset: all).
        """
        names = os.environ.get("MTRACK_PLUGINS")
        if allow is None and names is not None:
            allow = filter(None, map(str.strip, names.split(",")))
        allowed = None if allow is None else {OWN, *map(canonical, allow)}
        problems: list[str] = []
        found = list(_entries(allowed, problems))
        found.sort(key=lambda entry: (KIND_NAMES.index(entry.kind), entry.name, entry.distribution))
        return cls(_mark_rivals(found), problems)

    def of(self, *kinds: str) -> list[Entry]:
        """Return what there is of some kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    def find(self, kind: str, use: str) -> Entry:
        """Return what a recipe means by `use`: a name, or `distribution:name`. Raises NameProblem."""
        distribution, _, name = use.rpartition(":")
        fitting = [
            entry
            for entry in self.of(kind)
            if entry.name == name and canonical(distribution or entry.distribution) == canonical(entry.distribution)
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
        if distribution and canonical(distribution) not in {canonical(entry.distribution) for entry in self.entries}:
            return f"no distribution '{distribution}' with components is installed; 'pip install {distribution}'?"
        remedy = did_you_mean(name, [entry.name for entry in self.of(kind)])
        elsewhere = sorted({entry.kind for entry in self.entries if entry.name == name})
        if elsewhere and not remedy:
            remedy = f"of that name there is: {', '.join(elsewhere)}"
        place = f" in {distribution}" if distribution else ""
        hints = "   ".join(filter(None, (remedy, f"'mtrack list-plugins {kind}' lists them")))
        return f"no {kind} named '{name}'{place}; {hints}"


def _entries(allowed: Collection[str] | None, problems: list[str]) -> Iterator[Entry]:
    """Yield what all distributions announce for mtrack; those that are not allowed are refused."""
    sources: dict[str, ModuleSource] = {}
    for name, version, unmet_need, points in _announcements(problems):
        is_allowed = allowed is None or canonical(name) in allowed
        for point in points:
            if point.group in _GROUPS:
                module, _, attribute = point.value.partition("[")[0].replace(" ", "").partition(":")
                refusal = "" if is_allowed else f"{name} is not in the allow list MTRACK_PLUGINS"
                if not module or not (attribute or point.group == HOOK_GROUP):  # a hook may be a module
                    refusal = refusal or f"its entry point '{point.value}' is not 'module:name'"
                refusal = refusal or unmet_need
                source = sources.setdefault(module, ModuleSource(module))
                yield Entry(_GROUPS[point.group], point.name, name, version, module, attribute, refusal, source=source)
            elif point.group.startswith(f"{OWN}."):
                remedy = did_you_mean(point.group, _GROUPS)
                problems.append(f"{name} {version}: unknown entry-point group '{point.group}'; {remedy}".rstrip("; "))


def _announcements(problems: list[str]) -> Iterator[tuple[str, str, str, list[metadata.EntryPoint]]]:
    """Yield name, version, unmet requirement on mtrack, and entry points of each distribution with any for mtrack.

    Of two with one name the first on the path counts, as in Python, but a dist-info goes before an egg-info: a stale
    build folder in the working directory must not win.
    """
    found: dict[str, tuple[str, str, str, list[metadata.EntryPoint]]] = {}
    installed: set[str] = set()
    for distribution in metadata.distributions():
        try:
            if OWN not in (distribution.read_text("entry_points.txt") or ""):
                continue
            name = canonical(distribution.metadata["Name"])
            if name not in installed:
                need = unmet(distribution.requires or (), OWN)
                found[name] = distribution.name, distribution.version, need, list(distribution.entry_points)
            if distribution.read_text("METADATA") is not None:
                installed.add(name)
        except Exception as error:  # whatever a foreign package did to its metadata
            place = getattr(distribution, "_path", "a distribution")  # its name may be what is broken
            problems.append(f"cannot read the entry points of {place}: {type(error).__name__}: {error}")
    yield from found.values()


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
