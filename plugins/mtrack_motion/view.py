"""`mtrack motions view`: show motion files. Heavy modules are imported when called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtrack import Clip, Robot, RobotModel
    from mtrack_view.posed_robot import Array


def view(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Motion file (.npz).")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write (.png); default: CLIP.png in this directory.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Number of pictures in the strip, evenly spaced.")] = 8,
    video: Annotated[bool, typer.Option("--video", help="Also make a video (.mp4); needs ffmpeg.")] = False,
    azimuth: Annotated[
        float, typer.Option(help="Camera angle: 0 is in front of the robot, 90 on its left [degrees].")
    ] = 35.0,
    browser: Annotated[
        bool, typer.Option("--browser", help="Play in a browser; several clips are side by side.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Play one clip in MuJoCo's viewer; needs a display.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="With --browser: address to listen on; 0.0.0.0 also lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="With --browser: port; the next free one if it is in use.")] = 8080,
    robot: Annotated[str, typer.Option(help="Robot the motion is of: name, or file (.toml, .xml, .urdf).")] = "g1",
) -> None:
    """View motions without a policy: as a picture strip that needs no display, in a browser, or in MuJoCo's viewer."""
    from mtrack import MtrackError  # noqa: PLC0415
    from mtrack.registry.registry import Registry  # noqa: PLC0415
    from mtrack_motion.chosen_robot import chosen_robot  # noqa: PLC0415
    from mtrack_motion.file import read_clip  # noqa: PLC0415

    if browser and native:
        raise MtrackError("--browser and --native: choose one of them")
    if len(clips) > 1 and not browser:
        raise MtrackError(f"{len(clips)} clips: only --browser shows several; name one clip, or add --browser")
    if not browser and not native:
        picture = _picture(out or Path(f"{clips[0].stem}.png"))
    motions = [read_clip(clip) for clip in clips]
    body = chosen_robot(Registry.scan(), robot)
    if browser:
        _play_in_browser(motions, body, host, port)
    elif native:
        _play_natively(motions[0], body)
    else:
        _draw(motions[0], body, picture, frames, azimuth, video)


def _draw(motion: Clip, body: Robot, picture: Path, frames: int, azimuth: float, video: bool) -> None:
    """Draw a picture strip, and a video if wanted. Raises MtrackError."""
    import numpy as np  # noqa: PLC0415

    from mtrack_view.animation import Animation  # noqa: PLC0415
    from mtrack_view.posed_robot import PosedRobot  # noqa: PLC0415
    from mtrack_view.strip import Panel, draw_strip  # noqa: PLC0415
    from mtrack_view.video import FPS, find_ffmpeg, render_video  # noqa: PLC0415

    if video:
        find_ffmpeg()  # before any work is done
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


def _play_in_browser(motions: Sequence[Clip], body: Robot, host: str, port: int) -> None:
    """Play until Ctrl-C. Raises MtrackError."""
    from mtrack_view.serve import close_server, open_server, require_viser  # noqa: PLC0415

    require_viser()
    from mtrack_view.motion_player import MotionPlayer, PlayedMotion  # noqa: PLC0415
    from mtrack_view.posed_robot import PosedRobot  # noqa: PLC0415

    robot = body.model()
    played = [PlayedMotion(motion.name, _poses(motion, robot, motion.fps), motion.fps) for motion in motions]
    posed = PosedRobot(body)
    server = open_server(host, port, _say)
    try:
        player = MotionPlayer(server, posed, played)
        _say("press Ctrl-C to end")
        player.run()
    except KeyboardInterrupt:
        pass
    finally:
        close_server(server)


def _play_natively(motion: Clip, body: Robot) -> None:
    """Play in MuJoCo's own window until it is closed. Raises MtrackError."""
    from mtrack_view.native import play_natively  # noqa: PLC0415
    from mtrack_view.posed_robot import PosedRobot  # noqa: PLC0415

    play_natively(PosedRobot(body), _poses(motion, body.model(), motion.fps), motion.fps)


def _say(line: str) -> None:
    typer.echo(line, err=True)


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
