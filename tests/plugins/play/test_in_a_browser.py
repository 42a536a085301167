"""The play window in a real browser: what it draws, how the mouse pulls, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_session import FakeSession
from numpy.typing import NDArray
from playing import Playing, playing
from support.browser import Browser, Tab
from support.films import film_images

from mtrack_play.recording import take_image
from mtrack_play.stage import HIDDEN

SIZE = {"width": 860, "height": 340}  # small, because it is drawn without a GPU; the panels take 600
CLEARLY = 40  # of 255


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Playing]:
    with playing(tmp_path, FakeSession(actors=("teacher",))) as window:
        window.player.do(lambda: window.window.stage.place(HIDDEN))  # only the robot is of interest
        yield window
        assert window.errors == []


@pytest.fixture
def tab(shown: Playing, browser: Browser) -> Tab:
    tab = browser.open(f"http://127.0.0.1:{shown.port}", **SIZE)
    tab.wait_for(lambda: "of 1.98 s" in tab.page.inner_text("body"), "the panels are there")
    tab.page.locator(".mantine-Notification-closeButton").click()  # of a note on software WebGL, which hides the robot
    return tab


def image(shown: Playing) -> NDArray[np.int16]:
    """Return what the browser draws, [H, W, 3]."""
    (client,) = shown.window.server.get_clients().values()
    return take_image(client, 240, 320)[..., :3].astype(np.int16)


def differing(one: NDArray[np.int16], other: NDArray[np.int16]) -> int:
    """Return the number of pixels that differ clearly."""
    return int((np.abs(one - other).max(axis=2) > CLEARLY).sum())


def press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).first.click()


def test_the_robot_is_drawn_moves_is_pulled_and_filmed(shown: Playing, tab: Tab, tmp_path: Path) -> None:
    page, session = tab.page, shown.session
    standing = image(shown)
    for count in range(1, 8):
        press(tab, "forward ▶")
        tab.wait_for(lambda count=count: session.frame == count, "a step is made")
    moved = image(shown)
    assert differing(moved, standing) > 300, "a step moves it"
    page.get_by_text("View", exact=True).click()
    page.get_by_label("robot", exact=True).click()
    tab.wait_for(lambda: differing(image(shown), moved) > 1500, "its pixels have gone")
    empty = image(shown)
    page.get_by_label("robot", exact=True).click()
    tab.wait_for(lambda: differing(image(shown), empty) > 1500, "they are back")

    canvas = page.locator("canvas[data-engine]").bounding_box()  # not one of a plot
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2  # the pelvis
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60.0, y - 20.0, steps=6)
    tab.wait_for(lambda: any(call[0] == "pull" for call in session.calls), "the robot is pulled")
    page.mouse.up()
    tab.wait_for(lambda: ("release",) in session.calls, "it is released")

    page.get_by_text("Save", exact=True).click()
    press(tab, "Record")
    tab.wait_for(lambda: (film := shown.window.capture.recording) and film.frames >= 5, "images are recorded")
    press(tab, "Stop recording")
    tab.wait_for(lambda: list((tmp_path / "films").glob("*.mp4")), "the film is there")
    _, images = film_images(next((tmp_path / "films").glob("*.mp4")))
    assert len(images) >= 5
    assert differing(images[0].astype(np.int16), images[-1].astype(np.int16)) > 100
    assert tab.outside == []
    assert [error for error in tab.errors if "passive event listener" not in error] == [], (
        "that one is viser's, of a drag"
    )
