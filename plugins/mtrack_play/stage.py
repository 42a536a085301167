"""Draws the shown moment of every actor: robot, reference ghost, forces and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from mtrack_play.moment import Array, Moment
from mtrack_play.player import Player
from mtrack_view.browser_pose import move_node
from mtrack_view.browser_robot import BrowserRobot, Drag
from mtrack_view.browser_scene import GHOST, GHOST_OPACITY, Arrows, BrowserScene
from mtrack_view.posed_robot import Shapes

if TYPE_CHECKING:
    import viser

OVER, BESIDE, HIDDEN = "over the robot", "beside the robot", "hidden"
_LANE = 1.1  # m between robots that are side by side
_METRES_PER_NEWTON = 0.001
_CONTACT, _APPLIED = (0.10, 0.62, 0.35), (0.88, 0.22, 0.12)
_BESIDE = 0.1  # m, of a contact force from its body
_ABOVE = np.array([0.0, 0.0, 0.75])  # m, of a label over the root


@attrs.frozen(eq=False)
class _Actor:
    """What is drawn of one actor."""

    robot: BrowserRobot
    ghost: BrowserRobot
    contacts: Arrows
    applied: Arrows
    size: viser.LabelHandle
    """Of the applied force."""
    label: viser.LabelHandle


class Stage:
    """The scene of the window."""

    def __init__(self, server: viser.ViserServer, player: Player) -> None:
        """Add the robots of all actors."""
        self.scene = BrowserScene(server)
        self.follows = True
        """Whether the camera follows the robot."""
        self.reference = OVER
        self._player = player
        self._actors = [self._add(server, number) for number in range(len(player.session.actors))]
        self.changed()
        self.place(OVER)

    def changed(self) -> None:
        """Take note of another phase, which may have another actor and other contact sensors."""
        session = self._player.session
        self._contact_bodies = [session.robot.model.body(name).id for name in session.contact_bodies]
        for actor, name in zip(self._actors, session.actors, strict=True):
            actor.label.text = name

    def place(self, reference: str) -> None:
        """Put the reference over or beside the robot, or hide it."""
        self.reference = reference
        per_actor = 2 if reference == BESIDE else 1
        first = -0.5 * (per_actor * len(self._actors) - 1)
        for number, actor in enumerate(self._actors):
            lane = first + per_actor * number
            actor.robot.offset = (0.0, _LANE * lane, 0.0)  # the ghost is behind it
            actor.ghost.offset = (0.0, _LANE * (lane + per_actor - 1), 0.0)
            actor.ghost.visible = reference != HIDDEN

    def show(self, *, robot: bool, contacts: bool, applied: bool) -> None:
        """Draw or hide the robots, their contact forces, and the forces of pushes and pulls."""
        for actor in self._actors:
            actor.robot.visible = robot
            actor.contacts.visible, actor.applied.visible = contacts, applied

    def set_shapes(self, shapes: Shapes) -> None:
        """Draw the visual or the collision shapes of the robots."""
        for actor in self._actors:
            actor.robot.shapes = shapes
            actor.ghost.shapes = shapes

    def draw(self) -> None:
        """Draw the shown moment."""
        player = self._player
        shown = [player.session.moments[name][player.index] for name in player.session.actors]
        with self.scene.server.atomic():
            if self.follows:
                self.scene.follow(np.mean([moment.robot[:3] for moment in shown], axis=0))
            for actor, moment in zip(self._actors, shown, strict=True):
                self._draw_actor(actor, moment)

    def _draw_actor(self, actor: _Actor, moment: Moment) -> None:
        actor.robot.pose(moment.robot)
        if actor.ghost.visible:
            actor.ghost.pose(moment.reference)
        offset = actor.robot.offset
        feet = self._player.session.robot.put(moment.robot).xpos[self._contact_bodies]
        outwards = (feet - moment.robot[:3]) * (1.0, 1.0, 0.0)  # beside the feet, because the legs would hide them
        outwards *= _BESIDE / np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), _BESIDE)
        actor.contacts.update(feet + outwards + offset, moment.forces * _METRES_PER_NEWTON)
        points = _stack([force.point for force in moment.applied])
        forces = _stack([force.force for force in moment.applied])
        actor.applied.update(points + offset, forces * _METRES_PER_NEWTON)
        actor.size.visible = bool(moment.applied) and actor.applied.visible
        if actor.size.visible:
            sizes = np.linalg.norm(forces, axis=1)
            largest = int(sizes.argmax())
            actor.size.text = f"{sizes[largest]:.0f} N"
            move_node(actor.size, position=points[largest] + offset + 1.1 * forces[largest] * _METRES_PER_NEWTON)
        if actor.label.visible:
            move_node(actor.label, position=moment.robot[:3] + offset + _ABOVE)

    def _add(self, server: viser.ViserServer, number: int) -> _Actor:
        scene, session = self.scene, self._player.session
        robot, name = session.robot, session.actors[number]
        drawn = BrowserRobot(scene, robot, name)
        drawn.on_drag(lambda drag: self._drag(number, drag))
        label = server.scene.add_label(f"{scene.root}/{name} label", name, visible=len(session.actors) > 1)
        return _Actor(
            drawn,
            BrowserRobot(scene, robot, f"{name} reference", colour=GHOST, opacity=GHOST_OPACITY),
            Arrows(scene, f"{name} contacts", _CONTACT),
            Arrows(scene, f"{name} applied", _APPLIED),
            server.scene.add_label(f"{scene.root}/{name} force", "", visible=False),
            label,
        )

    def _drag(self, number: int, drag: Drag) -> None:
        """Pull a body with the mouse; called in the server's event loop."""
        session = self._player.session
        if drag.phase == "end":
            self._player.do(session.release)
        elif drag.body in session.body_names:
            self._player.do(
                lambda: session.pull(session.actors[number], drag.body, drag.point, drag.target), replaces="pull"
            )


def _stack(vectors: Sequence[Array]) -> Array:
    return np.stack(vectors) if vectors else np.zeros((0, 3))
