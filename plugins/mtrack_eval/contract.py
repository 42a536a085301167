"""What a metric may offer besides its kind's calls, and what a command must, for clips to be scored one by one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Judges(Protocol):
    """A metric that says which rows have failed.

    It sees every frame until the end of the clip or a simulation that broke. All other metrics see a row only until the
    first frame in which one judge finds it failed; that frame does not count.
    """

    failed: Tensor
    """bool [N], so far; the evaluation marks rows in it whose simulation broke."""


@runtime_checkable
class TakesLengths(Protocol):
    """A metric that wants to know how long the rollouts are."""

    def set_lengths(self, lengths: Tensor) -> None:
        """Take the number of frames that can be counted of each row, [N]; called before `begin`."""


@runtime_checkable
class HasUnit(Protocol):
    """A metric that says in which unit its values are; `share` is shown in percent."""

    unit: str


class Clips(Protocol):
    """The clips of a command: names, and int64 [C] lengths [frames]."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each clip."""

    @property
    def length(self) -> Tensor:
        """Frames of each clip, the first included."""


class PlaysClips(Protocol):
    """A command that can be told which row plays which clip."""

    library: Clips

    def pin(self, clips: Tensor) -> None:
        """From now on start row i at frame 0 of `clips[i]`, int64 [N], at every reset."""
