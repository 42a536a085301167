"""`mtrack run --open`: runs `mtrack play --follow` beside the training, as a child process."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mtrack.api.distributed import environment_of_one_process
from mtrack.api.hookspecs import hookimpl
from mtrack.cli.next_steps import has_command
from mtrack.errors import MtrackError
from mtrack.registry.registry import OWN, Registry

_PLAY = (sys.executable, "-m", OWN, "play")
_EXTRA = "view"
_PATIENCE_S = 2.0  # to end after SIGTERM
_log = logging.getLogger("mtrack")


def require_play(registry: Registry) -> None:
    """Raise MtrackError if `mtrack play`, or a package that it needs, is not installed."""
    if not has_command("play", registry):
        raise MtrackError("--open needs the command 'mtrack play', which is not installed; leave out --open")
    missing = sorted(_missing())
    if missing:
        install = f'python -m pip install "{OWN}[{_EXTRA}]"'
        raise MtrackError(f"--open needs {', '.join(missing)}: {install}, or leave out --open")


def _missing() -> Iterator[str]:
    """Yield the packages of the extra that are not installed."""
    for requirement in map(Requirement, metadata.requires(OWN) or ()):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": _EXTRA}):
            continue
        try:
            metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield requirement.name


class PlayWindow:
    """A hook that starts `mtrack play` once the run has a checkpoint; whatever it does, the run continues.

    Its output appears in the log of the run. It starts with Ctrl-C ignored, which stops the run; `close` ends it.
    """

    def __init__(self, options: Sequence[str] = (), play: Sequence[str] = _PLAY) -> None:
        """Take further options of the command, and the command itself."""
        self._play, self._options = tuple(play), tuple(options)
        self._directory: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._is_closing = False

    @hookimpl
    def run_started(self, directory: Path) -> None:
        """Note the run directory, and start if the run is continued. Raises OSError, like `checkpoint_saved`."""
        self._directory = directory
        if any((directory / "checkpoints").glob("[!.]*/")):
            self.checkpoint_saved()
        else:
            _log.info("mtrack play opens with the first checkpoint")

    @hookimpl
    def checkpoint_saved(self) -> None:
        """Start the command with the first checkpoint. Raises OSError; the run then continues without it."""
        if self._process is not None or self._directory is None:
            return
        command = [*self._play, str(self._directory), "--follow", "--open", *self._options]
        with _interrupts_ignored():  # which the child inherits: Ctrl-C reaches all processes of a terminal
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**environment_of_one_process(), "PYTHONUNBUFFERED": "1"},
            )
        threading.Thread(target=self._log_output, args=(self._process,), daemon=True).start()

    def wait(self) -> None:
        """Wait until the user closes the command with Ctrl-C, or until it ends by itself."""
        if self._process is None or self._process.poll() is not None:
            return
        _log.info("play stays open: press Ctrl-C to close it")
        before = signal.signal(signal.SIGTERM, _exit)
        try:
            with suppress(KeyboardInterrupt):
                self._process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)

    def close(self) -> None:
        """End the command if it still runs."""
        self._is_closing = True
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _log_output(self, process: subprocess.Popen[str]) -> None:
        """Log what the command writes: written directly, it would garble the live display of the run."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                _log.info("play: %s", line.rstrip())
        status = process.wait()
        if status and not self._is_closing:
            _log.warning("play has ended with exit status %d; the run continues without it", status)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _exit(number: int, _: object) -> None:
    sys.exit(128 + number)
