"""The panel that chooses what is drawn at random, as in training, and what is nominal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mtrack_play.gui import icon, line, on_change, on_click, set_value
from mtrack_play.player import Player, PlayerDisplay

if TYPE_CHECKING:
    import viser


class RandomizationPanel:
    """A checkbox for each randomization of the recipe."""

    def __init__(self, server: viser.ViserServer, player: Player, display: PlayerDisplay) -> None:
        """Add the panel."""
        self._player, self._display = player, display
        gui = server.gui
        gui.add_html(line("Sampled as in training if on, nominal if off. A change starts the clip again.", size=0.75))
        self._folder = gui.add_folder(None)
        self._gui = gui
        self._boxes: dict[str, viser.GuiCheckboxHandle] = {}
        again = gui.add_button("Draw again", icon=icon("DICE"))
        on_click(player, again, lambda _: player.reset(display, player.session.draw_again))
        self.draw()

    def draw(self) -> None:
        """Show what is sampled; another phase may have other randomizations."""
        sampled = self._player.session.randomizations
        if sampled.keys() != self._boxes.keys():
            for box in self._boxes.values():
                box.remove()
            with self._folder:
                self._boxes = {name: self._add(name, value) for name, value in sampled.items()}
        for name, value in sampled.items():
            set_value(self._boxes[name], value)

    def _add(self, name: str, is_sampled: bool) -> viser.GuiCheckboxHandle:
        box = self._gui.add_checkbox(name.replace("_", " "), is_sampled)
        on_change(self._player, box, partial(self._set, name))
        return box

    def _set(self, name: str, is_sampled: bool) -> None:
        session = self._player.session
        self._player.reset(self._display, partial(session.set_sampled, name, is_sampled))
