"""The stopwatch gives every moment to one part, and leaves what it listened to as it was."""

from __future__ import annotations

import time

import pytest

from mtrack_bench.stopwatch import Part, Stopwatch


class Clock:
    """A time that passes only when told to."""

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


def test_time_within_another_part_counts_for_that_alone(clock: Clock) -> None:
    outer = Outer(clock)
    with Stopwatch([Part(Outer, "work_all", "outer"), Part(Inner, "work", "inner")]) as watch:
        assert outer.work_all() == ["done", "done"]
    assert watch.seconds == {"outer": 1.0, "inner": 4.0}


def test_a_call_that_raises_is_timed_and_raises(clock: Clock) -> None:
    with Stopwatch([Part(Outer, "fail", "failed")]) as watch, pytest.raises(ValueError):
        Outer(clock).fail()
    assert watch.seconds == {"failed": 3.0}


def test_the_object_can_say_which_part_it_is(clock: Clock) -> None:
    with Stopwatch([Part(Inner, "work", lambda of: type(of).__name__)]) as watch:
        Inner(clock).work()
        Outer(clock).work()
    assert watch.seconds == {"Inner": 2.0, "Outer": 2.0}


def test_afterwards_everything_is_as_it_was(clock: Clock) -> None:
    before = dict(vars(Outer)), dict(vars(Inner))
    with Stopwatch([Part(Outer, "work", "inherited"), Part(Outer, "fail", "own")]):
        assert vars(Outer) != before[0]
    assert (dict(vars(Outer)), dict(vars(Inner))) == before


def test_what_a_device_has_yet_to_do_falls_where_it_belongs(clock: Clock) -> None:
    def finish() -> None:
        clock.now += 10.0

    with Stopwatch([Part(Inner, "work", "part")], finish) as watch:
        Inner(clock).work()
    assert watch.seconds == {"part": 12.0}
