"""A hook that films the newest checkpoint of a running training, in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack import MtrackError, hookimpl
from mtrack.api.distributed import environment_of_one_process
from mtrack_log.films import FOLDER

EVERY = "MTRACK_VIDEO_EVERY"
"""Environment variable with the number of iterations between films."""
SECONDS = "MTRACK_VIDEO_SECONDS"
"""Environment variable with the longest simulated time of a film [s]; by default 10."""
_DEFAULT_S = 10.0  # it takes the CPUs about a minute
_PROGRAM = (sys.executable, "-P", "-m", "mtrack_play.film_process")
_LOG = "process.log"
_WAIT_S = 300.0  # for the last film when training has finished
_STOP_S = 10.0  # for the film process to keep what it has filmed when the run is stopped
_POLL_S = 0.1
_log = logging.getLogger("mtrack")


@attrs.define
class Video:
    """Films a checkpoint every MTRACK_VIDEO_EVERY iterations into RUN/films; without that variable, does nothing.

    Each film is made by a process with the lowest priority, one at a time, from the next checkpoint that is saved: the
    first clip, or the worst one of an evaluation, at most MTRACK_VIDEO_SECONDS of it, by default 10.
    Training does not wait for it, except for the last film at the end of the run, at most 5 minutes. It needs
    `mtrack[video]`.
    """

    _directory: Path = attrs.field(factory=Path, init=False)
    _every: int = attrs.field(default=0, init=False)
    """Iterations between films; 0 makes none."""
    _seconds: float = attrs.field(default=_DEFAULT_S, init=False)
    _files: list[str] = attrs.field(factory=list, init=False)
    """Local files of components that the run uses."""
    _last_phase: str = attrs.field(default="", init=False)
    _filmed: dict[str, int] = attrs.field(factory=dict, init=False)
    """The newest iteration that was filmed, by phase."""
    _process: subprocess.Popen[bytes] | None = attrs.field(default=None, init=False)
    _has_failed: bool = attrs.field(default=False, init=False)
    """Whether a failure has been reported."""

    @hookimpl
    def run_started(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        """Read the variables. Raises MtrackError if they are not numbers, or if ffmpeg is missing."""
        every = _positive(EVERY, 0.0)
        if not every:
            return
        self._seconds = _positive(SECONDS, _DEFAULT_S)
        from mtrack_view.video import find_ffmpeg  # noqa: PLC0415  slow to import

        find_ffmpeg()
        self._directory, self._every = directory, math.ceil(every)
        self._files = _local_files(manifest.get("local_files", {}))
        self._last_phase = list(manifest["values"]["phases"])[-1]
        for film in (directory / FOLDER).glob("*.mp4"):
            phase, iteration = _phase_and_iteration(film.stem)
            self._filmed[phase] = max(iteration, self._filmed.get(phase, 0))

    @hookimpl
    def checkpoint_saved(self, path: Path) -> None:
        """Start a film if one is due and no other one is being made."""
        if not self._every:
            return
        self._check()
        phase, iteration = _phase_and_iteration(path.name)
        if self._process is None and iteration - self._filmed.get(phase, 0) >= self._every:
            self._filmed[phase] = iteration
            self._process = self._start()

    @hookimpl
    def phase_ended(self, phase: str) -> None:
        """Wait for the last film of the run, so that loggers get it too."""
        if self._process is not None and phase == self._last_phase:
            _log.info("waiting for the last film in %s", self._directory.name + f"/{FOLDER}")
            self._end(_WAIT_S)

    @hookimpl
    def run_ended(self, status: str) -> None:
        """End a film that is being made when the run is stopped; what it has filmed is kept."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._end(_STOP_S)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the process; its output goes to a file, because the terminal shows the progress of the run."""
        folder = self._directory / FOLDER
        folder.mkdir(exist_ok=True)
        options = [f"--seconds={self._seconds}", *(part for file in self._files for part in ("-p", file))]
        # without EVERY, or the process would film as well; one thread for torch, and the GPU is for training
        changes = {EVERY: "", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        with (folder / _LOG).open("wb") as log:
            process = subprocess.Popen(
                [*_PROGRAM, str(self._directory), str(folder), *options],
                env={**environment_of_one_process(), **changes},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is for the run only
            )
        with contextlib.suppress(OSError):  # it may have ended
            os.setpriority(os.PRIO_PROCESS, process.pid, 19)  # SCHED_IDLE would starve beside another busy program
        return process

    def _end(self, seconds: float) -> None:
        """Wait for the process, at most so many seconds [s]; then, or at a second signal, kill it."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        try:
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)  # a second signal of the user raises here
        finally:
            is_late = self._process.poll() is None
            if is_late:
                self._process.kill()
                self._process.wait()
                for partial in (self._directory / FOLDER).glob(f".*-{7 * '[0-9]'}.*.part"):
                    partial.unlink(missing_ok=True)
        if is_late:
            self._process = None
            _log.warning("a film was not ready %.0f s after the end and was given up", seconds)
        self._check()

    def _check(self) -> None:
        """Forget a process that has ended; report the first one that has failed."""
        if self._process is None or self._process.poll() is None:
            return
        status, self._process = self._process.returncode, None
        if status not in (0, 128 + signal.SIGINT, -signal.SIGINT) and not self._has_failed:
            self._has_failed = True
            log = self._directory / FOLDER / _LOG
            lines = log.read_text("utf-8", errors="replace").split("\n")
            reason = next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}")
            _log.warning("no film was made, training continues: %s   (all of it: %s)", reason, log)


def _positive(variable: str, default: float) -> float:
    """Return the number in an environment variable. Raises MtrackError if it is not greater than 0."""
    text = os.environ.get(variable) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0.0 < value < math.inf or text == str(default)):
        raise MtrackError(f"{variable}={text}: expected a number greater than 0; correct or unset it")
    return value


def _phase_and_iteration(name: str) -> tuple[str, int]:
    """Return phase and iteration of the name of a checkpoint; ("", 0) for other names."""
    phase, _, number = name.rpartition("-")
    return (phase, int(number)) if number.isdecimal() else ("", 0)


def _local_files(names: Mapping[str, object]) -> list[str]:
    """Return the paths of the local files of components with these names, which this process has loaded."""
    loaded = [getattr(module, "__file__", None) for name, module in sys.modules.items() if name.startswith("local_")]
    return [file for file in loaded if file and Path(file).name in names]
