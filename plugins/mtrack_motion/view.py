"""`mtrack motions view`: draw a motion file as a picture strip or video. Heavy modules are imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrack import Clip, RobotModel
    from mtrack_view.posed_robot import Array


def view(
    clip: Annotated[Path, typer.Argument(help="Motion file (.npz).")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write (.png); default: CLIP.png in this directory.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Number of pictures in the strip, evenly spaced.")] = 8,
    video: Annotated[bool, typer.Option("--video", help="Also make a video (.mp4); needs ffmpeg.")] = False,
    azimuth: Annotated[
        float, typer.Option(help="Camera angle: 0 is in front of the robot, 90 on its left [degrees].")
    ] = 35.0,
    robot: Annotated[str, typer.Option(help="Robot the motion is of.")] = "g1",
) -> None:
    """Draw a motion as a picture strip; needs no display. The camera follows the root."""
    import numpy as np  # noqa: PLC0415

    from mtrack.registry.registry import Registry, is_own  # noqa: PLC0415
    from mtrack_motion.file import read_clip  # noqa: PLC0415
    from mtrack_view.animation import Animation  # noqa: PLC0415
    from mtrack_view.posed_robot import PosedRobot  # noqa: PLC0415
    from mtrack_view.strip import Panel, draw_strip  # noqa: PLC0415
    from mtrack_view.video import FPS, find_ffmpeg, render_video  # noqa: PLC0415

    picture = _picture(out or Path(f"{clip.stem}.png"))
    motion = read_clip(clip)
    if video:
        find_ffmpeg()  # before any work is done
    registry = Registry.scan()
    body = registry.load(registry.find("robot", robot, is_own))()
    poses = _poses(motion, body.model(), motion.fps)
    shown = np.unique(np.linspace(0, len(poses) - 1, frames).round().astype(int))
    panels = [Panel(index / motion.fps) for index in shown.tolist()]
    facts = f"{(len(poses) - 1) / motion.fps:.1f} s, {len(poses)} frames at {motion.fps:g} per second"
    posed = PosedRobot(body)
    draw_strip(picture, posed, Animation(poses[shown], azimuth=azimuth), panels, motion.name, facts)
    typer.echo(picture)
    if video:
        film = picture.with_suffix(".mp4")
        render_video(film, posed, Animation(_poses(motion, body.model(), FPS), azimuth=azimuth))
        typer.echo(film)


def _picture(path: Path) -> Path:
    """Check the path of the picture before any work is done. Raises MotionError."""
    from mtrack import MotionError  # noqa: PLC0415

    if path.suffix.lower() != ".png":
        raise MotionError(f"{path}: a picture strip must be a .png file; change the name")
    if not path.parent.is_dir():
        raise MotionError(f"{path}: the directory {path.parent} does not exist; create it first")
    return path


def _poses(clip: Clip, robot: RobotModel, fps: float) -> Array:
    """Return the poses of a clip at a frame rate, [T, 7 + J]. Raises MotionError."""
    import torch  # noqa: PLC0415

    from mtrack_motion.clip import joint_columns  # noqa: PLC0415
    from mtrack_motion.derive import resample  # noqa: PLC0415

    frames = resample(clip, joint_columns(clip, robot), 1.0 / fps)
    poses: Array = torch.cat((frames.root_pos, frames.root_quat_wxyz, frames.joint_pos), dim=1).numpy()
    return poses
