"""Finds installed components by their metadata. A component is imported and checked when it is first used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import attrs

from mtrack.api.kinds import COMMAND_GROUP, HOOK_GROUP, KINDS, with_article
from mtrack.errors import NameProblem, did_you_mean
from mtrack.registry.docstrings import ModuleSource
from mtrack.registry.loading import load
from mtrack.registry.versions import unmet

if TYPE_CHECKING:
    from mtrack.registry.local_files import LocalFile

OWN = "mtrack"
_GROUPS = {kind.group: kind.name for kind in KINDS.values()} | {HOOK_GROUP: "hook", COMMAND_GROUP: "cli"}
KIND_NAMES = tuple(_GROUPS.values())


def canonical(distribution: str) -> str:
    """Return the normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def is_own(distribution: str) -> bool:
    """Return whether a distribution is mtrack itself."""
    return canonical(distribution) == OWN


@attrs.frozen
class Entry:
    """The entry point of a component, hook or command."""

    kind: str
    """Kind of component, `hook` or `cli`."""
    name: str
    distribution: str
    version: str
    module: str
    attribute: str
    refusal: str = ""
    """Why it cannot be used, according to its metadata; empty if it can."""
    rivals: tuple[str, ...] = ()
    """Full names of all entries with this kind and name, including this one; empty if it is the only one."""
    file: LocalFile | None = None
    """The file of `-p` that defines it; None if it is installed."""
    source: ModuleSource = attrs.field(default=ModuleSource(""), eq=False, repr=False)

    @property
    def help(self) -> str:
        """First line of its docstring, read from the source."""
        return self.source.help(self.attribute)

    @property
    def error(self) -> str:
        """Problem found in metadata and source, without importing it; empty if it has no problem."""
        return self.refusal or self.source.error(self.attribute)

    @property
    def ambiguity(self) -> str:
        """The message if a name is ambiguous."""
        options = " or ".join(f'"{name}"' for name in self.rivals)
        how = "write" if self.kind == "cli" else "choose one with use ="
        return f"{len(self.rivals)} distributions have a {self.kind} '{self.name}': {how} {options}"

    @property
    def full_name(self) -> str:
        """Unique name, e.g. `acme-rewards:root_position`."""
        return f"{self.distribution}:{self.name}"

    @property
    def home(self) -> str:
        """Distribution and version, e.g. `mtrack 0.1.0`, or the name of a local file."""
        return f"{self.distribution} {self.version}".rstrip()

    def __str__(self) -> str:
        """Return e.g. `reward 'root_pos' (mtrack 0.1.0)`."""
        return f"{self.kind} '{self.name}' ({self.home})"


RUN = Entry("cli", "run", OWN, "", "mtrack.cli.run", "run", source=ModuleSource("mtrack.cli.run"))
"""The only command of the kernel itself; all others are plugins."""


@attrs.frozen(eq=False)
class Registry:
    """All components, hooks and commands; `Registry.scan()` finds them."""

    entries: Sequence[Entry] = ()
    """Installed components, hooks and commands, sorted by kind, name and distribution."""
    problems: Sequence[str] = ()
    """Problems of distributions and entry-point groups, one line each."""
    files: Sequence[LocalFile] = ()
    """Files given with `-p`."""
    _loaded: dict[Entry, Any] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def scan(cls, allow: Iterable[str] | None = None, files: Sequence[str] = ()) -> Registry:
        """Read the entry points of all distributions, and load the `files` of `-p`.

        `allow` lists the distributions that may be used besides mtrack itself; the default is the list in the
        environment variable `MTRACK_PLUGINS`, or all if it is not set.

        A broken distribution is added to `problems` and does not affect others. Raises MtrackError if a file is
        invalid.
        """
        names = os.environ.get("MTRACK_PLUGINS")
        if allow is None and names is not None:
            allow = filter(None, map(str.strip, names.split(",")))
        allowed = None if allow is None else {OWN, *map(canonical, allow)}
        problems: list[str] = []
        found = list(_entries(allowed, problems))
        version = next((entry.version for entry in found if entry.distribution == OWN), "")
        found.append(attrs.evolve(RUN, version=version))
        found.sort(key=lambda entry: (KIND_NAMES.index(entry.kind), entry.name, entry.distribution))
        registry = cls(_mark_rivals(found), problems)
        if not files:
            return registry
        from mtrack.registry.local_files import load_files  # noqa: PLC0415  imports torch

        return attrs.evolve(registry, files=load_files(files, registry))

    def of(self, *kinds: str) -> list[Entry]:
        """Return the installed entries of some kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    def find(self, kind: str, use: str, prefers: Callable[[str], bool] = lambda distribution: False) -> Entry:
        """Return the entry that `use` means: `name` or `distribution:name`. Raises NameProblem.

        If several entries have the name, a distribution for which `prefers` is true comes first (the one that ships
        the recipe), then a local file. Otherwise the name is ambiguous, which is an error.
        """
        distribution, _, name = use.rpartition(":")
        fitting = [
            entry
            for entry in self.of(kind)
            if entry.name == name and canonical(distribution or entry.distribution) == canonical(entry.distribution)
        ]
        local = self._local(kind, distribution, name)
        if len(fitting) > 1 or (fitting and local):
            preferred = [entry for entry in fitting if prefers(entry.distribution)]
            fitting, local = (preferred, None) if preferred else (fitting, local)
        if local:
            return local
        usable = [entry for entry in fitting if not entry.refusal]
        if not fitting:
            raise NameProblem(self._unknown(kind, distribution, name))
        if not usable:
            raise NameProblem(f"{fitting[0]} cannot be used: {fitting[0].refusal}")
        if len(usable) > 1:
            raise NameProblem(usable[0].ambiguity)
        return usable[0]

    def load(self, entry: Entry) -> Any:
        """Return the class, hook or command of an entry, imported and checked once. Raises ComponentError."""
        if entry not in self._loaded:
            self._loaded[entry] = load(entry)
        return self._loaded[entry]

    def _local(self, kind: str, distribution: str, name: str) -> Entry | None:
        """Return the entry of a local file that has the name, if any; loading it checks that it has the kind."""
        for file in self.files:
            if name in file.names and canonical(distribution or file.name) == canonical(file.name):
                return Entry(kind, name, file.name, "", file.module, file.names[name].__name__, file=file)
        return None

    def _unknown(self, kind: str, distribution: str, name: str) -> str:
        if distribution.endswith(".py"):
            file = next((file for file in self.files if file.name == distribution), None)
            if file is None:
                return f"{distribution} is missing; give it on the command line: -p {distribution}"
            return f"no '{name}' in {distribution}; {did_you_mean(name, file.names)}".rstrip("; ")
        if distribution and canonical(distribution) not in {canonical(entry.distribution) for entry in self.entries}:
            return f"no distribution '{distribution}' with components is installed; 'pip install {distribution}'?"
        known = [*(entry.name for entry in self.of(kind)), *(name for file in self.files for name in file.names)]
        remedy = did_you_mean(name, known)
        elsewhere = sorted({entry.kind for entry in self.entries if entry.name == name})
        if elsewhere and not remedy:
            remedy = f"there is {' and '.join(map(with_article, elsewhere))} of that name"
        inside = f" in {distribution}" if distribution else ""
        may_be_local = kind in KINDS and not (remedy or distribution or self.files)
        local = "if it is in your own file, add -p FILE.py" if may_be_local else ""
        hints = "   ".join(filter(None, (remedy, f"'mtrack list-plugins {kind}' lists them", local)))
        return f"no {kind} named '{name}'{inside}; {hints}"


def _entries(allowed: Collection[str] | None, problems: list[str]) -> Iterator[Entry]:
    """Yield the entries of all distributions; those that may not be used have a `refusal`."""
    sources: dict[str, ModuleSource] = {}
    for name, version, unmet_need, points in _announcements(problems):
        is_allowed = allowed is None or canonical(name) in allowed
        for point in points:
            if point.group in _GROUPS:
                module, _, attribute = point.value.partition("[")[0].replace(" ", "").partition(":")
                refusal = "" if is_allowed else f"{name} is not in the allow list MTRACK_PLUGINS"
                if not module or not (attribute or point.group == HOOK_GROUP):  # only a hook may be a module
                    refusal = refusal or f"its entry point '{point.value}' is not 'module:name'"
                refusal = refusal or unmet_need
                source = sources.setdefault(module, ModuleSource(module))
                yield Entry(_GROUPS[point.group], point.name, name, version, module, attribute, refusal, source=source)
            elif point.group.startswith(f"{OWN}."):
                remedy = did_you_mean(point.group, _GROUPS)
                problems.append(f"{name} {version}: unknown entry-point group '{point.group}'; {remedy}".rstrip("; "))


def _announcements(problems: list[str]) -> Iterator[tuple[str, str, str, list[metadata.EntryPoint]]]:
    """Yield name, version, unmet requirement on mtrack and entry points of each distribution with any for mtrack.

    If two have the same name, the first on the path counts, as in Python. A dist-info goes before an egg-info, however,
    because that may be an outdated build folder in the working directory.
    """
    found: dict[str, tuple[str, str, str, list[metadata.EntryPoint]]] = {}
    installed: set[str] = set()
    for distribution in metadata.distributions():
        try:
            if OWN not in (distribution.read_text("entry_points.txt") or ""):
                continue
            facts = distribution.metadata  # parsed once; each property of the distribution would parse it again
            name = canonical(facts["Name"])
            if name not in installed:
                need = unmet(facts.get_all("Requires-Dist") or distribution.requires or (), OWN)
                found[name] = facts["Name"], facts["Version"], need, list(distribution.entry_points)
            if distribution.read_text("METADATA") is not None:
                installed.add(name)
        except Exception as error:  # the metadata of other packages may be broken in any way
            path = getattr(distribution, "_path", "a distribution")  # its name may be unreadable
            problems.append(f"cannot read the entry points of {path}: {type(error).__name__}: {error}")
    yield from found.values()


def _mark_rivals(entries: list[Entry]) -> list[Entry]:
    """Return the entries with their `rivals` set: other usable entries of the same kind and name."""
    same: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if not entry.refusal:
            same.setdefault((entry.kind, entry.name), []).append(entry.full_name)
    rivals = {key: tuple(names) for key, names in same.items() if len(names) > 1}
    return [attrs.evolve(entry, rivals=rivals.get((entry.kind, entry.name), ())) for entry in entries]
