"""`mtrack motions view`: a motion file as a picture strip, and as a film. Imports what is heavy only when called."""

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
        Path | None, typer.Option("-o", "--out", help="The picture (.png); default: named like the clip, here.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Pictures in the strip, from the first to the last.")] = 8,
    video: Annotated[bool, typer.Option("--video", help="Make a film too (.mp4); needs ffmpeg.")] = False,
    azimuth: Annotated[
        float, typer.Option(help="Where the camera stands: from before the robot towards its left [degrees].")
    ] = 35.0,
    robot: Annotated[str, typer.Option(help="Robot the motion is of.")] = "g1",
) -> None:
    """Draw a motion as a picture strip; needs no display. The camera goes along with the root."""
    import numpy as np  # noqa: PLC0415

    from mtrack.registry.registry import Registry, is_own  # noqa: PLC0415
    from mtrack_motion.file import read_clip  # noqa: PLC0415
    from mtrack_view.animation import Animation  # noqa: PLC0415
    from mtrack_view.posed_robot import PosedRobot  # noqa: PLC0415
    from mtrack_view.strip import Panel, draw_strip  # noqa: PLC0415
    from mtrack_view.video import FPS, find_ffmpeg, render_video  # noqa: PLC0415

    picture = _picture(out or Path(f"{clip.stem}.png"))
    motion = read_clip(clip)
    ffmpeg = find_ffmpeg() if video else ""
    registry = Registry.scan()
    body = registry.load(registry.find("robot", robot, is_own))()
    poses = _poses(motion, body.model(), motion.fps)
    shown = np.unique(np.linspace(0, len(poses) - 1, frames).round().astype(int))
    panels = [Panel(index / motion.fps) for index in shown.tolist()]
    facts = f"{(len(poses) - 1) / motion.fps:.1f} s, {len(poses)} frames at {motion.fps:g} a second"
    posed = PosedRobot(body)
    draw_strip(picture, posed, Animation(poses[shown], azimuth=azimuth), panels, motion.name, facts)
    typer.echo(picture)
    if video:
        film = picture.with_suffix(".mp4")
        render_video(film, ffmpeg, posed, Animation(_poses(motion, body.model(), FPS), azimuth=azimuth))
        typer.echo(film)


def _picture(path: Path) -> Path:
    """Return where the picture will be. Raises MotionError before any work is lost."""
    from mtrack import MotionError  # noqa: PLC0415

    if path.suffix.lower() != ".png":
        raise MotionError(f"{path}: a strip is a .png; name it so")
    if not path.parent.is_dir():
        raise MotionError(f"{path}: there is no directory {path.parent}; make it first")
    return path


def _poses(clip: Clip, robot: RobotModel, fps: float) -> Array:
    """Return the poses of a clip at a frame rate, [T, 7 + J]. Raises MotionError."""
    import torch  # noqa: PLC0415

    from mtrack_motion.clip import joint_columns  # noqa: PLC0415
    from mtrack_motion.derive import resample  # noqa: PLC0415

    frames = resample(clip, joint_columns(clip, robot), 1.0 / fps)
    poses: Array = torch.cat((frames.root_pos, frames.root_quat_wxyz, frames.joint_pos), dim=1).numpy()
    return poses
