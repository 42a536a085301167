"""`mtrack motions view`, as a user sees it."""

from __future__ import annotations

import pytest
from support.clips import swaying_clip
from typer.testing import CliRunner

from mtrack import MtrackError
from mtrack_motion.cli import motions
from mtrack_motion.file import write_clip
from mtrack_view import strip, video


@pytest.fixture
def drawn(monkeypatch):
    """Keep what would be drawn: (path, animation, panels, title, subtitle) of each strip and video."""
    kept = []
    monkeypatch.setattr(strip, "draw_strip", lambda path, robot, *rest: kept.append((path, *rest)))
    monkeypatch.setattr(video, "render_video", lambda path, robot, animation: kept.append((path, animation)))
    return kept


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "sway.npz"
    write_clip(path, swaying_clip(101, fps=50.0, name="swaying"))
    return path


def view(*arguments):
    result = CliRunner().invoke(motions, ["view", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout.split()


def test_a_clip_is_drawn_in_the_current_directory_and_the_path_is_printed(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(strip, "_HEIGHT", 40)
    assert view(clip, "--frames", 2) == ["sway.png"]
    assert (tmp_path / "sway.png").read_bytes().startswith(b"\x89PNG")


def test_frames_are_spaced_evenly_from_the_first_to_the_last(clip, drawn):
    view(clip, "-o", "some.png", "--frames", 5, "--azimuth", 90)
    ((path, animation, panels, title, subtitle),) = drawn
    assert str(path) == "some.png"
    assert [panel.time for panel in panels] == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    expected = swaying_clip(101)
    assert animation.poses[:, 7:] == pytest.approx(expected.joint_pos[::25], abs=1e-6)
    assert animation.poses[:, :3] == pytest.approx(expected.root_pos[::25], abs=1e-6)
    assert animation.azimuth == 90.0
    assert title == "swaying"
    assert subtitle == "2.0 s, 101 frames at 50 per second"


def test_joints_are_matched_by_name(clip, drawn):
    view(clip, "--frames", 3)
    original = swaying_clip(101)
    turned = swaying_clip(joint_names=original.joint_names[::-1], frames=101, joint_pos=original.joint_pos[:, ::-1])
    write_clip(clip, turned)
    view(clip, "--frames", 3)
    assert (drawn[0][1].poses == drawn[1][1].poses).all()


def test_a_video_is_written_next_to_the_picture_at_its_own_rate(clip, drawn):
    assert view(clip, "-o", "data/a.png", "--video") == ["data/a.png", "data/a.mp4"]
    (_, (path, animation)) = drawn
    assert str(path) == "data/a.mp4"
    assert len(animation.poses) == 2.0 * video.FPS + 1


def test_without_ffmpeg_nothing_is_drawn(clip, drawn, monkeypatch):
    def nowhere():
        raise MtrackError("no ffmpeg")

    monkeypatch.setattr(video, "find_ffmpeg", nowhere)
    with pytest.raises(MtrackError, match="no ffmpeg"):
        view(clip, "--video")
    assert drawn == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gone.npz",), r"gone\.npz: there is no such file"),
        (("data",), "data: is a directory; name one .npz file"),
        (("data/walk.pkl",), r"walk\.pkl: is text without a table of numbers"),
        (("data/sway.npz", "-o", "sway.jpg"), r"sway\.jpg: a picture strip must be a \.png file"),
        (("data/sway.npz", "-o", "no/sway.png"), "the directory no does not exist; create it first"),
        (("data/sway.npz", "--robot", "g2"), "no robot named 'g2'"),
        (("data/sway.npz", "data/sway.npz"), "2 clips: only --browser shows several"),
        (("data/sway.npz", "--browser", "--native"), "choose one of them"),
        (("data/sway.npz", "--browser", "--host", "203.0.113.7"), "not an address of this machine"),
    ],
)
def test_what_cannot_be_viewed_is_explained(clip, drawn, arguments, says):
    (clip.parent / "walk.pkl").write_bytes(b"pickle")
    with pytest.raises(MtrackError, match=says):
        view(*arguments)
    assert drawn == []


def test_mujoco_s_own_viewer_needs_a_display(clip, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(MtrackError, match=r"needs a display.*use --browser instead"):
        view(clip, "--native")


def test_a_clip_that_lacks_joints_is_rejected(clip, drawn):
    whole = swaying_clip(20)
    write_clip(clip, swaying_clip(20, joint_names=whole.joint_names[1:], joint_pos=whole.joint_pos[:, 1:]))
    with pytest.raises(MtrackError, match=r"has no joint .*--fill-missing"):
        view(clip)
    assert drawn == []
