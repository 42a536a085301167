"""The play window in a real browser: what it draws, and what it keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_session import FakeSession
from playing import Playing, playing
from support.browser import Browser, Tab
from support.films import film_images

SIZE = {"width": 900, "height": 420}  # small, because it is drawn without a GPU


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Playing]:
    with playing(tmp_path, FakeSession(actors=("teacher",))) as window:
        yield window
        assert window.errors == []


@pytest.fixture
def tab(shown: Playing, browser: Browser) -> Tab:
    tab = browser.open(f"http://127.0.0.1:{shown.port}", **SIZE)
    tab.wait_for(lambda: "of 1.98 s" in tab.page.inner_text("body"), "the panels are there")
    return tab


def press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).first.click()


def test_the_robot_is_drawn_moves_is_pulled_and_filmed(shown: Playing, tab: Tab, tmp_path: Path) -> None:
    page, session = tab.page, shown.session
    shown.player.do(lambda: shown.window.stage.place("hidden"))  # the reference
    standing = tab.wait_until_still("canvas")

    press(tab, "forward ▶")
    tab.wait_for(lambda: session.frame == 1, "a step is made")
    for _ in range(8):
        press(tab, "forward ▶")
    tab.wait_for(lambda: session.frame == 9, "more steps are made")
    moved = tab.wait_until_still("canvas")
    assert (np.abs(moved - standing).max(axis=2) > 40).sum() > 500, "the robot has moved"

    tab.page.get_by_text("View", exact=True).click()
    page.get_by_label("robot", exact=True).click()
    empty = tab.wait_until_still("canvas")
    robot = np.argwhere(np.abs(empty - moved).max(axis=2) > 40)
    assert len(robot) > 2000, "its pixels have gone"
    page.get_by_label("robot", exact=True).click()
    tab.wait_until_still("canvas")

    upper = robot[robot[:, 0] < robot[:, 0].min() + 0.35 * np.ptp(robot[:, 0])]  # the trunk, not a shadow
    canvas = page.locator("canvas").first.bounding_box()
    x, y = canvas["x"] + float(np.median(upper[:, 1])), canvas["y"] + float(upper[:, 0].max())
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60.0, y - 20.0, steps=6)
    tab.wait_for(lambda: any(call[0] == "pull" for call in session.calls), "the robot is pulled")
    page.mouse.up()
    tab.wait_for(lambda: ("release",) in session.calls, "it is released")

    tab.page.get_by_text("Save", exact=True).click()
    press(tab, "Record")
    tab.wait_for(lambda: (r := shown.window.capture.recording) and r.frames >= 6, "images are recorded")
    with page.expect_download() as film:
        press(tab, "Stop recording")
        link = page.get_by_text(re.compile(r"stand-.*\.mp4")).first
        link.wait_for()
        page.locator("a[download]").first.click()
    assert film.value.suggested_filename.endswith(".mp4")
    kept = next((tmp_path / "films").glob("*.mp4"))
    _, images = film_images(kept)
    assert len(images) >= 6
    assert (images[0] != images[-1]).any()
    tab.assert_clean()
