"""Films a run: plays clips without a window, and encodes the pictures while they are drawn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mtrack import MtrackError
from mtrack.api.device import available_cpus
from mtrack_play.moment import Moment
from mtrack_play.panes import Panes, fit_panes
from mtrack_play.session import Session
from mtrack_view.raycast import Image
from mtrack_view.video import FilmWriter

SIZE = 640, 400
"""Width and height of a film [pixels]."""
LEAST_SIZE = 320, 200
"""The smallest width and height [pixels]: the caption needs some room."""
FPS = 25.0
"""Images per simulated second."""
_ALARM_S = 1.0  # a termination is shown for at least so long, or there is no time to read it


@attrs.frozen(kw_only=True)
class FilmOptions:
    """How to film. Raises MtrackError if a number is out of range."""

    clips: Sequence[str] = ()
    """Clips to play, in this order; none: the present one."""
    seconds: float | None = None
    """Simulated time [s], with the clips again from the first if needed; None: each clip once."""
    is_beside: bool = False
    """Whether the reference has a picture of its own beside the robot, instead of a ghost around it."""
    size: tuple[int, int] = SIZE
    """Width and height [pixels]."""
    fps: float = FPS

    def __attrs_post_init__(self) -> None:
        if not all(least <= size <= 4096 for least, size in zip(LEAST_SIZE, self.size, strict=True)):
            least, given = ("x".join(map(str, size)) for size in (LEAST_SIZE, self.size))
            raise MtrackError(f"--size {given}: a film has at least {least} and at most 4096x4096 pixels")
        if not 1.0 <= self.fps <= 240.0:
            raise MtrackError(f"--fps {self.fps:g}: a film has 1 to 240 images per second")
        if self.seconds is not None and not 0.0 < self.seconds < math.inf:
            raise MtrackError(f"--seconds {self.seconds:g}: must be greater than 0")


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height of `640x400`. Raises MtrackError."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise MtrackError(f"--size {text}: expected two numbers, such as {SIZE[0]}x{SIZE[1]}")
    return int(width), int(height)


@attrs.frozen(eq=False)
class _Shot:
    """What one image of the film shows."""

    panes: Panes
    moments: dict[str, Moment]
    """By actor."""
    alarms: dict[str, str]
    """By actor: the terminations that would have ended the episode a moment ago; "" for none."""

    def draw(self) -> Image:
        """Return the image."""
        return self.panes.draw(self.moments, self.alarms)


def film(session: Session, path: Path, options: FilmOptions) -> Path:
    """Play clips and film them into an .mp4; into a directory, under the name of the checkpoint. Return the file.

    Ctrl-C ends the film early and keeps it. Memory does not grow with the length of the film if the session keeps no
    history. Raises MtrackError, ComponentError.
    """
    if path.is_dir():
        path /= f"{session.checkpoint}.mp4"
    clips = [session.clip_index(name) for name in options.clips] or [session.clip]
    count = round(_duration(session, clips, options.seconds) * options.fps)
    with FilmWriter(path, options.fps, *options.size) as writer, _progress() as progress:
        bar = progress.add_task(f"filming {path.name}", total=max(1, count))
        try:
            for image in _images(session, clips, count, options):
                writer.add(image)
                progress.advance(bar)
        except KeyboardInterrupt:
            if not writer.frames:
                raise
    return path


def _duration(session: Session, clips: Sequence[int], seconds: float | None) -> float:
    """Return the length of the film [s]."""
    return seconds or sum(session.lengths[clip] for clip in clips) * session.dt


def _images(session: Session, clips: Sequence[int], count: int, options: FilmOptions) -> Iterator[Image]:
    """Yield the images of the film, drawn on all CPUs while the session is stepped."""
    waiting: deque[Future[Image]] = deque()
    threads = available_cpus()
    pool = ThreadPoolExecutor(threads)
    try:
        for shot in _shots(session, clips, count, options):
            waiting.append(pool.submit(shot.draw))
            if len(waiting) > 2 * threads:  # no more, or images would pile up in memory
                yield waiting.popleft().result()
        for image in waiting:
            yield image.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _shots(session: Session, clips: Sequence[int], count: int, options: FilmOptions) -> Iterator[_Shot]:
    """Step the session, and yield what it shows at the time of each image."""
    panes, filmed, time = None, 0, 0.0
    for clip in clips if options.seconds is None else cycle(clips):
        if panes is None or panes.title != session.clips[clip]:
            panes = fit_panes(session, clip, options.size, options.is_beside)
        session.restart(clip)
        alarms = _Alarms(session.actors)
        while filmed < count:
            moments = {actor: session.moments[actor][-1] for actor in session.actors}
            alarms.add(time, moments)
            while filmed < count and filmed / options.fps <= time + 1e-9:
                yield _Shot(panes, moments, alarms.texts(time))
                filmed += 1
            time += session.dt
            if session.at_end:
                break
            session.step()
        if filmed >= count:
            return


class _Alarms:
    """Keeps terminations for a moment, so that there is time to read them."""

    def __init__(self, actors: Sequence[str]) -> None:
        """Start without any."""
        self._times: dict[str, dict[str, float]] = {actor: {} for actor in actors}

    def add(self, time: float, moments: Mapping[str, Moment]) -> None:
        """Note the terminations of a step at a time [s]."""
        for actor, moment in moments.items():
            self._times[actor] |= dict.fromkeys(moment.terminations, time)
            if moment.is_diverged:
                self._times[actor]["diverged"] = time

    def texts(self, time: float) -> dict[str, str]:
        """Return what to show at a time [s], by actor."""
        recent = {
            actor: [name for name, at in times.items() if time - at < _ALARM_S] for actor, times in self._times.items()
        }
        return {actor: "ended by " + ", ".join(names) if names else "" for actor, names in recent.items()}


def _progress() -> Progress:
    """Return a progress bar on stderr, which only a terminal shows."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
