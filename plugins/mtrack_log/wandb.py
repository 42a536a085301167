"""Sends metrics to Weights & Biases through a separate process, which can neither block nor end a run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from mtrack import Metrics, MtrackError, component, one_of, param, positive, scratch
from mtrack_log.films import NewFilms
from mtrack_log.flat import flat
from mtrack_log.wandb_runs import fetch_run

_log = logging.getLogger(__name__)


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
    """Longest wait at the end of a run [s]: up to a third for an answer of the server, a third for uploads."""
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
        named = {f"{metrics.phase}/{name}": value for name, value in flat(metrics).items()}  # a section for each phase
        self._put({"log": named, "step": metrics.frames})
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
            settings = {
                "mode": self.mode,
                "directory": str(self.directory),
                "project": self.project,
                "entity": self.entity,
                "id": self.id or str(self.run.get("run_id") or self.directory.name),
                "name": self.directory.name,
                "timeout_s": self.timeout_s / 3,
                # from the manifest, because recipe.toml contains paths of this machine
                "config": {"recipe": self.run.get("values", {}), "versions": self.run.get("distributions", {})},
            }
            self.sender = Sender(settings, self.directory / "wandb", self.capacity)
        self.sender.put(message)

    def finish(self, status: str) -> None:
        """Wait for the process, at most `timeout_s`."""
        if self.sender is not None:
            self._put_films()
            self.sender.close({"finish": status}, self.timeout_s)
        self.directory = self.sender = None


class Sender:
    """The process, a bounded queue of messages for it, and threads that feed it and log its reports."""

    def __init__(self, settings: Mapping[str, object], folder: Path, capacity: int) -> None:
        """Start the process; the output of wandb itself goes to `folder`/process.log."""
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._queue: queue.Queue[Mapping[str, object]] = queue.Queue(maxsize=capacity)
        self._log_file = folder / "process.log"
        with self._log_file.open("ab") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mtrack_log.wandb_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C is for the run only, and the group can be killed as a whole
            )
        self._is_open, self._is_killed = True, False
        self._queue.put_nowait(settings)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._listen)]
        for thread in self._threads:
            thread.start()

    def put(self, message: Mapping[str, object]) -> None:
        """Queue a message; drop and count it if the queue is full."""
        try:
            if not self._is_open:
                raise queue.Full
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def close(self, last: Mapping[str, object], timeout_s: float) -> None:
        """Send a last message and wait for the process; kill it after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put(last, timeout=timeout_s if self._is_open else 0)
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("wandb did not finish within %g s and was killed; `wandb sync` uploads the rest", timeout_s)
            self._kill()
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(last)  # `_feed` may wait for a message, and then finds the pipe broken
        for thread in self._threads:
            thread.join(1.0)
        if self.dropped:
            _log.warning("wandb was too slow: %d messages were dropped", self.dropped)

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while self._is_open:
                message = self._queue.get()
                pipe.write(json.dumps(message, default=str).encode() + b"\n")
                pipe.flush()
                self._is_open = "finish" not in message
        except OSError:  # the process has ended; `_listen` reports why
            self._is_open = False
        with contextlib.suppress(OSError):  # what is left in its buffer cannot be written
            pipe.close()

    def _listen(self) -> None:
        reports = self._process.stdout
        assert reports is not None
        with reports:
            for line in reports:
                _log.warning("wandb: %s", line.decode(errors="replace").rstrip())
        if self._process.wait() != 0 and not self._is_killed:
            _log.warning("the wandb process failed; the run continues without it, see %s", self._log_file)

    def _kill(self) -> None:
        self._is_killed = True
        if hasattr(os, "killpg"):
            os.killpg(self._process.pid, signal.SIGKILL)  # including wandb's own service, which it started
        else:
            self._process.kill()
        self._process.wait()
