"""Several motions, some of which fail: the others are dealt with all the same, and the failures reported at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mtrack.errors import MotionError
from mtrack.exchange import Clip

T = TypeVar("T")


class SeveralMotionsError(MotionError):
    """What is wrong with several motions, each in one line."""

    def __init__(self, problems: Sequence[MotionError]) -> None:
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
    raise_all(problems)


def raise_all(problems: Sequence[MotionError]) -> None:
    """Raise MotionError unless there are no problems."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SeveralMotionsError(problems)
