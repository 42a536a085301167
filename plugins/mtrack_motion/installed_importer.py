"""One installed importer: made with the parameters that fit it, and blamed for what it may not do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mtrack.errors import ComponentError, MotionError, MtrackError, describe_error, did_you_mean, is_from_user
from mtrack.exchange import Clip
from mtrack.fields import params_of
from mtrack.protocols import Importer, Robot
from mtrack.registry import Entry, Registry
from mtrack.values import describe_fields, structure_fields
from mtrack_motion.file_kinds import what_it_is

T = TypeVar("T")


TRUST = "trust"
"""The setting that the import itself honours too: an importer need not have it."""


@attrs.frozen
class Settings:
    """Parameters given for importers: by name, and how the user wrote each of them."""

    values: Mapping[str, object] = attrs.field(factory=dict)
    written: Mapping[str, str] = attrs.field(factory=dict)
    """E.g. `--fps`, or `--set scale=2`."""


@attrs.frozen(eq=False)
class InstalledImporter:
    """One importer, and what speaks against using it with the parameters given."""

    entry: Entry
    importer: Importer
    problem: str = ""
    """Why the parameters given do not fit it, and what to do."""

    def __str__(self) -> str:
        """Return e.g. `importer 'gmr' (mtrack 0.1.0)`."""
        return str(self.entry)

    @property
    def name(self) -> str:
        """As the user may give it to --format."""
        return self.entry.full_name if self.entry.rivals else self.entry.name

    @property
    def is_fallback(self) -> bool:
        """Whether it is asked only about files that no other one recognises."""
        return bool(getattr(self.importer, "fallback", False))

    def recognises(self, path: Path) -> str:
        """Return what it found in a file, or "". Raises MotionError; ComponentError (without its name) if broken."""
        found = self._call(lambda: self.importer.recognises(path))
        if not isinstance(found, str):
            raise ComponentError(f"recognises() returned {found!r}, expected text")
        return " ".join(found.split())

    def explain(self, path: Path) -> str:
        """Return what it says about a file that no importer recognises, or ""."""
        method = getattr(self.importer, "explain", None)
        try:
            said = self._call(lambda: method(path)) if method is not None else ""
        except (MotionError, ComponentError):
            return ""
        return said if isinstance(said, str) else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file, at least one. Raises MotionError; ComponentError (without its name) if broken."""
        clips = self._call(lambda: self.importer.clips(path, robot))
        if not hasattr(clips, "__iter__"):
            raise ComponentError(f"clips() returned {clips!r}, expected clips")
        iterator, end, empty = self._call(lambda: iter(clips)), object(), True
        while (clip := self._call(lambda: next(iterator, end))) is not end:
            if not isinstance(clip, Clip):
                raise ComponentError(f"clips() gave a {type(clip).__name__}, expected a Clip")
            empty = False
            yield clip
        if empty:
            said = what_it_is(path)
            raise MotionError(f"{path}: {self} found no motion in it{f'; the file {said}' if said else ''}")

    def _call(self, call: Callable[[], T]) -> T:
        """Return what a call of the importer returns; blame it for what it may not raise."""
        try:
            with redirect_stdout(sys.stderr):
                return call()
        except MotionError:
            raise
        except MtrackError as error:
            raise MotionError(str(error)) from error
        except BaseException as error:  # somebody else's code may raise anything, SystemExit included
            if is_from_user(error):
                raise
            raise ComponentError(f"raised {describe_error(error)}") from error


class IncompleteError(ComponentError):
    """An importer with a parameter that has no default and was not given."""


def make_importer(registry: Registry, entry: Entry, settings: Settings) -> InstalledImporter:
    """Return an importer with the settings that fit it, and what is wrong with the others. Raises ComponentError."""
    with redirect_stdout(sys.stderr):  # only results go to stdout, whatever a plugin prints
        cls: Any = registry.load(entry)
    fields = params_of(cls)
    given = {name: value for name, value in settings.values.items() if name in fields}
    values, flaws = structure_fields(fields, given, lambda _: Path.cwd())
    problem = ""
    own = f"its parameters: {describe_fields(fields) or 'none'}"
    if unknown := [name for name in settings.values if name not in fields and name != TRUST]:
        hint = did_you_mean(unknown[0], fields)
        remedy = hint or f"import such files without {settings.written[unknown[0]]}"
        problem = f"{entry} has no parameter '{unknown[0]}'; {remedy}; {own}"
    elif flaws:
        said = "; ".join(
            f"{'.'.join(flaw.path)}: {flaw.message}{'; ' + flaw.hint if flaw.hint else ''}" for flaw in flaws
        )
        problem = f"{entry}, {said}; {own}"
        required = [flaw for flaw in flaws if flaw.path[0] not in given]
        if required:
            raise IncompleteError(f"{entry} needs a parameter: {said}; give it with --set NAME=VALUE")
    values = {fields[name].alias or name: value for name, value in values.items()}
    try:
        with redirect_stdout(sys.stderr):
            return InstalledImporter(entry, cls(**values), problem)
    except BaseException as error:
        if is_from_user(error):
            raise
        raise ComponentError(f"{entry} cannot be made: {describe_error(error)}") from error
