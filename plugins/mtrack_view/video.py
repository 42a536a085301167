"""Makes films: encodes images while they are drawn, with the program ffmpeg."""

from __future__ import annotations

import importlib
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mtrack import MtrackError
from mtrack_view.animation import Animation, render_frames
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.raycast import Image, RenderQuality

FPS = 25.0
"""Frames per second of a video of a motion."""
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
            'a film needs the program ffmpeg, which is not installed: python -m pip install "mtrack[video]" brings it'
        ) from None


def check_film_path(path: Path) -> None:
    """Check the name of a film before any work is done. Raises MtrackError."""
    if path.suffix.lower() != ".mp4":
        raise MtrackError(f"{path}: a film must be an .mp4 file; change the name")
    if not path.absolute().parent.is_dir():
        raise MtrackError(f"{path}: the directory {path.parent} does not exist; create it first")
    if path.is_dir():
        raise MtrackError(f"{path} is a directory; choose another name for the film")


class FilmWriter:
    """Encodes images into an .mp4 that browsers play, one by one, so that a long film takes no more memory.

    The file appears when the film is closed; until then it has a hidden name. If the `with` block raises, no file is
    left, and a file of that name from before remains. Not for several threads at once.
    """

    def __init__(self, path: Path, fps: float, width: int, height: int) -> None:
        """Start the encoder for images of a size [pixels] at a rate [1/s].

        Raises MtrackError if there is no ffmpeg, or if the path cannot be a film.
        """
        check_film_path(path)
        self.path = path
        self.frames = 0
        """Number of images so far."""
        self._shape = height, width, 3
        self._partial = path.with_name(f".{path.name}.part")
        self._ffmpeg = find_ffmpeg()
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  closed by close or cancel
        self._process = subprocess.Popen(
            _command(self._ffmpeg, fps, width, height, self._partial),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            process_group=0,  # Ctrl-C is for mtrack, which may want to keep what it has filmed
        )

    @property
    def process_id(self) -> int:
        """Process of the encoder."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Return this writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the film; after an exception, cancel it."""
        if error is None:
            self.close()
        else:
            self.cancel()

    def add(self, image: Image) -> None:
        """Append an image [H, W, 3]; waits if the encoder is slower. Raises MtrackError if it has failed."""
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(f"expected an image {list(self._shape)} of uint8, not {list(image.shape)} {image.dtype}")
        assert self._process.stdin
        try:
            self._process.stdin.write(np.ascontiguousarray(image).data)
        except (BrokenPipeError, ValueError):  # ValueError: it was closed by an earlier failure
            raise self._failed() from None
        self.frames += 1

    def close(self) -> None:
        """Finish the film with the images so far. Raises MtrackError without images, or if the encoder failed."""
        if not self.frames:
            self.cancel()
            raise MtrackError(f"{self.path}: there was no image to film; record for longer")
        assert self._process.stdin
        with suppress(BrokenPipeError):  # then it has failed, which its exit status says too
            self._process.stdin.close()
        if self._process.wait():
            raise self._failed()
        self._messages.close()
        self._partial.replace(self.path)

    def cancel(self) -> None:
        """Stop the encoder and remove its file."""
        assert self._process.stdin
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._messages.close()
        self._partial.unlink(missing_ok=True)

    def _failed(self) -> MtrackError:
        """Return the error with the encoder's own reason, after it has ended."""
        status = self._process.wait()
        self._messages.seek(0)
        reason = self._messages.read().decode(errors="replace").strip()
        if not reason:
            reason = f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self.cancel()
        return MtrackError(f"{self.path}: no film, because {self._ffmpeg} failed: {reason}")


def render_video(path: Path, robot: PosedRobot, animation: Animation) -> None:
    """Render an animation, `FPS` poses per second, into an .mp4. Raises MtrackError."""
    camera = animation.camera(robot)
    quality = RenderQuality(round(_HEIGHT * camera.aspect), _HEIGHT, rays=3, lights=3)
    with FilmWriter(path, FPS, quality.width, quality.height) as film:
        for image in render_frames(robot, animation, camera, quality):
            film.add(image)


def _command(ffmpeg: str, fps: float, width: int, height: int, path: Path) -> list[str]:
    pixels = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}", "-framerate", f"{fps:g}")
    even = f"crop={width // 2 * 2}:{height // 2 * 2}"  # colours are stored for 2 by 2 pixels
    # named, because players otherwise guess them by the size
    named = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    colours = ("-vf", f"{even},scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{named}")
    coding = ("-c:v", "libx264", "-crf", "18", "-movflags", "+faststart", "-f", "mp4")
    return [ffmpeg, "-nostdin", "-y", "-loglevel", "error", *pixels, "-i", "-", *colours, *coding, str(path)]
