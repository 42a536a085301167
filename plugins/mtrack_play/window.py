"""The play window in the browser: the scene, its panels, and messages."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mtrack_log.films import FOLDER
from mtrack_play.capture import Capture
from mtrack_play.clips import Clips
from mtrack_play.evaluation_results import Results
from mtrack_play.forces_panel import ForcesPanel
from mtrack_play.player import Player
from mtrack_play.plots import Plots
from mtrack_play.randomization_panel import RandomizationPanel
from mtrack_play.stage import Stage
from mtrack_play.transport import Transport
from mtrack_play.view_panel import ViewPanel

if TYPE_CHECKING:
    import viser

_LAST_S = 0.3  # until the last message has reached the browsers
_WIDTH, _PLOTS_WIDTH = 300, 300  # pixels of the docked panels


class Window:
    """Shows a player to every browser that opens the server's address; it fulfils `PlayerDisplay`."""

    def __init__(
        self,
        server: viser.ViserServer,
        player: Player,
        run: Path,
        results: Results,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Add the scene and all panels; `results` are those of the last evaluation, `say` writes to the terminal."""
        self.server, self._player, self._run, self._say = server, player, run, say
        self._checkpoint = time.strftime("%H:%M:%S")
        self._watchers = 0
        gui = server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)  # sharing would need a server elsewhere
        self._message = gui.add_html("", visible=False)
        self.stage = Stage(server, player)
        self._transport = Transport(server, player, self)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Clip"):
            self._clips = Clips(server, player, self, results, str(run))
            self._facts = gui.add_html("")
        with tabs.add_tab("Forces"):
            self._forces = ForcesPanel(server, player)
        with tabs.add_tab("Random"):
            self._randomizations = RandomizationPanel(server, player, self)
        with tabs.add_tab("View"):
            self._view = ViewPanel(server, player, self.stage)
        with tabs.add_tab("Save"):
            self.capture = Capture(server, player, self, run, run / FOLDER)
        panel = gui.add_panel()
        with panel.add_tab("Plots"):
            self._plots = Plots(server, player)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(_WIDTH)
        panel.dock_left()
        panel.set_width(_PLOTS_WIDTH)
        self._show_facts()
        server.on_client_connect(self._joined)
        server.on_client_disconnect(self._left)

    # ---- what the player reports, see `PlayerDisplay`

    def stepped(self) -> None:
        """Take note of a control step, for plots and recordings."""
        self._plots.stepped()
        self.capture.stepped()

    def changed(self) -> None:
        """Take note of a new episode or of a return to an earlier moment."""
        self.stage.changed()
        self._plots.changed()
        self._transport.changed()
        self._clips.draw()
        self._randomizations.draw()
        self._message.visible = False

    def is_watched(self) -> bool:
        """Return whether a browser is open."""
        return self._watchers > 0

    def draw(self) -> bool:
        """Draw the moment that the player shows; return whether all of it is drawn, or some is left for later."""
        self.stage.draw()
        self._transport.draw()
        return self._plots.update()

    def loaded(self, checkpoint: str) -> None:
        """Show that a newer checkpoint plays."""
        self._checkpoint = time.strftime("%H:%M:%S")
        self._plots.mark()
        self.changed()
        self._show_facts()
        self._say(f"playing {checkpoint}")
        for client in self.server.get_clients().values():
            text = f"{checkpoint} at {self._checkpoint}"
            client.add_notification("new checkpoint", text, color="violet", auto_close_seconds=6.0)

    def warn(self, message: str) -> None:
        """Show a problem that does not end the playing, until a new episode is asked for or a checkpoint is loaded."""
        self._say(message)
        self._show_message(message, "#b35c00")

    # ---- the end

    def fail(self, message: str) -> None:
        """Show why playing has ended, until the page is closed."""
        self._show_message(message, "#e03131")
        self.server.flush()
        time.sleep(_LAST_S)

    def _show_message(self, message: str, colour: str) -> None:
        style = f"margin:0.5em;padding:0.6em;border-radius:4px;background:{colour};color:#fff;font-size:0.85em"
        self._message.content = f'<div style="{style};overflow-wrap:anywhere">{html.escape(message)}</div>'
        self._message.visible = True

    def _show_facts(self) -> None:
        session = self._player.session
        follows = "; newer ones are loaded" if self._player.is_following else ""
        rows = {
            "run": str(self._run),
            "checkpoint": f"{session.checkpoint} at {self._checkpoint}{follows}",
            "actor": " and ".join(session.actors),
        }
        text = "<br>".join(
            f'<span style="opacity:0.6">{name}</span> {html.escape(value)}' for name, value in rows.items()
        )
        self._facts.content = f'<div style="padding:0.2em 0.9em;font-size:0.75em;overflow-wrap:anywhere">{text}</div>'

    async def _joined(self, _: viser.ClientHandle) -> None:
        self._watchers += 1
        self._player.do(self._player.redraw)

    async def _left(self, client: viser.ClientHandle) -> None:
        self._watchers -= 1
        self._player.do(lambda: self.capture.left(client.client_id))
