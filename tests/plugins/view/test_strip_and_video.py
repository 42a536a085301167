"""Strips have the requested panels, and videos all frames."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from support.films import film_images

from mtrack import MtrackError
from mtrack_g1.robot import G1
from mtrack_testing import g1_model
from mtrack_view import video
from mtrack_view.animation import Animation
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.strip import Panel, draw_strip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("mtrack_view.strip._HEIGHT", 40)
    monkeypatch.setattr("mtrack_view.video._HEIGHT", 40)


@pytest.fixture(scope="module")
def robot():
    return PosedRobot(G1())


def animation(frames):
    model = g1_model()
    pose = np.concatenate((model.default_root_pos.numpy(), (1.0, 0.0, 0.0, 0.0), model.default_joint_pos.numpy()))
    return Animation(np.repeat(pose[None].astype(np.float64), frames, axis=0))


def pictures_in(path):
    """Return the number of images in each row of a strip: runs that are not white, in the sky above the robots."""
    coloured = (imread(path)[..., :3] < 0.98).any(2)
    pictured = coloured.mean(1) > 0.3
    tops = np.flatnonzero(np.diff(pictured.astype(int)) == 1)
    return [int((np.diff(coloured[top + 3].astype(int)) == 1).sum()) for top in tops]


@pytest.mark.parametrize(("frames", "rows"), [(4, [4]), (5, [3, 2])])
def test_a_strip_has_as_many_images_as_frames(robot, tmp_path, monkeypatch, frames, rows):
    monkeypatch.setattr("mtrack_view.strip._MOST_WIDTH", 4 * 30)
    monkeypatch.setattr("mtrack_view.strip._LEAST_WIDTH", 0)
    panels = [Panel(0.1 * i) for i in range(frames)]
    draw_strip(tmp_path / "strip.png", robot, animation(frames), panels, "", "")
    assert pictures_in(tmp_path / "strip.png") == rows


def test_notes_that_report_a_failure_are_red(robot, tmp_path):
    def reds(is_bad):
        panels = [Panel(0.0, ("failed", ""), is_bad), Panel(0.1, ("3 mm", "4 mm"))]
        draw_strip(tmp_path / "strip.png", robot, animation(2), panels, "clip", "subtitle")
        red, green, blue = imread(tmp_path / "strip.png")[..., :3].transpose(2, 0, 1)
        return int(((red > green + 0.4) & (red > blue + 0.4)).sum())

    assert reds(False) == 0
    assert reds(True) > 10


def test_a_strip_that_cannot_be_written_is_reported(robot, tmp_path):
    (tmp_path / "strip.png").mkdir()
    with pytest.raises(MtrackError, match=r"cannot write .*strip\.png: Is a directory"):
        draw_strip(tmp_path / "strip.png", robot, animation(1), [Panel(0.0)], "", "")


def test_a_video_has_every_frame_at_its_frame_rate(robot, tmp_path):
    video.render_video(tmp_path / "video.mp4", robot, animation(3))
    fps, images = film_images(tmp_path / "video.mp4")
    assert (fps, len(images)) == (video.FPS, 3)
