"""What a check of a robot found, and how to fix it."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Finding:
    """One finding about a robot."""

    status: Literal["ok", "note", "problem"]
    """note: doubtful, but it can be right."""
    key: str
    """Key of robot.toml that it is about, e.g. `joints.left_knee`; may be empty."""
    message: str
    remedy: str = ""
    file: str = ""
    line: int | None = None

    def describe(self) -> str:
        """Return file, line, key and message."""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{f'{self.key}: ' if self.key else ''}{self.message}"
