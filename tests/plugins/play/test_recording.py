"""Films of the window: one image per 1/25 s of simulated time, kept whatever happens to the browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_session import DT, FakeSession
from playing import Playing, playing
from support.bare_browser import HEIGHT, WIDTH, BareBrowser
from support.films import film_images

from mtrack import MtrackError
from mtrack_play.recording import take_image
from mtrack_view import video


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Playing]:
    with playing(tmp_path, FakeSession(actors=("teacher",), frames=1000)) as window:
        yield window
        assert window.errors == []


def films(folder: Path) -> list[Path]:
    return list((folder / "films").glob("*.mp4"))


def test_a_film_follows_simulated_time_and_is_offered_as_a_download(shown: Playing, tmp_path: Path) -> None:
    with BareBrowser(shown.port) as browser:
        browser.press("Record")
        browser.find("Stop recording")
        browser.wait(lambda: shown.session.frame >= 20)
        browser.press("Stop recording")
        browser.find("Record")
        browser.press("Pause")
        browser.wait(lambda: browser.files)
        steps = shown.session.frame
    (film,) = films(tmp_path)
    rate, images = film_images(film)
    assert rate == 25.0
    assert images.shape[1:] == (HEIGHT, WIDTH, 3)
    assert 10 <= len(images) <= steps * DT * 25.0 + 1
    assert images[-1].mean() > images[0].mean(), "the browser's images get lighter"
    assert browser.files == {film.name: film.read_bytes()}


def test_a_closed_browser_ends_the_film_and_keeps_it(shown: Playing, tmp_path: Path) -> None:
    with BareBrowser(shown.port) as browser:
        browser.press("Record")
        browser.find("Stop recording")
        browser.wait(lambda: shown.session.frame >= 10)
    with BareBrowser(shown.port) as browser:
        browser.wait(lambda: "the recording has ended, because the browser was closed" in browser.texts())
        browser.find("Record")
        before = shown.session.frame
        browser.wait(lambda: shown.session.frame > before)
    (film,) = films(tmp_path)
    assert len(film_images(film)[1]) >= 4


def test_an_image_of_a_browser_that_has_just_been_closed_is_refused_at_once(shown: Playing) -> None:
    with BareBrowser(shown.port) as browser:
        (client,) = browser.wait(shown.window.server.get_clients).values()
    browser.wait(lambda: not shown.window.server.get_clients())
    started = time.monotonic()
    with pytest.raises(MtrackError, match="the browser was closed"):
        take_image(client, WIDTH, HEIGHT)
    assert time.monotonic() - started < 10.0, "not only when the time for an image is over"


def test_without_ffmpeg_the_window_says_what_is_missing(shown: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise MtrackError("a film needs the program ffmpeg")

    monkeypatch.setattr(video, "find_ffmpeg", missing)
    with BareBrowser(shown.port) as browser:
        browser.press("Record")
        browser.wait(lambda: "a film needs the program ffmpeg" in browser.texts())
        browser.find("Record")


def test_a_screenshot_is_downloaded(shown: Playing) -> None:
    with BareBrowser(shown.port) as browser:
        browser.press("Screenshot")
        browser.wait(lambda: browser.files.get("stand-00000.png", b"").startswith(b"\x89PNG"))
