"""Keeping a rate: deadlines do not drift, late cycles count, lost periods are not made up for."""

from __future__ import annotations

import pytest

from mtrack_deploy.pace import Pace


class Clock:
    """A clock that only sleep and work move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock, clock.sleep)


def test_work_does_not_make_cycles_longer(clock: Clock, pace: Pace) -> None:
    for _ in range(100):
        pace.wait(0.01)
        clock.now += 0.004
    assert clock.now - 100.0 == pytest.approx(1.004)
    assert (pace.missed, pace.cycles) == (0, 100)
    assert str(pace).startswith("100.0 cycles/s, 0 of 100 late")


def test_a_late_cycle_counts_and_the_next_one_is_shorter(clock: Clock, pace: Pace) -> None:
    pace.wait(0.01)
    clock.now += 0.018
    pace.wait(0.01)
    assert pace.missed == 1
    assert pace.worst == pytest.approx(0.008)
    pace.wait(0.01)
    assert clock.now == pytest.approx(100.03)
    assert pace.missed == 1


def test_lost_periods_are_not_made_up_for(clock: Clock, pace: Pace) -> None:
    pace.wait(0.01)
    clock.now += 1.0
    pace.wait(0.01)
    before = clock.now
    pace.wait(0.01)
    assert clock.now - before == pytest.approx(0.01)
    assert pace.missed == 1
    assert pace.seconds == pytest.approx(1.02)


def test_a_break_does_not_count(clock: Clock, pace: Pace) -> None:
    pace.wait(0.01)
    clock.now += 5.0
    pace.restart()
    pace.wait(0.01)
    assert pace.missed == 0
    assert pace.seconds == pytest.approx(0.02)
