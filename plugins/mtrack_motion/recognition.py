"""Find the installed importer that reads a file, or say why none does; a broken importer is named and skipped.

In addition to the methods of `mtrack.api.protocols.Importer`, an importer may have:

- `fallback: ClassVar[bool] = True`: its format has no distinctive mark; it is used if no other importer claims a file.
- `explain(path) -> str`: describes a file that no importer recognises, as the rest of a sentence: what it is and what
  to do; "" if unknown.
"""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs

from mtrack import ComponentError, MotionError, MtrackError
from mtrack.api.fields import params_of
from mtrack.errors import did_you_mean
from mtrack.registry.registry import Registry
from mtrack_motion.decompress import unpacked
from mtrack_motion.file_kinds import RETARGET, how_text_begins, what_it_is
from mtrack_motion.installed_importer import TRUST, IncompleteError, InstalledImporter, Settings, make_importer

log = logging.getLogger(__name__)

AS_REQUESTED = "by --format, not recognised"
_NOISE = bytes(range(256)) * 4


@attrs.frozen
class Recognition:
    """The importer that reads a file, or the reasons why no importer does."""

    importer: InstalledImporter | None = None
    found: str = ""
    """What it found in the file."""
    damage: Sequence[MotionError] = ()
    """What importers report to be wrong with the file."""
    broken: Sequence[str] = ()
    """Importers that failed on the file."""
    explanation: str = ""
    """An importer's description of the file, as the rest of a sentence."""


class Importers:
    """The importers to choose from."""

    def __init__(
        self, registry: Registry, wanted: str = "auto", settings: Settings | None = None, kind: str = "importer"
    ) -> None:
        """Make the importer `wanted`, or all importers, each with the settings that it has. Raises MtrackError.

        With the kind `skeleton_source`, they are the sources of people's motions.
        """
        settings = settings or Settings()
        self._chosen = wanted != "auto"
        self._warned: set[str] = set()
        self.broken: list[str] = []
        """Importers that cannot be used at all, with the reasons."""
        self.usable: list[InstalledImporter] = []
        entries = [registry.find(kind, wanted)] if self._chosen else registry.of(kind)
        for entry in entries:
            try:
                self.usable.append(make_importer(registry, entry, settings))
            except ComponentError as error:
                if self._chosen:
                    raise
                self.broken.append(str(error))
                # not worth a warning: the list of allowed packages may exclude it, or it is not for this import
                if not entry.refusal and not isinstance(error, IncompleteError):
                    self._warn(f"skipped: {error}", str(entry))
        self._check_names(settings)

    def recognise(self, path: Path) -> Recognition:
        """Return the importer that reads a file. Raises MotionError if several do."""
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
            explanation = next(filter(None, (importer.explain(path) for importer in self.usable)), "")
            return Recognition(damage=damage, broken=[*self.broken, *broken], explanation=explanation)
        claims = self._by_content(claims, path)
        if len(claims) > 1:
            kinds = " and as ".join(f"{found} ({importer})" for importer, found in claims)
            formats = " or ".join(f"--format {importer.name}" for importer, _ in claims)
            raise MotionError(f"{path}: is recognised as {kinds}; choose one with {formats}")
        return Recognition(*claims[0])

    def _as_requested(self, path: Path) -> Recognition:
        (importer,) = self.usable
        try:
            return Recognition(importer, importer.recognises(path) or AS_REQUESTED)
        except (MotionError, ComponentError):
            return Recognition(importer, "by --format")  # reading the file reports what is wrong

    def _by_content(
        self, claims: list[tuple[InstalledImporter, str]], path: Path
    ) -> list[tuple[InstalledImporter, str]]:
        """Drop importers that judge a file only by its name: they also claim a file of noise with this name."""
        if len(claims) > 1:
            with tempfile.TemporaryDirectory(prefix="mtrack-import-") as folder:
                noise = Path(folder, path.name)
                noise.write_bytes(_NOISE)
                blind = [claim for claim in claims if _claims(claim[0], noise)]
            if len(blind) < len(claims):
                claims = [claim for claim in claims if claim not in blind]
                for importer, _ in blind:
                    self._warn(f"{importer} was not used: it claims files with any content", str(importer))
        specific = [claim for claim in claims if not claim[0].is_fallback]
        return specific or claims

    def _check_names(self, settings: Settings) -> None:
        """Raise MtrackError for a setting that none of the importers has."""
        for name in settings.values:
            known = {param for importer in self.usable for param in params_of(type(importer.importer))}
            if name in known or name == TRUST or not self.usable:
                continue
            if self._chosen:
                raise MtrackError(self.usable[0].problem)
            hint = did_you_mean(name, known) or "'mtrack describe importer NAME' lists the parameters of an importer"
            raise MtrackError(f"{settings.written[name]}: no importer has a parameter '{name}'; {hint}")

    def _warn(self, text: str, importer: str) -> None:
        """Log a warning about an importer, once."""
        if importer not in self._warned:
            self._warned.add(importer)
            log.warning("%s", text)


def _claims(importer: InstalledImporter, path: Path) -> bool:
    try:
        return bool(importer.recognises(path))
    except (MotionError, ComponentError):
        return False


# ---- files that no importer reads


def why_not_imported(path: Path, recognition: Recognition) -> str:
    """Return in one line, starting with the file, why no importer reads it, and what to do."""
    broken = f" (skipped: {'; '.join(recognition.broken)})" if recognition.broken else ""
    kind = what_it_is(path)
    if RETARGET not in kind and (person := _found_by_skeleton_source(path)):
        return f"{path}: is recognised as {person}: {RETARGET}{broken}"
    if kind:
        return f"{path}: {kind}{broken}"
    if recognition.damage:
        return f"{recognition.damage[0]}{broken}"
    if recognition.explanation:
        return f"{path}: {recognition.explanation}{broken}"
    if begins := how_text_begins(path):
        return (
            f"{path}: is text without a table of numbers (it begins with {begins!r}){broken}; a text motion is a .csv "
            "file: root x y z, quaternion x y z w, then the joints, one row per frame"
        )
    return (
        f"{path}: no importer recognises it{broken}; 'mtrack list-plugins importer' lists the importers, and --format "
        "selects one"
    )


def not_a_motion_file(path: Path) -> str:
    """Return in one line, starting with the file, what a file is that is not a motion file, and what to do."""
    try:
        with unpacked(path) as plain:
            recognition = _importers().recognise(plain)
            if recognition.importer is None:
                return why_not_imported(plain, recognition).replace(str(plain), str(path))
            return (
                f"{path}: is not a motion file (.npz) of mtrack; importer '{recognition.importer.name}' can convert it "
                f"({recognition.found}): mtrack motions import {shlex.quote(str(path))} -o DIR"
            )
    except MotionError as error:
        return str(error)


def _found_by_skeleton_source(path: Path) -> str:
    """Return what a skeleton source finds in a file; empty if none does."""
    for source in _skeleton_sources().usable:
        try:
            if found := source.recognises(path):
                return f"{found} ({source})"
        except (MotionError, ComponentError):
            continue
    return ""


@cache
def _skeleton_sources() -> Importers:
    return Importers(Registry.scan(), kind="skeleton_source")


@cache
def _importers() -> Importers:
    return Importers(Registry.scan())
