"""The metrics of `until` must be past their bounds in every iteration of the patience; a missing value is neutral."""

from __future__ import annotations

import math

import pytest

from mtrack.api.until import Until
from mtrack.loop.early_end import EarlyEnd

BOTH = Until(above={"a": 1.0}, below={"b": 2.0}, patience=30)


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({"a": 1.5, "b": 1.5}, True),
        ({"a": 1.0, "b": 1.5}, False),
        ({"a": 1.5, "b": 2.0}, False),
        ({"a": 1.5}, None),
        ({"a": 1.5, "b": math.nan}, None),
        ({"b": 3.0}, False),
        ({}, None),
        ({"a": math.inf, "b": -math.inf}, True),
    ],
)
def test_all_metrics_must_be_past_their_bounds(values, holds):
    assert BOTH.holds(values) is holds


def test_a_value_short_of_its_bound_starts_the_count_again_and_a_missing_one_keeps_it():
    early = EarlyEnd(BOTH)
    held = []
    for values in ({"a": 2, "b": 1}, {"a": 2}, {"a": 2, "b": 1}, {"a": 0}, {"a": 2, "b": 1}):
        early.count(values, 10)
        held.append(early.held_frames)
    assert held == [10, 10, 20, 0, 10]


def test_it_is_due_once_the_patience_is_complete():
    early = EarlyEnd(BOTH)
    due = []
    for _ in range(3):
        early.count({"a": 2, "b": 1}, 12)
        due.append(early.is_due)
    assert due == [False, False, True]


def test_a_count_continues_from_a_checkpoint_unless_the_bounds_have_changed():
    saved = EarlyEnd(BOTH, held_frames=20).state()
    patient = Until(above={"a": 1.0}, below={"b": 2.0}, patience=100)
    stricter = Until(above={"a": 1.1}, below={"b": 2.0}, patience=30)
    for until, held in ((BOTH, 20), (patient, 20), (stricter, 0)):
        early = EarlyEnd(until)
        early.restore(saved)
        assert early.held_frames == held


def test_without_an_until_that_is_enabled_there_is_no_early_end():
    assert EarlyEnd.of(None) is None
    assert EarlyEnd.of(Until(enabled=False)) is None
