"""A film is complete or not there at all, and an error of the encoder is explained."""

from __future__ import annotations

import os
import signal
import sys
import tracemalloc

import numpy as np
import pytest
from support.films import film_images

from mtrack import MtrackError
from mtrack_view.video import FilmWriter, find_ffmpeg

FAILING = """#!{python}
import sys
sys.exit("Unknown encoder 'libx264'")
"""


def image(level, height=32, width=48):
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47)])
def test_a_film_has_every_image_in_its_order(tmp_path, height, width):
    with FilmWriter(tmp_path / "film.mp4", 50, width, height) as film:
        for index in range(25):
            film.add(image(10 * index, height, width))
    fps, images = film_images(tmp_path / "film.mp4")
    assert fps == 50
    assert images.shape == (25, height // 2 * 2, width // 2 * 2, 3)
    assert images.mean(axis=(1, 2, 3)) == pytest.approx(np.arange(0, 250, 10), abs=2)


def test_colours_survive(tmp_path):
    with FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film:
        film.add(np.broadcast_to(np.array([220, 40, 90], np.uint8), (32, 48, 3)))
    assert film_images(tmp_path / "film.mp4")[1].mean(axis=(0, 1, 2)) == pytest.approx([220, 40, 90], abs=3)


def test_browsers_can_start_to_play_before_they_have_all_of_it(tmp_path):
    with FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film:
        film.add(image(0))
    content = (tmp_path / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_an_error_leaves_no_file_and_keeps_the_one_before(tmp_path):
    (tmp_path / "film.mp4").write_text("before")
    with pytest.raises(ZeroDivisionError), FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film:
        film.add(image(0))
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_text() == "before"


def test_a_killed_encoder_is_reported_and_leaves_no_file(tmp_path):
    def film_on():
        with FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film:
            film.add(image(0))
            os.kill(film.process_id, signal.SIGKILL)
            for _ in range(1000):  # the pipe takes some before it breaks
                film.add(image(0))

    with pytest.raises(MtrackError, match=r"film\.mp4: no film, because .* failed: ended by SIGKILL"):
        film_on()
    assert not list(tmp_path.iterdir())


def test_a_failing_encoder_is_reported_with_its_own_reason(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FAILING.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with (
        pytest.raises(MtrackError, match="Unknown encoder 'libx264'"),
        FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film,
    ):
        film.add(image(0))
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_film_without_images_is_an_error(tmp_path):
    with pytest.raises(MtrackError, match="no image to film"), FilmWriter(tmp_path / "film.mp4", 50, 48, 32):
        pass
    assert not list(tmp_path.iterdir())


def test_images_of_another_size_are_rejected(tmp_path):
    with pytest.raises(ValueError, match=r"\[32, 48, 3\]"), FilmWriter(tmp_path / "film.mp4", 50, 48, 32) as film:
        film.add(image(0, height=30))


def test_images_are_not_kept_in_memory(tmp_path):
    with FilmWriter(tmp_path / "film.mp4", 50, 480, 320) as film:
        film.add(image(0, 320, 480))
        tracemalloc.start()
        try:
            for index in range(50):
                film.add(image(index, 320, 480))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 2 * 320 * 480 * 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("film.avi", r"film\.avi: a film must be an \.mp4 file"),
        ("missing/film.mp4", "missing does not exist; create it first"),
        ("folder.mp4", "is a directory; choose another name"),
    ],
)
def test_a_path_that_cannot_be_a_film_is_rejected(tmp_path, name, says):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MtrackError, match=says):
        FilmWriter(tmp_path / name, 50, 48, 32)


def test_a_missing_ffmpeg_is_reported_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MtrackError, match=r'needs the program ffmpeg.*python -m pip install "mtrack\[video\]"'):
        find_ffmpeg()
