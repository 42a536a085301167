"""The console logger: a live display on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import rich.console
from rich.live import Live

from mtrack import Metrics, component, non_negative, param, scratch
from mtrack_log.display import Display
from mtrack_log.text import count, duration, from_here, plain_line

_REFRESH_S = 0.25


@component
class Console:
    """Shows phase, progress, frames/s, ETA, reward terms, episode length and tracking errors on stderr."""

    every_s: float = param(default=10.0, validator=non_negative)
    """Time between two lines if stderr is not a terminal [s]; 0 writes a line for each iteration."""

    directory: Path = scratch()
    screen: Screen | None = scratch()
    last: Metrics | None = scratch()
    started: float = scratch()
    shown: float = scratch()

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Remember the start time; the display opens with the first iteration."""
        self.directory = from_here(directory)
        self.started = time.monotonic()
        self.last = None

    def log(self, metrics: Metrics) -> None:
        """Show an iteration, unless the previous one was shown a moment ago."""
        previous, self.last = self.last, metrics
        now = time.monotonic()
        is_at_border = previous is None or previous.phase != metrics.phase or metrics.is_last
        if previous is None:
            self.screen = self._open(metrics)
        elif is_at_border or now - self.shown >= (_REFRESH_S if self.screen else self.every_s):
            self._show(metrics)
        else:
            return
        self.shown = now

    def finish(self, status: str) -> None:
        """Keep the last metrics on the screen and write how the run ended."""
        if self.screen and self.last:
            self.screen.show(self.last)
            self.screen.close()
            self.screen = None
        frames = f" and {count(self.last.frames)} frames" if self.last else ""
        _write(f"{status} after {duration(time.monotonic() - self.started)}{frames}")

    def _open(self, metrics: Metrics) -> Screen | None:
        console = rich.console.Console(stderr=True)
        # not console.is_terminal: FORCE_COLOR makes that true of a pipe, which a live display would garble
        if sys.stderr.isatty() and not console.is_dumb_terminal:
            return Screen(console, Display(self.directory, metrics))
        _write(plain_line(metrics))
        return None

    def _show(self, metrics: Metrics) -> None:
        if self.screen:
            self.screen.show(metrics)
        else:
            _write(plain_line(metrics))


class Screen:
    """A live display that other output to stderr (and stdout, on a terminal) scrolls past."""

    def __init__(self, console: rich.console.Console, display: Display) -> None:
        """Draw the display and send log records through it."""
        self._console = console
        self._display = display
        self._open()

    def show(self, metrics: Metrics) -> None:
        """Draw the metrics of an iteration."""
        self._display.metrics = metrics
        if self._console.size != self._size:  # the terminal has re-wrapped the old lines, so their count is wrong
            self.close()
            self._console.clear()
            self._open()
        self._live.refresh()

    def close(self) -> None:
        """Keep the last lines on the screen and release the terminal."""
        drawn = sys.stderr
        self._live.stop()
        _move_log_handlers(drawn, sys.stderr)

    def _open(self) -> None:
        self._size = self._console.size
        # refreshed by `show` only, so that no thread takes time from training
        self._live = Live(
            self._display,
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=sys.stdout.isatty(),
        )
        plain = sys.stderr
        self._live.start(refresh=True)
        _move_log_handlers(plain, sys.stderr)


def _move_log_handlers(old: TextIO, new: TextIO) -> None:
    """Redirect handlers of stderr so that they write above the display; otherwise they would garble it."""
    loggers = [logging.getLogger(), *(item for item in logging.Logger.manager.loggerDict.values())]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)


def _write(line: str) -> None:
    """Write a line; one that cannot be written, e.g. because the disk of a log file is full, is left out."""
    with suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
