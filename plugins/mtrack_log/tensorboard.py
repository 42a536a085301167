"""Metrics for TensorBoard, in the folder `tensorboard` of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mtrack.errors import MtrackError
from mtrack.fields import component, param, positive, scratch
from mtrack.metrics import Metrics
from mtrack_log.flat import flat


class Writer(Protocol):
    """What is used of torch's SummaryWriter, which is imported only when it is needed."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add a point."""
        ...

    def close(self) -> None:
        """Write everything and close."""
        ...


@component
class TensorBoard:
    """Every figure as a TensorBoard chart over frames; needs the extra `mtrack[tensorboard]`."""

    flush_s: float = param(default=30.0, validator=positive)
    """Longest time a figure waits in memory [s]."""

    directory: Path | None = scratch()
    writer: Writer | None = scratch()

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """See that TensorBoard is there. Raises MtrackError."""
        try:
            import torch.utils.tensorboard  # noqa: F401, PLC0415  a second of import time, for this logger's users only
        except ImportError as error:
            raise MtrackError(
                f"logger 'tensorboard' cannot be used: {error}\n  install it with: pip install \"mtrack[tensorboard]\""
            ) from error
        self.directory = directory / "tensorboard"

    def log(self, metrics: Metrics) -> None:
        """Add a point to each chart."""
        if self.writer is None:
            self.writer = self._open(metrics.frames)
        for name, value in flat(metrics).items():
            self.writer.add_scalar(name, value, metrics.frames)

    def finish(self, status: str) -> None:
        """Write everything and close."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _open(self, frames: int) -> Writer:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  as in start

        # purge_step hides what an earlier process wrote from here on: iterations that a resume does again
        return SummaryWriter(str(self.directory), purge_step=frames, flush_secs=round(self.flush_s))
