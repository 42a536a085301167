"""A replay is a page that plays motions in a browser by itself."""

from __future__ import annotations

import numpy as np
import pytest

from mtrack_view.replay import ReplayedMotion, client_html, replay_data, replay_page

FPS, FRAMES = 50.0, 200


@pytest.fixture(scope="module")
def poses():
    from mtrack_testing import g1_model

    model = g1_model()
    still = np.concatenate(
        (model.default_root_pos.numpy(), (1.0, 0.0, 0.0, 0.0), model.default_joint_pos.numpy())
    ).astype(float)
    poses = np.tile(still, (FRAMES, 1))
    poses[:, 0] += np.linspace(0.0, 2.0, FRAMES)
    poses[:, 7:] += 0.2 * np.sin(np.linspace(0.0, 12.0, FRAMES))[:, None]
    return poses


@pytest.fixture(scope="module")
def recordings(g1, poses):
    both = [ReplayedMotion(poses, "policy"), ReplayedMotion(poses, is_ghost=True, offset=(0.0, 0.8, 0.0))]
    return replay_data(g1, both, FPS), replay_data(g1, [ReplayedMotion(poses)], FPS)


def test_ten_seconds_of_two_robots_are_small(recordings, g1, poses):
    still = replay_data(g1, [ReplayedMotion(poses[:1])], FPS)
    both, one = recordings
    per_second = (len(one) - len(still)) / (FRAMES / FPS)
    assert len(still) + 10 * 2 * per_second < 1e6
    assert len(both) < 2 * len(one)


def test_a_replay_plays_pauses_and_scrubs_without_any_request(browser, recordings, tmp_path):
    page = tmp_path / "replay.html"
    page.write_text(replay_page(client_html(), recordings[0], dark_mode=True))
    tab = browser.open_scene(page.as_uri())
    slider = tab.page.locator("input").first  # the time
    tab.wait_for(lambda: float(slider.input_value()) > 0.2, "the replay plays")
    tab.page.keyboard.press("Space")
    paused = tab.wait_until_still("canvas")
    assert np.ptp(paused.max(2)) > 100, "something is drawn"
    assert np.median(paused) < 60, "on a dark ground"
    time = slider.input_value()
    tab.page.wait_for_timeout(500)
    assert slider.input_value() == time
    slider.fill("3.5")
    slider.press("Enter")
    later = tab.wait_until_still("canvas")
    assert (np.abs(later - paused).max(2) > 30).sum() > 200, "the robots have moved"
    tab.assert_clean()
