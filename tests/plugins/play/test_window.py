"""The play window, through viser's protocol: what its buttons do, and what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_session import REWARDS, FakeSession
from playing import Playing, playing
from support.bare_browser import BareBrowser

from mtrack import CheckpointError
from mtrack_play import player as player_module
from mtrack_play.evaluation_results import Results


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Playing]:
    with playing(tmp_path, FakeSession()) as window:
        yield window
        assert not window.errors or "component" in str(window.errors)


@pytest.fixture
def browser(shown: Playing) -> Iterator[BareBrowser]:
    with BareBrowser(shown.port) as browser:
        browser.wait(lambda: "of 1.98 s" in browser.texts())
        yield browser


def frame(browser: BareBrowser) -> int:
    return int(browser.find("frame")["value"])


def test_play_and_pause(shown: Playing, browser: BareBrowser) -> None:
    browser.press("Play")
    browser.wait(lambda: frame(browser) > 5)
    browser.press("Pause")
    browser.find("Play")
    stopped = shown.session.frame
    time.sleep(0.1)
    assert shown.session.frame == stopped


def test_the_robot_is_drawn_where_each_step_leaves_it(browser: BareBrowser) -> None:
    poses = dict(browser.poses)
    browser.set("step", "forward ▶")
    browser.wait(lambda: frame(browser) == 1 and browser.poses != poses)


def test_a_step_back_shows_the_recorded_moment_and_playing_continues_from_there(
    shown: Playing, browser: BareBrowser
) -> None:
    for count in range(1, 9):
        browser.set("step", "forward ▶")
        browser.wait(lambda count=count: frame(browser) == count)
    for count in (7, 6):
        browser.set("step", "◀ back")
        browser.wait(lambda count=count: frame(browser) == count)
    assert shown.session.frame == 8, "nothing is simulated to go back"
    kept = shown.session.moments["teacher"][6]
    browser.press("Play")
    browser.wait(lambda: shown.session.frame > 12)
    assert ("rewind", 6) in shown.session.calls
    assert shown.session.moments["teacher"][6].robot == pytest.approx(kept.robot), "it is simulated up to that moment"


def test_the_scrubber_shows_a_played_frame_and_restarts_the_clip_at_a_later_one(
    shown: Playing, browser: BareBrowser
) -> None:
    for _ in range(5):
        browser.set("step", "forward ▶")
    browser.wait(lambda: frame(browser) == 5)
    browser.set("frame", 2)
    browser.wait(lambda: shown.player.index == 2)
    assert shown.session.calls == []
    browser.set("frame", 60)
    browser.wait(lambda: shown.session.calls == [("restart", None, 60)])
    browser.wait(lambda: "1.20 of 1.98 s" in browser.texts())
    assert not shown.player.is_playing


def test_the_clip_repeats_or_stops_at_its_end(shown: Playing, browser: BareBrowser) -> None:
    browser.set("speed", "4x")
    browser.set("frame", 95)
    browser.press("Play")
    browser.wait(lambda: 0 < frame(browser) < 90)
    browser.set("repeat", False)
    browser.set("frame", 95)
    browser.wait(lambda: not shown.player.is_playing)
    browser.press("Play")
    browser.wait(lambda: "1.98 of 1.98 s" in browser.texts() and not shown.player.is_playing)


def test_speed_is_the_ratio_of_simulated_to_real_time(shown: Playing, browser: BareBrowser) -> None:
    browser.set("speed", "0.1x")
    browser.press("Play")
    time.sleep(0.5)
    assert shown.session.frame <= 4


def test_clips_are_listed_worst_first_and_chosen(shown: Playing, browser: BareBrowser) -> None:
    options = browser.find("clip")["props"]["options"]
    assert list(options) == ["turn · 50% · 90 mm", "walk · 50% · 80 mm", "stand · 100% · 6 mm"]
    browser.set("clip", options[0])
    browser.wait(lambda: shown.session.clip == 2)
    browser.wait(lambda: "<b>turn</b>" in browser.texts())


def test_many_clips_are_searched_and_keep_their_order_without_an_evaluation(tmp_path: Path) -> None:
    session = FakeSession(clips=tuple(f"clip {number:02d}" for number in range(30)))
    with playing(tmp_path, session, results=Results()) as shown, BareBrowser(shown.port) as browser:
        assert len(browser.find("clip")["props"]["options"]) == 30
        assert "mtrack eval" in browser.texts()
        browser.set("find a clip", "2")
        listed = browser.wait(lambda: len(options := browser.find("clip")["props"]["options"]) < 30 and options)
        assert list(listed[:3]) == ["clip 00", "clip 02", "clip 12"], "what plays stays in the list"


def test_every_term_has_a_plot_with_its_present_value(browser: BareBrowser) -> None:
    for _ in range(3):
        browser.set("step", "forward ▶")
    browser.wait(lambda: len(browser.plots()) == len(REWARDS) + 4)
    text = browser.texts()
    assert all(name in text for name in (*REWARDS, "mpkpe", "root_rot_error", "fall_over", "tracking_error"))
    browser.wait(lambda: all(len(plot["data"][0]) == 4 for plot in browser.plots()))
    assert all(len(plot["data"]) == 4 for plot in browser.plots()), "time, teacher, student, and marks"


def test_terms_are_found_by_name_and_kind(browser: BareBrowser) -> None:
    browser.set("find a term", "loco 3")
    browser.wait(lambda: len(browser.plots()) == 11)
    browser.wait(lambda: "11 of 44 terms" in browser.texts())  # it is sent after the plots
    browser.set("find a term", "")
    browser.set("show", "errors")
    browser.wait(lambda: len(browser.plots()) == 2)


def test_pushes_have_the_stated_size_and_direction(shown: Playing, browser: BareBrowser) -> None:
    browser.set("left", "25 N s")
    browser.set("body", "pelvis")
    browser.set("back", "50 N s")
    browser.wait(lambda: len(shown.session.calls) == 2)
    pushes = [("push", (0.0, 25.0, 0.0), "torso_link"), ("push", (-50.0, 0.0, 0.0), "pelvis")]
    assert shown.session.calls == pushes


def test_a_term_of_the_terminations_that_would_end_the_episode_is_named(browser: BareBrowser) -> None:
    browser.set("frame", 45)
    browser.wait(lambda: "teacher: would end here: tracking_error" in browser.texts())


def test_randomizations_are_switched_and_drawn_again(shown: Playing, browser: BareBrowser) -> None:
    assert browser.find("motor gains")["value"] is True
    browser.set("body mass", True)
    browser.press("Draw again")
    browser.wait(lambda: shown.session.calls == [("sampled", "body_mass", True), ("draw again",)])


def test_a_state_is_copied_with_the_commands_that_read_it(shown: Playing, browser: BareBrowser) -> None:
    browser.set("step", "forward ▶")
    browser.set("step", "forward ▶")
    browser.set("step", "◀ back")
    browser.press("Copy state")
    browser.wait(lambda: "--state run/states/walk-00012.safetensors" in browser.texts())
    assert "mtrack doctor --replay run/states/walk-00012.safetensors" in browser.texts()
    assert ("save", 1) in shown.session.calls, "the moment that is shown, not the newest"


def test_a_newer_checkpoint_is_loaded_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "FOLLOW_S", 0.1)
    session = FakeSession()
    damaged = CheckpointError("train-0000200 is damaged; still playing train-0000100")
    session.newer = [damaged, None, None, None, "train-0000300"]
    with playing(tmp_path, session, follow=True) as shown, BareBrowser(shown.port) as browser:
        browser.press("Play")
        browser.wait(lambda: "train-0000200 is damaged" in browser.texts())
        browser.wait(lambda: "train-0000300 at " in browser.texts())
        assert "damaged" not in browser.texts()
        assert [line for line in shown.said if "damaged" in line] == [str(damaged)]
        browser.wait(lambda: any(plot["data"][-1].any() for plot in browser.plots()))


class NextPhaseSession(FakeSession):
    """A session whose next checkpoint is of another phase, with another actor and other terminations."""

    def load_newest(self) -> str | None:
        newest = super().load_newest()
        if newest is not None:
            self.actors, self.terminations = ("student",), ("fall_over",)
            self._begin(0)
        return newest


def test_the_window_follows_a_training_into_its_next_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "FOLLOW_S", 0.1)
    session = NextPhaseSession(actors=("teacher",))
    session.newer = [None, "adapt-0000010"]
    with playing(tmp_path, session, follow=True) as shown, BareBrowser(shown.port) as browser:
        browser.press("Play")
        browser.wait(lambda: "adapt-0000010 at " in browser.texts() and "student" in browser.texts())
        browser.wait(lambda: "43 of 43 terms" in browser.texts())
        begun = frame(browser)
        browser.wait(lambda: frame(browser) > begun)
        assert not shown.errors


def test_a_window_that_is_opened_again_shows_what_plays(shown: Playing) -> None:
    with BareBrowser(shown.port) as first:
        first.set("speed", "2x")
        first.press("Play")
        first.wait(lambda: frame(first) > 5)
    with BareBrowser(shown.port) as second:
        second.wait(lambda: second.find("speed")["value"] == "2x")
        second.find("Pause")
        begun = frame(second)
        second.wait(lambda: frame(second) != begun)


def test_a_component_that_raises_ends_playing_and_the_film_is_kept(
    shown: Playing, browser: BareBrowser, tmp_path: Path
) -> None:
    browser.press("Record")
    browser.wait(lambda: shown.session.frame > 10)

    def fail() -> None:
        raise ZeroDivisionError("component")

    shown.session.on_step = fail
    browser.wait(lambda: shown.errors)
    shown.window.fail(str(shown.errors[0]))
    browser.wait(lambda: "component" in browser.texts())
    shown.window.capture.stop()
    assert len(list((tmp_path / "films").glob("*.mp4"))) == 1
