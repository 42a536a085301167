"""Values of the terms over the played time, for plots: those of the present episode and of some time before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from mtrack_play.moment import Array, Moment

_POINTS = 200  # of a curve: a narrow plot shows no more, and they are sent four times a second
_KEPT_S = 30.0  # of earlier episodes


@attrs.frozen
class PlottedTerm:
    """Something that has one value per control step of an actor."""

    kind: str
    """`reward`, `error` or `termination`."""
    name: str
    note: str = ""
    """Weight or unit."""

    def value(self, moment: Moment) -> float:
        """Return its value in a moment; NaN if it has none, as before the first step."""
        if self.kind == "termination":
            return float(self.name in moment.terminations)
        values = moment.rewards if self.kind == "reward" else moment.errors
        return values.get(self.name, np.nan) if moment.time > 0.0 else np.nan


class TermTable:
    """A table with a row per moment, and a column per actor and term."""

    def __init__(self, actors: Sequence[str], terms: Sequence[PlottedTerm], dt: float) -> None:
        """Start without rows; `dt` is the duration of a control step [s]."""
        self.actors, self.terms, self._dt = tuple(actors), tuple(terms), dt
        self._rows = np.empty((256, len(self.actors), len(self.terms)))
        self._earlier = 0
        """Rows of earlier episodes."""
        self._moments: list[Moment] = []
        """Those of the episode, of the first actor: one row each."""
        self._marks: list[int] = []

    def follow(self, moments: Mapping[str, Sequence[Moment]]) -> None:
        """Take over what has changed in the moments of the episode since the last call."""
        first = moments[self.actors[0]]
        known = self._moments
        if len(known) > len(first) or (known and known[-1] is not first[len(known) - 1]):
            pairs = enumerate(zip(known, first, strict=False))
            common = next((index for index, (old, new) in pairs if old is not new), min(len(known), len(first)))
            if common == 0:
                self._begin()
            del self._moments[common:]
        for index in range(len(self._moments), len(first)):
            self._append([moments[actor][index] for actor in self.actors])
            self._moments.append(first[index])

    def mark(self) -> None:
        """Mark the next row: another checkpoint plays from there on."""
        self._marks.append(self._earlier + len(self._moments))

    def values(self, index: int) -> Array:
        """Return the values of moment `index` of the episode, [actors, terms]."""
        row: Array = self._rows[self._earlier + index]
        return row

    def curves(self, index: int, seconds: float) -> tuple[Array, Array, Array]:
        """Return the last seconds before moment `index` of the episode.

        These are times [P], at most 0 s; values [P, actors, terms]; and marks [P], 0 or 1.
        """
        end = self._earlier + index + 1
        first = max(0, end - round(seconds / self._dt) - 1)
        stride = -(-(end - first) // _POINTS)
        rows = np.arange(first + -first % stride, end, stride)  # always the same ones, so that curves do not flicker
        if rows[-1] != end - 1:
            rows = np.append(rows, end - 1)
        marks = np.zeros(len(rows))
        marks[[int(np.searchsorted(rows, mark)) for mark in self._marks if first <= mark < end]] = 1.0
        times: Array = (rows - (end - 1)).astype(np.float64) * self._dt
        return times, self._rows[rows], marks

    def _begin(self) -> None:
        """Begin another episode, and forget old ones."""
        length = self._earlier + len(self._moments)
        kept = min(length, round(_KEPT_S / self._dt))
        self._rows[:kept] = self._rows[length - kept : length].copy()
        self._marks = [mark - (length - kept) for mark in self._marks if mark >= length - kept]
        self._earlier = kept

    def _append(self, moments: Sequence[Moment]) -> None:
        row = self._earlier + len(self._moments)
        if row == len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        for column, moment in enumerate(moments):
            self._rows[row, column] = [term.value(moment) for term in self.terms]
        if len(self._moments) == 1:  # the start has no values of its own, and curves must have no gaps
            self._rows[row - 1] = self._rows[row]
