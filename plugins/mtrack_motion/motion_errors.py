"""Process several motions even if some fail: continue with the others and raise all errors at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mtrack import Clip, MotionError

T = TypeVar("T")


class SeveralMotionsError(MotionError):
    """The errors of several motions, one line each."""

    def __init__(self, problems: Sequence[MotionError]) -> None:
        """Store the errors, at least one."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def read_each(motions: Iterable[T], read: Callable[[T], Clip]) -> Iterator[Clip]:
    """Yield the clip of each motion that can be read, then raise MotionError for the others."""
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
    """Raise MotionError if there are any errors."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SeveralMotionsError(problems)
