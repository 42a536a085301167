"""Reads films back, with the ffmpeg that made them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

from mtrack_view.raycast import Image
from mtrack_view.video import find_ffmpeg


def film_images(path: Path) -> tuple[float, Image]:
    """Return the rate [1/s] and all images of a film, [T, H, W, 3]."""
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([find_ffmpeg(), "-i", str(path), *raw], capture_output=True, check=True)
    text = done.stderr.decode()
    size = re.search(r"Video: h264.*yuv420p.* (\d+)x(\d+)[ ,].* ([\d.]+) fps", text)
    assert size, text
    width, height = int(size[1]), int(size[2])
    return float(size[3]), np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
