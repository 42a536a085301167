"""Several motions of one file, some of which cannot be read: the others are read all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mtrack.errors import MotionError
from mtrack.exchange import Clip

T = TypeVar("T")


class SeveralMotionsError(MotionError):
    """What is wrong with several motions of one file, each in one line."""

    def __init__(self, problems: list[MotionError]) -> None:
        """Take the problems, at least one."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def read_each(motions: Iterable[T], read: Callable[[T], Clip]) -> Iterator[Clip]:
    """Yield the clip of each motion that can be read, and raise MotionError for the others at the end."""
    problems: list[MotionError] = []
    for motion in motions:
        try:
            clip = read(motion)
        except MotionError as error:
            problems.append(error)
        else:
            yield clip
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SeveralMotionsError(problems)
