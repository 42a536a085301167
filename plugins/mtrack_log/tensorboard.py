"""Writes metrics for TensorBoard into the folder `tensorboard` of the run directory."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mtrack import Metrics, MtrackError, component, param, positive, scratch
from mtrack.recipe.write import to_toml
from mtrack_log.films import NewFilms
from mtrack_log.flat import flat


class Writer(Protocol):
    """The methods of torch's SummaryWriter that are used; torch's is imported only when it is needed."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add a point."""
        ...

    def add_text(self, tag: str, text_string: str, global_step: int) -> None:
        """Add a text, which TensorBoard renders as Markdown."""
        ...

    def _get_file_writer(self) -> Any:
        """Return what writes summaries, also those that torch itself cannot make, such as animated pictures."""
        ...

    def close(self) -> None:
        """Write everything and close."""
        ...


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
    writer: Writer | None = scratch()

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Check that TensorBoard is installed. Raises MtrackError."""
        try:
            import torch.utils.tensorboard  # noqa: F401, PLC0415  takes a second, so only users of this logger import it
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
        for name, value in flat(metrics).items():
            self.writer.add_scalar(name, value, metrics.frames)
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
            from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415  as in start

            content = path.read_bytes()
            width, height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
            image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
            summary = Summary(value=[Summary.Value(tag="film", image=image)])
            self.writer._get_file_writer().add_summary(summary, self.frames)

    def _open(self, metrics: Metrics) -> Writer:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  as in start

        assert self.directory is not None, "metrics were logged before start"
        # purge_step hides later points: a run that was resumed or rolled back repeats these iterations
        folder, flush = str(self.directory / metrics.phase), round(self.flush_s)
        writer: Writer = SummaryWriter(folder, purge_step=metrics.frames, flush_secs=flush)
        writer.add_text("recipe", textwrap.indent(self.recipe, "    "), metrics.frames)  # as a code block of Markdown
        return writer
