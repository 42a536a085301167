"""Values for plots: they continue over restarts, follow a return to an earlier moment, and stay small."""

from __future__ import annotations

import numpy as np
import pytest
from fake_session import FakeSession

from mtrack_play.term_history import PlottedTerm, TermTable

TERMS = (
    PlottedTerm("error", "mpkpe"),
    PlottedTerm("reward", "loco/term_20"),
    PlottedTerm("termination", "tracking_error"),
)


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def history(session: FakeSession) -> TermTable:
    return TermTable(session.actors, TERMS, session.dt)


def play(session: FakeSession, history: TermTable, steps: int) -> None:
    for _ in range(steps):
        session.step()
        history.follow(session.moments)


def test_curves_end_at_the_shown_moment(session: FakeSession, history: TermTable) -> None:
    play(session, history, 60)
    times, values, _ = history.curves(45, 0.2)
    assert times == pytest.approx(np.arange(-10, 1) * session.dt)
    moment = session.moments["student"][45]
    assert values[-1, 1] == pytest.approx([moment.errors["mpkpe"], moment.rewards["loco/term_20"], 1.0])


def test_curves_reach_back_over_the_start_of_the_clip(session: FakeSession, history: TermTable) -> None:
    play(session, history, 105)
    times, values, _ = history.curves(len(session.moments["teacher"]) - 1, 1.0)
    assert len(times) == 51
    assert not np.isnan(values).any()


def test_a_return_to_an_earlier_moment_replaces_what_followed(session: FakeSession, history: TermTable) -> None:
    play(session, history, 30)
    session.rewind(20)
    history.follow(session.moments)
    play(session, history, 5)
    times, _, _ = history.curves(len(session.moments["teacher"]) - 1, 10.0)
    assert len(times) == len(session.moments["teacher"])


def test_a_new_checkpoint_is_marked_where_it_begins(session: FakeSession, history: TermTable) -> None:
    play(session, history, 30)
    history.mark()
    play(session, history, 10)
    times, _, marks = history.curves(40, 10.0)
    assert times[marks == 1.0] == pytest.approx([-9 * session.dt])


def test_long_playing_keeps_a_bounded_table_and_few_points(session: FakeSession, history: TermTable) -> None:
    play(session, history, 6000)
    assert history._rows.nbytes < 2e6
    times, _, _ = history.curves(len(session.moments["teacher"]) - 1, 30.0)
    assert len(times) <= 201
