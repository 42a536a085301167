"""Collects what a skeleton source logs about a file: assumptions that the user must see, wherever the file is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class SourceLog(logging.Handler):
    """Keeps messages of level INFO and above."""

    def __init__(self) -> None:
        """Start without messages."""
        super().__init__(logging.INFO)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        self._lines.append(" ".join(record.getMessage().split()))

    def lines(self, path: str) -> tuple[str, ...]:
        """Return the messages, each once, without the path of the file at their beginning."""
        return tuple(dict.fromkeys(line.removeprefix(f"{path}: ") for line in self._lines))


@contextmanager
def collected_log() -> Iterator[SourceLog]:
    """Collect what is logged in this process instead of printing it."""
    root, collector = logging.getLogger(), SourceLog()
    level, handlers = root.level, root.handlers[:]
    root.handlers[:] = [collector]
    root.setLevel(logging.INFO)
    try:
        yield collector
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
