"""One installed importer or skeleton source, made with its parameters; what it does wrong is reported with its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mtrack import Clip, ComponentError, Importer, MotionError, MtrackError, Robot, SkeletonMotion, SkeletonSource
from mtrack.api.fields import params_of
from mtrack.errors import describe_error, did_you_mean, is_from_user
from mtrack.registry.registry import Entry, Registry
from mtrack.registry.values import describe_fields, structure_fields
from mtrack_motion.file_kinds import what_it_is

T = TypeVar("T")


TRUST = "trust"
"""The setting that the import itself uses too, so an importer may lack it."""


@attrs.frozen
class Settings:
    """Parameters for importers, by name, and how the user wrote each of them."""

    values: Mapping[str, object] = attrs.field(factory=dict)
    written: Mapping[str, str] = attrs.field(factory=dict)
    """For example `--fps` or `--set scale=2`."""


@attrs.frozen(eq=False)
class InstalledImporter:
    """One importer, and why it may not fit the given parameters."""

    entry: Entry
    importer: Importer | SkeletonSource
    problem: str = ""
    """Why the given parameters do not fit it, and what to do."""

    def __str__(self) -> str:
        """Return for example `importer 'gmr' (mtrack 0.1.0)`."""
        return str(self.entry)

    @property
    def name(self) -> str:
        """The name for --format."""
        return self.entry.full_name if self.entry.rivals else self.entry.name

    @property
    def is_fallback(self) -> bool:
        """Whether it is used only for files that no other importer recognises."""
        return bool(getattr(self.importer, "fallback", False))

    def recognises(self, path: Path) -> str:
        """Return what it found in a file, or "". Raises MotionError, or ComponentError (without its name) if broken."""
        found = self._call(lambda: self.importer.recognises(path))
        if not isinstance(found, str):
            raise ComponentError(f"recognises() returned {found!r}, expected text")
        return " ".join(found.split())

    def explain(self, path: Path) -> str:
        """Return its description of a file that no importer recognises, or ""."""
        method = getattr(self.importer, "explain", None)
        try:
            text = self._call(lambda: method(path)) if method is not None else ""
        except (MotionError, ComponentError):
            return ""
        return text if isinstance(text, str) else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file, at least one. Raises MotionError, or ComponentError (no name) if broken."""
        return self._each("clips", Clip, path, robot)

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        """Yield the people of a file, at least one, if this is a `skeleton_source`. Raises like `clips`."""
        return self._each("skeletons", SkeletonMotion, path)

    def _each(self, method: str, kind: type[T], path: Path, *more: object) -> Iterator[T]:
        motions = self._call(lambda: getattr(self.importer, method)(path, *more))
        if not hasattr(motions, "__iter__"):
            raise ComponentError(f"{method}() returned {motions!r}, expected motions")
        iterator, end, empty = self._call(lambda: iter(motions)), object(), True
        while (motion := self._call(lambda: next(iterator, end))) is not end:
            if not isinstance(motion, kind):
                raise ComponentError(f"{method}() yielded a {type(motion).__name__}, expected a {kind.__name__}")
            empty = False
            yield motion
        if empty:
            content = what_it_is(path)
            raise MotionError(f"{path}: {self} found no motion in it{f'; the file {content}' if content else ''}")

    def _call(self, call: Callable[[], T]) -> T:
        """Return the result of calling the importer; turn exceptions that it may not raise into ComponentError."""
        try:
            with redirect_stdout(sys.stderr):
                return call()
        except MotionError:
            raise
        except MtrackError as error:
            raise MotionError(str(error)) from error
        except BaseException as error:  # third-party code may raise anything, including SystemExit
            if is_from_user(error):
                raise
            raise ComponentError(f"raised {describe_error(error)}") from error


class IncompleteError(ComponentError):
    """An importer has a required parameter that was not given."""


def make_importer(registry: Registry, entry: Entry, settings: Settings) -> InstalledImporter:
    """Make an importer with the settings that it has, and note problems with the others. Raises ComponentError."""
    with redirect_stdout(sys.stderr):  # stdout is only for results, even if a plugin prints
        cls: Any = registry.load(entry)
    fields = params_of(cls)
    given = {name: value for name, value in settings.values.items() if name in fields}
    values, problems = structure_fields(fields, given, lambda _: Path.cwd())
    problem = ""
    own = f"its parameters: {describe_fields(fields) or 'none'}"
    if unknown := [name for name in settings.values if name not in fields and name != TRUST]:
        hint = did_you_mean(unknown[0], fields)
        remedy = hint or f"import such files without {settings.written[unknown[0]]}"
        problem = f"{entry} has no parameter '{unknown[0]}'; {remedy}; {own}"
    elif problems:
        listed = "; ".join(
            f"{'.'.join(one.path)}: {one.message}{'; ' + one.hint if one.hint else ''}" for one in problems
        )
        problem = f"{entry}, {listed}; {own}"
        required = [one for one in problems if one.path[0] not in given]
        if required:
            raise IncompleteError(f"{entry} needs a parameter: {listed}; give it with --set NAME=VALUE")
    values = {fields[name].alias or name: value for name, value in values.items()}
    try:
        with redirect_stdout(sys.stderr):
            return InstalledImporter(entry, cls(**values), problem)
    except BaseException as error:
        if is_from_user(error):
            raise
        raise ComponentError(f"cannot create {entry}: {describe_error(error)}") from error
