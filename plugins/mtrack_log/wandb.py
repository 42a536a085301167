"""Metrics for Weights & Biases, through a process of its own that can neither block nor end a run."""

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
from mtrack_log.flat import flat

_log = logging.getLogger(__name__)


@component
class WandB:
    """Weights & Biases, offline unless told otherwise; needs `mtrack[wandb]`, and an account only when online."""

    mode: str = param(default="offline", validator=one_of("offline", "online", "disabled"))
    """`offline` writes below the run directory, for `wandb sync`; `online` sends at once; `disabled` does nothing."""
    project: str = param(default="mtrack")
    """Project the run is filed under."""
    entity: str = param(default="")
    """Team or user; empty is the default one of the account."""
    id: str = param(default="")
    """Identity of the run at wandb; empty is the run's own, so that a resumed run goes on in the same charts."""
    upload_checkpoints: bool = param(default=False)
    """Whether checkpoints are uploaded as artifacts; online only."""
    timeout_s: float = param(default=60.0, validator=positive)
    """Longest wait at the end of a run [s]; the server gets a third of it to answer, and a third to take the rest."""
    capacity: int = param(default=1000, validator=positive)
    """Iterations kept while wandb is slow; later ones are left out of it, and counted."""

    directory: Path | None = scratch()
    run: Mapping[str, object] = scratch()
    sender: Sender | None = scratch()

    def probe(self) -> None:
        """Check that wandb is installed. Raises MtrackError."""
        if self.mode != "disabled" and importlib.util.find_spec("wandb") is None:
            raise MtrackError("logger 'wandb' needs the package: pip install \"mtrack[wandb]\"")

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Note the run; the process starts with the first metrics. Raises MtrackError if wandb is not installed."""
        self.probe()
        if self.mode != "disabled":
            self.directory, self.run = directory.resolve(), run

    def log(self, metrics: Metrics) -> None:
        """Hand over the metrics of an iteration; never waits."""
        named = {f"{metrics.phase}/{name}": value for name, value in flat(metrics).items()}  # a section for each phase
        self._put({"log": named, "step": metrics.frames})

    def checkpoint_saved(self, path: Path) -> None:
        """Hand over a checkpoint to upload; never waits."""
        if self.upload_checkpoints and self.mode == "online":
            self._put({"checkpoint": str(path.resolve())})

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
                # the manifest has no path of this machine, the run's recipe.toml has
                "config": {"recipe": self.run.get("values", {}), "versions": self.run.get("distributions", {})},
            }
            self.sender = Sender(settings, self.directory / "wandb", self.capacity)
        self.sender.put(message)

    def finish(self, status: str) -> None:
        """Wait for the process, but no longer than `timeout_s`."""
        if self.sender is not None:
            self.sender.close({"finish": status}, self.timeout_s)
        self.directory = self.sender = None


class Sender:
    """The process, a bounded queue before it, and a thread that carries from one to the other."""

    def __init__(self, settings: Mapping[str, object], folder: Path, capacity: int) -> None:
        """Start the process; what wandb itself says goes to `folder`/process.log."""
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._queue: queue.Queue[Mapping[str, object]] = queue.Queue(maxsize=capacity)
        self._chatter = folder / "process.log"
        with self._chatter.open("ab") as chatter:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mtrack_log.wandb_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=chatter,
                start_new_session=True,  # Ctrl-C is for the run; and the group can be ended as one
            )
        self._is_open, self._is_killed = True, False
        self._queue.put_nowait(settings)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._listen)]
        for thread in self._threads:
            thread.start()

    def put(self, message: Mapping[str, object]) -> None:
        """Queue a message, or count it as dropped."""
        try:
            if not self._is_open:
                raise queue.Full
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def close(self, last: Mapping[str, object], timeout_s: float) -> None:
        """Send a last message and wait for the process; end it if all this takes longer."""
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put(last, timeout=timeout_s if self._is_open else 0)
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("wandb had not finished after %g s and was ended; `wandb sync` uploads the rest", timeout_s)
            self._kill()
        for thread in self._threads:
            thread.join(1.0)
        if self.dropped:
            _log.warning("wandb lacks %d messages that it did not take in time", self.dropped)

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while self._is_open:
                message = self._queue.get()
                pipe.write(json.dumps(message, default=str).encode() + b"\n")
                pipe.flush()
                self._is_open = "finish" not in message
            pipe.close()
        except OSError:  # the process is gone; `_listen` has said why
            self._is_open = False

    def _listen(self) -> None:
        reports = self._process.stdout
        assert reports is not None
        with reports:
            for line in reports:
                _log.warning("wandb: %s", line.decode(errors="replace").rstrip())
        if self._process.wait() != 0 and not self._is_killed:
            _log.warning("wandb's process failed and the run goes on without it; see %s", self._chatter)

    def _kill(self) -> None:
        self._is_killed = True
        if hasattr(os, "killpg"):
            os.killpg(self._process.pid, signal.SIGKILL)  # with wandb's own service, which it started
        else:
            self._process.kill()
        self._process.wait()
