"""What a real browser draws of a robot."""

from __future__ import annotations

import numpy as np

from mtrack_view.browser_robot import BrowserRobot


def differing(one, other):
    """Return how many pixels clearly differ."""
    return int((np.abs(one - other).max(2) > 30).sum())


def test_a_robot_is_drawn_moves_and_takes_its_pixels_with_it(scene, g1, standing, browser):
    drawn = BrowserRobot(scene, g1, "robot")
    drawn.pose(standing)
    tab = browser.open_scene(f"http://127.0.0.1:{scene.server.get_port()}/")
    tab.page.get_by_text("Software WebGL").wait_for()
    tab.page.locator(".mantine-Notification-closeButton").click()
    there = tab.wait_until_still("canvas")
    drawn.visible = False
    tab.wait_for(lambda: differing(tab.pixels("canvas"), there) > 1000, "the robot is gone")
    floor = tab.wait_until_still("canvas")
    drawn.visible = True
    tab.wait_for(lambda: differing(tab.pixels("canvas"), there) == 0, "the robot is back in the same pixels")
    assert np.median(floor) > 200, "a light floor is left"
    standing[7 + 3] += 1.2  # a knee
    drawn.pose(standing)
    tab.wait_for(lambda: differing(tab.pixels("canvas"), there) > 50, "the knee bends")
    tab.assert_clean()
