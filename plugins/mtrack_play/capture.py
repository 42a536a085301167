"""The panel that keeps what is shown: a screenshot, a film, or the state of the simulation."""

from __future__ import annotations

import io
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mtrack import MtrackError
from mtrack_play.gui import icon, on_click
from mtrack_play.player import Player, PlayerDisplay
from mtrack_play.recording import BrowserRecording, film_size, take_image
from mtrack_view.raycast import Image

if TYPE_CHECKING:
    import viser


class Capture:
    """Buttons for a screenshot, a film, and a copy of the state."""

    def __init__(
        self, server: viser.ViserServer, player: Player, display: PlayerDisplay, run: Path, films: Path
    ) -> None:
        """Add the panel; films go to the folder `films`."""
        self._player, self._display, self._run, self._films = player, display, run, films
        self.recording: BrowserRecording | None = None
        gui = server.gui
        screenshot = gui.add_button("Screenshot", icon=icon("CAMERA"))
        self._record = gui.add_button("Record", icon=icon("PLAYER_RECORD"), color="red")
        self._film = gui.add_markdown("", visible=False)
        state = gui.add_button("Copy state", icon=icon("COPY"), hint="Save the shown moment as a reproduction file.")
        self._state = gui.add_markdown("", visible=False)
        screenshot.on_click(self._take_screenshot)
        on_click(player, self._record, self._start_or_stop)
        on_click(player, state, lambda _: self._copy_state())

    def stepped(self) -> None:
        """Record an image if one is due after this step; a browser that was closed ends the recording."""
        recording = self.recording
        if recording is None or not recording.is_due_after(self._player.session.dt):
            return
        self._display.draw()
        try:
            recording.add()
        except MtrackError as error:
            self.stop(f"the recording has ended, because {error}")

    def left(self, client_id: int) -> None:
        """End the recording of a browser that was closed."""
        if self.recording is not None and self.recording.client.client_id == client_id:
            self.stop("the recording has ended, because the browser was closed")

    def stop(self, reason: str = "") -> None:
        """Finish the film if one is being recorded."""
        recording, self.recording = self.recording, None
        if recording is None:
            return
        self._record.label, self._record.icon = "Record", icon("PLAYER_RECORD")
        try:
            recording.close()
        except MtrackError as error:
            self._display.warn(str(error))
            return
        path = recording.path
        self._film.content = f"{recording.frames} images in\n\n`{path}`"
        self._film.visible = True
        if reason:
            self._display.warn(f"{reason}; {recording.frames} images are in {path}")
        else:
            recording.client.send_file_download(path.name, path.read_bytes())

    def _start_or_stop(self, client: viser.ClientHandle) -> None:
        if self.recording is not None:
            self.stop()
            return
        session = self._player.session
        self.recording = BrowserRecording(client, self._films, session.clips[session.clip])
        self._record.label, self._record.icon = "Stop recording", icon("PLAYER_STOP")
        self._film.content, self._film.visible = "Recording while it plays: 25 images per simulated second.", True
        self._player.play(True)

    def _take_screenshot(self, event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
        """Send an image of the view to the browser; on a thread of its own, because it waits for the browser."""
        client = event.client
        if client is None:
            return
        session = self._player.session
        name = f"{session.clips[session.clip]}-{session.frame:05d}.png"
        try:
            image = take_image(client, *film_size(client))
        except MtrackError as error:
            self._player.do(partial(self._display.warn, f"no screenshot: {error}"))
            return
        client.send_file_download(name, _png(image), save_immediately=True)

    def _copy_state(self) -> None:
        self._player.return_to_shown(self._display)
        path = self._player.session.save_state()
        run, file = shlex.quote(str(self._run)), shlex.quote(str(path))
        commands = f"mtrack play {run} --state {file}\nmtrack doctor --replay {file}"
        self._state.content = f"Saved. Read it with\n\n```\n{commands}\n```"
        self._state.visible = True


def _png(image: Image) -> bytes:
    """Return an image [H, W, 3] as a .png."""
    from matplotlib.image import imsave  # noqa: PLC0415  slow to import

    buffer = io.BytesIO()
    imsave(buffer, image, format="png")
    return buffer.getvalue()
