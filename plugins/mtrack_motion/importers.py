"""The installed importers: which of them reads a file, with the parameters given; a broken one is named and skipped.

Besides the methods of `mtrack.protocols.Importer` an importer may have:

- `fallback: ClassVar[bool] = True`: its format has no mark of its own; it is used if no other importer claims a file.
- `explain(path) -> str`: about a file that no importer recognises, as the rest of a sentence: what it is and what to
  do; "" if it cannot say.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mtrack.errors import ComponentError, MotionError, MtrackError, describe_error, did_you_mean, is_from_user
from mtrack.exchange import Clip
from mtrack.fields import params_of
from mtrack.protocols import Importer, Robot
from mtrack.registry import Entry, Registry
from mtrack.values import describe_fields, structure_fields

log = logging.getLogger(__name__)

T = TypeVar("T")
AS_REQUESTED = "by --format, not recognised"
_NOISE = bytes(range(256)) * 4


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
            raise MotionError(f"{path}: {self} found no motion in it")

    def _call(self, call: Callable[[], T]) -> T:
        """Return what a call of the importer returns; blame it for what it may not raise."""
        try:
            return call()
        except MotionError:
            raise
        except MtrackError as error:
            raise MotionError(str(error)) from error
        except BaseException as error:  # somebody else's code may raise anything, SystemExit included
            if is_from_user(error):
                raise
            raise ComponentError(f"raised {describe_error(error)}") from error


@attrs.frozen
class Recognition:
    """Which importer reads a file; without one, why not."""

    importer: InstalledImporter | None = None
    found: str = ""
    """What it found."""
    damage: Sequence[MotionError] = ()
    """What importers said is wrong with the file."""
    broken: Sequence[str] = ()
    """Importers that failed on it."""
    explanation: str = ""
    """What importers say about it, as the rest of a sentence."""


class _IncompleteError(ComponentError):
    """An importer with a parameter that has no default and was not given."""


class Importers:
    """The importers to choose from."""

    def __init__(self, registry: Registry, wanted: str = "auto", settings: Settings | None = None) -> None:
        """Make the importer `wanted`, or all of them, with the settings that fit each. Raises MtrackError."""
        settings = settings or Settings()
        self._chosen = wanted != "auto"
        self._warned: set[str] = set()
        self.broken: list[str] = []
        """Importers that cannot be used at all, with the reason."""
        self.usable: list[InstalledImporter] = []
        entries = [registry.find("importer", wanted)] if self._chosen else registry.of("importer")
        for entry in entries:
            try:
                self.usable.append(_made(registry, entry, settings))
            except ComponentError as error:
                if self._chosen:
                    raise
                self.broken.append(str(error))
                # no fault: the list of allowed packages may exclude it, or it is not meant for this import
                if not entry.refusal and not isinstance(error, _IncompleteError):
                    self._warn(f"skipped: {error}", str(entry))
        self._check_names(settings)

    def recognise(self, path: Path) -> Recognition:
        """Return which importer reads a file. Raises MotionError if several do."""
        if self._chosen:
            return self._as_requested(path)
        claims: list[tuple[InstalledImporter, str]] = []
        damage: list[MotionError] = []
        broken: list[str] = []
        for importer in self.usable:
            try:
                if found := importer.recognises(path):
                    claims.append((importer, found))
            except MotionError as error:
                damage.append(error)
            except ComponentError as error:
                broken.append(f"{importer}: {error}")
                self._warn(f"skipped: {importer}: {error}", str(importer))
        if not claims:
            said = next(filter(None, (importer.explain(path) for importer in self.usable)), "")
            return Recognition(damage=damage, broken=[*self.broken, *broken], explanation=said)
        claims = self._by_content(claims, path)
        if len(claims) > 1:
            said = " and as ".join(f"{found} ({importer})" for importer, found in claims)
            formats = " or ".join(f"--format {importer.name}" for importer, _ in claims)
            raise MotionError(f"{path}: is recognised as {said}; choose one with {formats}")
        return Recognition(*claims[0])

    def _as_requested(self, path: Path) -> Recognition:
        (importer,) = self.usable
        try:
            return Recognition(importer, importer.recognises(path) or AS_REQUESTED)
        except (MotionError, ComponentError):
            return Recognition(importer, "by --format")  # reading the file says what is wrong

    def _by_content(
        self, claims: list[tuple[InstalledImporter, str]], path: Path
    ) -> list[tuple[InstalledImporter, str]]:
        """Return the claims that the content supports: one that looks at the name of a file only claims noise too."""
        if len(claims) > 1:
            with tempfile.TemporaryDirectory(prefix="mtrack-import-") as folder:
                noise = Path(folder, path.name)
                noise.write_bytes(_NOISE)
                blind = [claim for claim in claims if _claims(claim[0], noise)]
            if len(blind) < len(claims):
                claims = [claim for claim in claims if claim not in blind]
                for importer, _ in blind:
                    self._warn(f"{importer} was not used: it claims files of any content", str(importer))
        specific = [claim for claim in claims if not claim[0].is_fallback]
        return specific or claims

    def _check_names(self, settings: Settings) -> None:
        """Raise MtrackError for a setting that no importer to choose from has."""
        for name in settings.values:
            known = {param for importer in self.usable for param in params_of(type(importer.importer))}
            if name in known or not self.usable:
                continue
            if self._chosen:
                raise MtrackError(self.usable[0].problem)
            hint = did_you_mean(name, known) or "'mtrack describe IMPORTER' lists the parameters of one"
            raise MtrackError(f"{settings.written[name]}: no importer has a parameter '{name}'; {hint}")

    def _warn(self, text: str, importer: str) -> None:
        """Log what is wrong with an importer, once."""
        if importer not in self._warned:
            self._warned.add(importer)
            log.warning("%s", text)


def _claims(importer: InstalledImporter, path: Path) -> bool:
    try:
        return bool(importer.recognises(path))
    except (MotionError, ComponentError):
        return False


def _made(registry: Registry, entry: Entry, settings: Settings) -> InstalledImporter:
    """Return an importer with the settings that fit it, and what is wrong with the others. Raises ComponentError."""
    cls: Any = registry.load(entry)
    fields = params_of(cls)
    given = {name: value for name, value in settings.values.items() if name in fields}
    values, flaws = structure_fields(fields, given, lambda _: Path.cwd())
    problem = ""
    own = f"its parameters: {describe_fields(fields) or 'none'}"
    if unknown := [name for name in settings.values if name not in fields]:
        hint = did_you_mean(unknown[0], fields)
        remedy = (
            f"leave out {settings.written[unknown[0]]}, or import such files without {settings.written[unknown[0]]}"
        )
        problem = f"{entry} has no parameter '{unknown[0]}'; {hint + ' ' if hint else ''}{remedy}; {own}"
    elif flaws:
        said = "; ".join(
            f"{'.'.join(flaw.path)}: {flaw.message}{'; ' + flaw.hint if flaw.hint else ''}" for flaw in flaws
        )
        problem = f"{entry}, {said}; {own}"
        required = [flaw for flaw in flaws if flaw.path[0] not in given]
        if required:
            raise _IncompleteError(f"{entry} needs a parameter: {said}; give it with --set NAME=VALUE")
    values = {fields[name].alias or name: value for name, value in values.items()}
    try:
        return InstalledImporter(entry, cls(**values), problem)
    except BaseException as error:
        if is_from_user(error):
            raise
        raise ComponentError(f"{entry} cannot be made: {describe_error(error)}") from error
