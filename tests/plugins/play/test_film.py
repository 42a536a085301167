"""A film shows every clip with its reference, errors and terminations, and is complete or not there."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from fake_session import FakeSession
from support.films import film_images

from mtrack import MtrackError
from mtrack_play.caption import HEAD, foot_height
from mtrack_play.film import FilmOptions, film, parse_size
from mtrack_play.session import Session

SIZE = 320, 200
WIDTH, HEIGHT = SIZE


class Played(FakeSession):
    clip_index = Session.clip_index


def filmed(session, path, **options):
    """Return the rate and the images, [T, H, W, 3], of a small film."""
    return film_images(film(session, path, FilmOptions(size=SIZE, **options)))


def red(images):
    """Return the number of red pixels of each image."""
    pixels = images.astype(int)
    return ((pixels[..., 0] > pixels[..., 1] + 90) & (pixels[..., 0] > pixels[..., 2] + 90)).sum((-2, -1))


def blue(image):
    pixels = image.astype(int)
    return int((pixels[..., 2] > pixels[..., 0] + 60).sum())


@pytest.fixture
def session():
    return Played(actors=("teacher",), clips=("stand", "walk"), frames=9)


def test_a_film_has_an_image_for_each_time_of_each_clip_and_the_robot_moves(session, tmp_path):
    fps, images = filmed(session, tmp_path / "film.mp4", clips=["walk", "stand"], fps=25.0)
    assert (fps, len(images)) == (25.0, 9), "two clips of 9 steps at 50 per second"
    assert images.shape[1:] == (HEIGHT, WIDTH, 3)
    robot = images[:, HEAD : -foot_height()].astype(int)
    assert (np.abs(robot[0] - robot[-1]).max(2) > 60).sum() > 20
    assert (np.abs(images[0, :HEAD].astype(int) - images[-1, :HEAD]).max(2) > 60).any(), "the name of the clip differs"


def test_a_given_time_repeats_the_clip(session, tmp_path):
    _, images = filmed(session, tmp_path / "film.mp4", seconds=0.5, fps=10.0)
    assert len(images) == 5


def test_a_caption_has_title_labels_and_errors_in_every_pane(tmp_path):
    session = Played(frames=5)
    _, (image, *_) = filmed(session, tmp_path / "film.mp4", fps=10.0)
    dark = image.max(2) < 140
    assert dark[:HEAD, : WIDTH // 2].any() and dark[:HEAD, WIDTH // 2 :].any(), "clip and time"
    for pane in (slice(0, WIDTH // 2), slice(WIDTH // 2, WIDTH)):
        assert dark[HEAD : HEAD + 30, pane].any(), "teacher and student"
        assert dark[-foot_height() :, pane].any(), "errors"


def test_the_reference_is_a_ghost_around_the_robot_or_a_robot_of_its_own(session, tmp_path):
    _, (over, *_) = filmed(session, tmp_path / "over.mp4", fps=10.0)
    _, (beside, *_) = filmed(session, tmp_path / "beside.mp4", fps=10.0, is_beside=True)
    panes = beside[HEAD + 30 : -foot_height()]
    assert blue(panes[:, : WIDTH // 2]) > 100
    assert blue(panes[:, WIDTH // 2 :]) == 0
    assert 0 < blue(over[HEAD + 30 : -foot_height()]) < blue(panes)


def test_terminations_that_would_have_ended_the_episode_are_red_for_a_while(tmp_path):
    session = Played(actors=("teacher",), frames=120)  # it reports a termination in frames 40 to 49
    _, images = filmed(session, tmp_path / "film.mp4", fps=5.0)
    has_red = red(images) > 100
    times = np.arange(len(images)) / 5.0
    assert not has_red[times < 0.79].any()
    assert has_red[(times > 0.81) & (times < 1.9)].all()
    assert not has_red[times > 2.0].any()


def test_a_directory_gets_a_film_named_after_the_checkpoint(session, tmp_path):
    assert film(session, tmp_path, FilmOptions(size=SIZE)).name == "train-0000100.mp4"


def test_an_error_while_filming_leaves_no_file(session, tmp_path):
    def fail():
        raise MtrackError("the simulation failed")

    session.on_step = fail
    with pytest.raises(MtrackError, match="the simulation failed"):
        film(session, tmp_path / "film.mp4", FilmOptions(size=SIZE))
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_the_film_and_keeps_it(session, tmp_path):
    session.lengths = (100, 100)
    steps = iter(range(20))

    def interrupt():
        if next(steps, None) is None:
            raise KeyboardInterrupt

    session.on_step = interrupt
    _, images = filmed(session, tmp_path / "film.mp4", fps=50.0)
    assert 0 < len(images) <= 21


def test_a_missing_clip_is_reported_before_anything_is_filmed(session, tmp_path):
    with pytest.raises(MtrackError, match="no clip 'run'"):
        film(session, tmp_path / "film.mp4", FilmOptions(clips=["run"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": (100, 400)}, "--size 100x400: a film has at least 320x200"),
        ({"fps": 0.5}, "--fps 0.5: a film has 1 to 240 images per second"),
        ({"seconds": 0.0}, "--seconds 0: must be greater than 0"),
        ({"seconds": float("inf")}, "--seconds inf: must be"),
    ],
)
def test_numbers_out_of_range_are_rejected(options, says):
    with pytest.raises(MtrackError, match=says):
        attrs.evolve(FilmOptions(), **options)


def test_a_size_is_two_numbers():
    assert parse_size("854x480") == (854, 480)
    with pytest.raises(MtrackError, match="--size big: expected two numbers, such as 640x400"):
        parse_size("big")
