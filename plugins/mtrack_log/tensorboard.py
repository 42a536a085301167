"""Writes metrics for TensorBoard into the folder `tensorboard` of the run directory."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from mtrack import Metrics, MtrackError, component, param, positive, scratch
from mtrack.recipe.write import to_toml
from mtrack_log.event_file import EventFile
from mtrack_log.films import NewFilms
from mtrack_log.flat import flat


@component
class TensorBoard:
    """Draws every metric over frames, with a curve for each phase; shows the recipe as text, and films of the run.

    Needs the extra `mtrack[tensorboard]`. Each phase is a TensorBoard run in its own folder.
    """

    flush_s: float = param(default=30.0, validator=positive)
    """Longest time for which a point waits in memory [s]."""

    directory: Path | None = scratch()
    recipe: str = scratch()
    phase: str = scratch()
    """Phase of the writer."""
    frames: int = scratch()
    """Of the newest metrics."""
    films: NewFilms | None = scratch()
    writer: EventFile | None = scratch()

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Check that TensorBoard is installed. Raises MtrackError."""
        try:
            import tensorboard.summary.writer.record_writer  # noqa: F401, PLC0415  only users of this logger import it
        except ImportError as error:
            raise MtrackError(
                f"logger 'tensorboard' cannot be used: {error}\n  install it with: pip install \"mtrack[tensorboard]\""
            ) from error
        self.directory, self.frames = directory / "tensorboard", 0
        self.films = NewFilms(directory, ".gif")
        values = run.get("values")  # not recipe.toml, which contains paths of this machine
        self.recipe = to_toml(values) if isinstance(values, dict) else ""

    def log(self, metrics: Metrics) -> None:
        """Add a point to each curve."""
        is_repeated = metrics.frames <= self.frames  # after a rollback
        if self.writer is None or metrics.phase != self.phase or is_repeated:
            self.finish("")
            self.writer, self.phase = self._open(metrics), metrics.phase
        self.writer.add_scalars(flat(metrics), metrics.frames)
        self.frames = metrics.frames
        self._add_films()

    def finish(self, status: str) -> None:
        """Write the waiting points and close."""
        if self.writer is not None:
            self._add_films()
            self.writer.close()
            self.writer = None

    def _add_films(self) -> None:
        """Show films that have been made since the last call as animated pictures."""
        assert self.films is not None and self.writer is not None, "metrics were logged before start"
        for path in self.films.take():
            content = path.read_bytes()
            width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
            self.writer.add_picture("film", content, width, height, self.frames)

    def _open(self, metrics: Metrics) -> EventFile:
        assert self.directory is not None, "metrics were logged before start"
        # it hides later points: a run that was resumed or rolled back repeats these iterations
        writer = EventFile(self.directory / metrics.phase, metrics.frames, self.flush_s)
        recipe = textwrap.indent(self.recipe, "    ")  # as a code block of Markdown
        writer.add_text("recipe/text_summary", recipe, metrics.frames)
        return writer
