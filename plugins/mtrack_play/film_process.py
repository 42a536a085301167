"""The process that films a checkpoint while its run trains: `python -m mtrack_play.film_process RUN FOLDER`.

It makes CHECKPOINT.mp4 in the folder and, for TensorBoard, a small CHECKPOINT.gif.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from mtrack import ComponentError, MtrackError
from mtrack_play.film import FilmOptions, film
from mtrack_play.film_command import worst_clip
from mtrack_play.session import Session
from mtrack_view.video import find_ffmpeg

_GIF_FPS, _GIF_WIDTH = 10, 320  # 1/s, pixels


def main(arguments: Sequence[str]) -> None:
    """Film the newest checkpoint of a run; exit with status 2 and a message if that is not possible."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("-p", action="append", default=[])
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # the run has reported the same
    torch.set_num_threads(1)
    try:
        session = Session.open(options.run, plugins=options.p, overrides=["device=cpu"], keep_history=False)
        try:
            clip = worst_clip(session, options.run)
            whole = (session.lengths[session.clip_index(clip)] - 1) * session.dt
            how = FilmOptions(clips=[clip], seconds=min(whole, options.seconds))
            make_gif(film(session, options.folder, how))
        finally:
            session.close()
    except (MtrackError, ComponentError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def make_gif(path: Path) -> Path:
    """Make a small animated picture of a film, beside it. Raises MtrackError."""
    gif = path.with_suffix(".gif")
    partial = path.with_name(f".{gif.name}.part")
    colours = "split[a][b];[a]palettegen=max_colors=64:stats_mode=diff[p];[b][p]paletteuse=dither=none"
    smaller = f"fps={_GIF_FPS},scale={_GIF_WIDTH}:-2:flags=area,{colours}"
    command = [find_ffmpeg(), "-nostdin", "-y", "-loglevel", "error", "-i", str(path)]
    done = subprocess.run([*command, "-vf", smaller, "-f", "gif", str(partial)], capture_output=True, check=False)
    if done.returncode:
        partial.unlink(missing_ok=True)
        raise MtrackError(f"{gif}: ffmpeg failed: {done.stderr.decode(errors='replace').strip()}")
    partial.replace(gif)
    return gif


if __name__ == "__main__":
    main(sys.argv[1:])
