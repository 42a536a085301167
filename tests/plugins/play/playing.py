"""A play window of a session without physics, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from fake_session import FakeSession

from mtrack_eval.stored import StoredClip
from mtrack_play.evaluation_results import Results
from mtrack_play.player import Player
from mtrack_play.window import Window
from mtrack_view.serve import close_server, open_server

CLIPS = (StoredClip("turn", 0.5, 90.0), StoredClip("walk", 0.5, 80.0), StoredClip("stand", 1.0, 6.0))
RESULTS = Results({clip.name: clip for clip in CLIPS}, "mm")


@attrs.frozen
class Playing:
    session: FakeSession
    player: Player
    window: Window
    port: int
    errors: list[Exception]
    said: list[str]


@contextmanager
def playing(run: Path, session: FakeSession, *, follow: bool = False, results: Results = RESULTS) -> Iterator[Playing]:
    """Play a session until the block ends."""
    player = Player(session, is_following=follow)  # type: ignore[arg-type]
    server = open_server("127.0.0.1", 0, lambda _: None)
    said: list[str] = []
    window = Window(server, player, run, results, said.append)
    errors: list[Exception] = []

    def play() -> None:
        try:
            player.run(window)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield Playing(session, player, window, server.get_port(), errors, said)
    finally:
        player.stop()
        thread.join(20)
        window.capture.stop()
        close_server(server)
