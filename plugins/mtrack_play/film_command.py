"""`mtrack play --video`: opens a run without a window, and films it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import attrs

from mtrack_play.evaluation_results import read_results
from mtrack_play.film import FilmOptions, film
from mtrack_play.session import Session
from mtrack_view.video import check_film_path, find_ffmpeg


class OpenSession(Protocol):
    """Opens a run with the options of the command."""

    def __call__(self, *, keep_history: bool) -> Session:
        """Return the session."""
        ...


def film_run(open_session: OpenSession, run: Path, path: Path, options: FilmOptions) -> Path:
    """Film a run, by default the worst clip of its last evaluation. Return the file, see `film`.

    `path` is an .mp4 or a directory. Raises MtrackError, ComponentError.
    """
    find_ffmpeg()  # before the run is opened, which takes seconds
    if not path.is_dir():
        check_film_path(path)
    session = open_session(keep_history=False)
    try:
        return film(session, path, attrs.evolve(options, clips=options.clips or [worst_clip(session, run)]))
    finally:
        session.close()


def worst_clip(session: Session, run: Path) -> str:
    """Return the worst clip of the last evaluation of a run, or the first one if there was none."""
    return read_results(run, session.actors[0]).worst_first(session.clips)[0]
