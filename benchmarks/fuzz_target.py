"""What the fuzzer needs to know about one kind of file."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

from mtrack import MtrackError


class Target:
    """One kind of file. `valid` is a folder for the examples."""

    name: ClassVar[str]
    explained: ClassVar[tuple[type[Exception], ...]] = (MtrackError,)

    def __init__(self, valid: Path) -> None:
        """Make the valid examples, and read them once, so that every case starts with warm caches."""
        valid.mkdir(parents=True)
        self.valid = valid
        self.prepare()

    def prepare(self) -> None:
        """Make the valid examples."""

    def write(self, case: Path, rng: random.Random) -> None:
        """Write a damaged example into an empty folder."""
        raise NotImplementedError

    def read(self, case: Path) -> None:
        """Read it as mtrack does. Raises one of `explained` if it is invalid."""
        raise NotImplementedError
