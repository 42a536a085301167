"""The panel that pushes the robot, and the spring with which the mouse pulls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtrack_play.forces import STIFFNESS
from mtrack_play.gui import line, on_change
from mtrack_play.player import Player

if TYPE_CHECKING:
    import viser

IMPULSES = (10.0, 25.0, 50.0)
"""Sizes of the pushes [N s]."""
DIRECTIONS = {
    "forward": (1.0, 0.0, 0.0),
    "back": (-1.0, 0.0, 0.0),
    "left": (0.0, 1.0, 0.0),
    "right": (0.0, -1.0, 0.0),
}
_STIFFNESSES = (50.0, 2000.0)  # N/m, least and most


class ForcesPanel:
    """Buttons that push a chosen body; settings of the pull."""

    def __init__(self, server: viser.ViserServer, player: Player) -> None:
        """Add the panel."""
        self._player = player
        gui, session = server.gui, player.session
        self._body = gui.add_dropdown("body", session.body_names, initial_value=session.push_body)
        for direction in DIRECTIONS:
            self._add_buttons(gui, direction)
        gui.add_html(line("Pull: drag a part of the robot with the mouse. The robot must be playing.", size=0.75))
        low, high = _STIFFNESSES
        stiffness = gui.add_slider("spring N/m", min=low, max=high, step=50.0, initial_value=STIFFNESS)
        on_change(player, stiffness, session.set_stiffness, is_latest_enough=True)

    def _add_buttons(self, gui: viser.GuiApi, direction: str) -> None:
        buttons = gui.add_button_group(direction, tuple(f"{impulse:g} N s" for impulse in IMPULSES))

        async def clicked(event: viser.GuiEvent[Any]) -> None:
            if event.client_id is not None:
                size, body = float(buttons.value.split()[0]), self._body.value
                x, y, z = DIRECTIONS[direction]
                self._player.do(lambda: self._player.session.push((x * size, y * size, z * size), body))

        buttons.on_click(clicked)
