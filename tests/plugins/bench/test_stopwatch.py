"""The stopwatch counts all time for exactly one part, and restores the functions that it wraps."""

from __future__ import annotations

import time

import pytest

from mtrack_bench.stopwatch import Stopwatch, TimedFunction


class Clock:
    """A clock that advances only on request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Inner:
    """Takes two seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def work(self) -> str:
        """Work, and return something."""
        self.clock.now += 2.0
        return "done"


class Outer(Inner):
    """Takes one second, and the inner's time twice."""

    def work_all(self) -> list[str]:
        """Work before, between and after."""
        self.clock.now += 1.0
        return [self.work(), self.work()]

    def fail(self) -> None:
        """Take three seconds and raise."""
        self.clock.now += 3.0
        raise ValueError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock the stopwatch reads."""
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def test_time_within_another_part_counts_for_that_part_only(clock: Clock) -> None:
    outer = Outer(clock)
    with Stopwatch([TimedFunction(Outer, "work_all", "outer"), TimedFunction(Inner, "work", "inner")]) as watch:
        assert outer.work_all() == ["done", "done"]
    assert watch.seconds == {"outer": 1.0, "inner": 4.0}


def test_a_call_that_raises_is_timed_and_raises(clock: Clock) -> None:
    with Stopwatch([TimedFunction(Outer, "fail", "failed")]) as watch, pytest.raises(ValueError):
        Outer(clock).fail()
    assert watch.seconds == {"failed": 3.0}


def test_the_object_can_name_its_part(clock: Clock) -> None:
    with Stopwatch([TimedFunction(Inner, "work", lambda of: type(of).__name__)]) as watch:
        Inner(clock).work()
        Outer(clock).work()
    assert watch.seconds == {"Inner": 2.0, "Outer": 2.0}


def test_functions_are_restored_afterwards(clock: Clock) -> None:
    before = dict(vars(Outer)), dict(vars(Inner))
    with Stopwatch([TimedFunction(Outer, "work", "inherited"), TimedFunction(Outer, "fail", "own")]):
        assert vars(Outer) != before[0]
    assert (dict(vars(Outer)), dict(vars(Inner))) == before


def test_time_of_a_device_counts_for_the_right_part(clock: Clock) -> None:
    def finish() -> None:
        clock.now += 10.0

    with Stopwatch([TimedFunction(Inner, "work", "part")], finish) as watch:
        Inner(clock).work()
    assert watch.seconds == {"part": 12.0}
