"""Sends metrics to Weights & Biases through a separate process, which can neither block nor end a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from mtrack import Metrics, MtrackError, component, one_of, param, positive, scratch
from mtrack_log.films import NewFilms
from mtrack_log.wandb_runs import fetch_run
from mtrack_log.wandb_sender import Sender, message, process_settings


@component
class WandB:
    """Logs to Weights & Biases, offline by default. Needs `mtrack[wandb]`, and an account only if online."""

    mode: str = param(default="offline", validator=one_of("offline", "online", "disabled"))
    """`offline` writes into the run directory, for `wandb sync`; `online` uploads at once; `disabled` does nothing."""
    project: str = param(default="mtrack")
    """Project of the run."""
    entity: str = param(default="")
    """Team or user; empty: the default of the account."""
    id: str = param(default="")
    """Identity of the run at wandb; empty: the run's own, so that a resumed run continues the same charts."""
    upload_checkpoints: bool = param(default=False)
    """Whether checkpoints are uploaded as artifacts, with recipe.toml and manifest.json; online only."""
    timeout_s: float = param(default=60.0, validator=positive)
    """Longest wait at the end of a run [s], and 3 s more if wandb hangs: up to a third of it for uploads."""
    capacity: int = param(default=1000, validator=positive)
    """Number of messages (iterations) that wait while wandb is slow; later ones are dropped and counted."""

    directory: Path | None = scratch()
    run: Mapping[str, object] = scratch()
    sender: Sender | None = scratch()
    films: NewFilms | None = scratch()
    frames: int = scratch()
    """Of the newest metrics."""

    def probe(self) -> None:
        """Check that wandb is installed. Raises MtrackError."""
        if self.mode != "disabled" and importlib.util.find_spec("wandb") is None:
            raise MtrackError("logger 'wandb' needs the package: pip install \"mtrack[wandb]\"")

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Remember the run; the process starts with the first metrics. Raises MtrackError if wandb is not installed."""
        self.probe()
        if self.mode != "disabled":
            self.directory, self.run = directory.resolve(), run
            self.films = NewFilms(self.directory, ".mp4")

    def log(self, metrics: Metrics) -> None:
        """Queue the metrics of an iteration, and films that have been made; never waits."""
        self._put(message(metrics))
        self.frames = metrics.frames
        self._put_films()

    def checkpoint_saved(self, path: Path) -> None:
        """Queue a checkpoint for upload; never waits."""
        if self.upload_checkpoints and self.mode == "online":
            self._put({"checkpoint": str(path.resolve()), "run_directory": str(self.directory)})

    @staticmethod
    def fetch_run(reference: str, cache: Path) -> Path:
        """Return the directory of an uploaded run, `ENTITY/PROJECT/RUN[:vN]`. Raises MtrackError."""
        return fetch_run(reference, cache)

    def _put_films(self) -> None:
        for path in self.films.take() if self.films else ():
            self._put({"film": str(path), "step": self.frames})

    def _put(self, message: Mapping[str, object]) -> None:
        """Queue a message; the first one starts the process, which connects while the run continues."""
        if self.directory is None:
            return
        if self.sender is None:
            settings = process_settings(self.directory, self.run, self.mode, self.project, self.entity)
            settings |= {"timeout_s": self.timeout_s / 3, **({"id": self.id} if self.id else {})}
            self.sender = Sender(settings, self.directory, self.capacity)
        self.sender.put(message)

    def finish(self, status: str) -> None:
        """Wait for the process, at most `timeout_s`."""
        if self.sender is not None:
            self._put_films()
            self.sender.close({"finish": status}, self.timeout_s)
        self.directory = self.sender = None
