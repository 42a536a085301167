"""The panel that chooses what is drawn, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mtrack_play.gui import on_change
from mtrack_play.player import Player
from mtrack_play.stage import BESIDE, HIDDEN, OVER, Stage
from mtrack_view.posed_robot import Shapes

if TYPE_CHECKING:
    import viser


class ViewPanel:
    """Robot, reference, shapes, forces, camera and colours of the page."""

    def __init__(self, server: viser.ViserServer, player: Player, stage: Stage) -> None:
        """Add the panel."""
        self._server, self._stage = server, stage
        gui = server.gui
        reference = gui.add_dropdown("reference", (OVER, BESIDE, HIDDEN), initial_value=OVER)
        shapes = gui.add_dropdown("shapes", ("drawn", "collision"), initial_value="drawn")
        self._robot = gui.add_checkbox("robot", True)
        self._contacts = gui.add_checkbox("contact forces", True, hint="Green arrows, 1 m per 1000 N.")
        self._applied = gui.add_checkbox("pushes and pulls", True, hint="Red arrows, 1 m per 1000 N.")
        follow = gui.add_checkbox("follow the robot", True)
        dark = gui.add_checkbox("dark", False)
        on_change(player, reference, stage.place)
        on_change(player, shapes, lambda which: stage.set_shapes(cast(Shapes, which)))
        for box in (self._robot, self._contacts, self._applied):
            on_change(player, box, self._show)
        on_change(player, follow, self._follow)
        on_change(player, dark, self._set_dark)

    def _show(self, _: Any) -> None:
        self._stage.show(robot=self._robot.value, contacts=self._contacts.value, applied=self._applied.value)

    def _follow(self, follows: bool) -> None:
        self._stage.follows = follows

    def _set_dark(self, is_dark: bool) -> None:
        self._server.gui.configure_theme(dark_mode=is_dark, show_logo=False, show_share_button=False)
