"""Renders a video of a motion, with the program ffmpeg."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from mtrack import MtrackError
from mtrack_view.animation import Animation, render_frames
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.raycast import RenderQuality

FPS = 25.0
"""Frames per second."""
_HEIGHT = 400  # pixels


def find_ffmpeg() -> str:
    """Return the path of ffmpeg, from the PATH or the package imageio-ffmpeg. Raises MtrackError."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        raise MtrackError(
            "a video needs the program ffmpeg, which is not on the PATH: install it, or 'pip install imageio-ffmpeg'"
        ) from None


def render_video(path: Path, ffmpeg: str, robot: PosedRobot, animation: Animation) -> None:
    """Render an animation, `FPS` poses per second, into an .mp4. Raises MtrackError."""
    camera = animation.camera(robot)
    width = 2 * round(_HEIGHT * camera.aspect / 2)  # colours are stored for 2 by 2 pixels
    quality = RenderQuality(width, _HEIGHT, rays=3, lights=2)
    partial = path.with_name(f".{path.name}.part")
    try:
        with tempfile.TemporaryFile() as messages:
            process = subprocess.Popen(_command(ffmpeg, quality, partial), stdin=subprocess.PIPE, stderr=messages)
            with suppress(BrokenPipeError), process:  # it may fail before it has read everything, and then says why
                assert process.stdin
                for image in render_frames(robot, animation, camera, quality):
                    process.stdin.write(image.tobytes())
            if process.returncode:
                messages.seek(0)
                reason = messages.read().decode(errors="replace").strip()
                raise MtrackError(f"{path}: {ffmpeg} failed: {reason or process.returncode}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _command(ffmpeg: str, quality: RenderQuality, path: Path) -> list[str]:
    size = f"{quality.width}x{quality.height}"
    pixels = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", size, "-framerate", f"{FPS:g}")
    coding = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18", "-movflags", "+faststart", "-f", "mp4")
    return [ffmpeg, "-y", "-loglevel", "error", *pixels, "-i", "-", *coding, str(path)]
