"""A robot in a browser, drawn with viser: one node per body, which a pose moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import attrs
import mujoco
import numpy as np

from mtrack_view.body_tree import BodyTree
from mtrack_view.browser_pose import move_node
from mtrack_view.browser_scene import BrowserScene, Colour, of_light, screen_colour
from mtrack_view.posed_robot import Array, PosedRobot, Shapes
from mtrack_view.surface import merge, surface_of

if TYPE_CHECKING:
    from viser import FrameHandle, MeshHandle, SceneNodeDragEvent

_SAME = 1e-9  # m, or of a quaternion: what a body does not move by rounding
_LABEL = (0.0, 0.0, 0.75)  # m, above the root
_KIND = mujoco.mjtGeom


@attrs.frozen(eq=False)
class Drag:
    """One event of a mouse that drags a body."""

    phase: Literal["start", "update", "end"]
    body: str
    """Name of the body, as in the robot's description."""
    point: Array
    """[3] m, what the mouse grabbed, in the frame of the body; the same from start to end."""
    target: Array
    """[3] m, where the mouse is now, in the world; the robot's offset is subtracted."""
    client_id: int
    """Number of the browser window."""


class BrowserRobot:
    """A robot in the scene of a viser server.

    The nodes are a tree like the bodies, so that a robot with hinges sends one quaternion per joint that moved. Shapes
    become meshes once, one for each body and colour.
    """

    def __init__(
        self,
        scene: BrowserScene,
        robot: PosedRobot,
        name: str,
        *,
        colour: Colour | None = None,
        opacity: float = 1.0,
        shapes: Shapes = "drawn",
        offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
        rounding: float = 0.0,
    ) -> None:
        """Add a robot whose bodies are at the origin; `pose` moves them.

        Without a colour it has those of its description. `offset` [m] moves the whole robot, e.g. beside another one.
        Positions and quaternions are multiples of `rounding`, if it is not 0, so that recordings are small.
        """
        self.robot, self.colour, self.opacity = robot, colour, opacity
        self._scene, self._rounding = scene, rounding
        model = robot.model
        self._tree = BodyTree(robot)
        count = len(self._tree.bodies)
        self._quat, self._position = np.full((count, 4), np.nan), np.full((count, 3), np.nan)
        self._base = scene.server.scene.add_frame(f"{scene.root}/{name}", show_axes=False, position=offset)
        self.nodes: dict[int, FrameHandle] = {}
        """The node of each body, by its index in the model; below the node of its parent."""
        for body in self._tree.bodies.tolist():
            parent = self.nodes.get(int(model.body_parentid[body]), self._base)
            self.nodes[body] = scene.server.scene.add_frame(f"{parent.name}/{_label(model, body)}", show_axes=False)
        self._meshes: dict[Shapes, list[MeshHandle]] = {}
        self._draggers: list[Callable[[Drag], None]] = []
        self._grabbed: dict[int, Array] = {}
        self._shapes: Shapes = shapes
        self.shapes = shapes

    @property
    def bodies(self) -> tuple[str, ...]:
        """Names of the bodies that have a node."""
        return self._tree.names

    @property
    def visible(self) -> bool:
        """Whether the robot is drawn."""
        return self._base.visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        self._base.visible = visible

    @property
    def offset(self) -> Array:
        """How far the whole robot is moved, [3] m."""
        return self._base.position.copy()

    @offset.setter
    def offset(self, offset: tuple[float, float, float]) -> None:
        self._base.position = offset

    @property
    def shapes(self) -> Shapes:
        """Which of its shapes are drawn."""
        return self._shapes

    @shapes.setter
    def shapes(self, shapes: Shapes) -> None:
        self._shapes = shapes
        with self._scene.server.atomic():
            if shapes not in self._meshes:
                self._meshes[shapes] = self._add_meshes(shapes)
            for which, meshes in self._meshes.items():
                for mesh in meshes:
                    mesh.visible = which == shapes

    def pose(self, pose: Array) -> None:
        """Move the robot into a pose [7 + J], see `PosedRobot.posed`. It stays where it is if the pose has a NaN."""
        if not np.isfinite(pose).all():
            return
        position, quat = self._tree.relative(self.robot.put(pose))
        if self._rounding:
            position, quat = (np.round(x / self._rounding) * self._rounding for x in (position, quat))
        # a NaN, of bodies that have no pose yet, differs from everything
        shifted = ~(np.abs(position - self._position) <= _SAME).all(1)
        turned = ~(np.abs(quat - self._quat) <= _SAME).all(1)
        with self._scene.server.atomic():
            for index in np.flatnonzero(shifted | turned).tolist():
                node = self.nodes[int(self._tree.bodies[index])]
                move_node(
                    node,
                    position=position[index] if shifted[index] else None,
                    quat_wxyz=quat[index] if turned[index] else None,
                )
        # only what was sent, so that many small steps do not add up to a large one that is never sent
        self._position[shifted], self._quat[turned] = position[shifted], quat[turned]

    def meshes(self) -> list[MeshHandle]:
        """Return the meshes of all shapes that have been drawn so far, visible or not."""
        return [mesh for meshes in self._meshes.values() for mesh in meshes]

    def lowest_point(self, pose: Array, shapes: Shapes = "collision") -> float:
        """Return the height of the robot's lowest point in a pose [m]."""
        return self.robot.lowest_point(pose, shapes)

    def body_pose(self, body: int) -> tuple[Array, Array]:
        """Return the position [3] m and rotation [3, 3] that a body's nodes have, without the robot's offset."""
        position, rotation, turn = np.zeros(3), np.eye(3), np.empty(9)
        while body in self.nodes:
            node = self.nodes[body]
            mujoco.mju_quat2Mat(turn, node.wxyz)
            parent = turn.reshape(3, 3)
            position, rotation = node.position + parent @ position, parent @ rotation
            body = int(self.robot.model.body_parentid[body])
        return position, rotation

    def on_drag(self, callback: Callable[[Drag], None]) -> None:
        """Call a function with each event of a left mouse button that drags a body.

        It runs in the server's event loop, in the order of events, so it must be quick.
        """
        self._draggers.append(callback)
        if len(self._draggers) == 1:
            for mesh in self.meshes():
                self._listen(mesh)

    def add_label(self, text: str) -> None:
        """Write a text above the robot."""
        root = self.nodes[self.robot.root].name
        self._scene.server.scene.add_label(f"{root}/label", text, position=_LABEL, anchor="bottom-center")

    def remove(self) -> None:
        """Remove the robot from the scene."""
        self._base.remove()

    def _add_meshes(self, shapes: Shapes) -> list[MeshHandle]:
        model = self.robot.model
        groups: dict[tuple[int, tuple[int, int, int], bool], list[int]] = {}
        for geom in self.robot.geoms(shapes).tolist():
            colour = of_light(self.robot.colour[geom]) if self.colour is None else screen_colour(self.colour)
            is_mesh = model.geom_type[geom] == _KIND.mjGEOM_MESH
            groups.setdefault((int(model.geom_bodyid[geom]), colour, bool(is_mesh)), []).append(geom)
        rotation = np.empty(9)
        meshes: list[MeshHandle] = []
        for number, ((body, colour, is_mesh), geoms) in enumerate(groups.items()):
            parts = []
            for geom in geoms:
                mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
                parts.append(surface_of(model, geom).moved(model.geom_pos[geom], rotation.reshape(3, 3)))
            surface = merge(parts)
            mesh = self._scene.server.scene.add_mesh_simple(
                f"{self.nodes[body].name}/{shapes} {number}",
                surface.vertices,
                surface.faces,
                color=colour,
                opacity=None if self.opacity >= 1.0 else self.opacity,
                flat_shading=is_mesh,
                cast_shadow=self.opacity >= 1.0,
            )
            meshes.append(mesh)
            if self._draggers:
                self._listen(mesh)
        return meshes

    def _listen(self, mesh: MeshHandle) -> None:
        owner = mesh.name.rpartition("/")[0]
        body = next(index for index, node in self.nodes.items() if node.name == owner)

        async def forward(event: SceneNodeDragEvent[MeshHandle]) -> None:
            offset = self._base.position
            if event.phase == "start":
                grabbed = self._scene.from_browser(event.start_position) - offset
                position, rotation = self.body_pose(body)
                self._grabbed[event.client_id] = rotation.T @ (grabbed - position)
            point = self._grabbed.get(event.client_id, np.zeros(3))
            target = self._scene.from_browser(event.end_position) - offset
            drag = Drag(event.phase, self.robot.model.body(body).name, point, target, event.client_id)
            for callback in self._draggers:
                callback(drag)

        mesh.on_drag("left")(forward)


def _label(model: mujoco.MjModel, body: int) -> str:
    """Return the name of a body's node: a slash would separate two nodes."""
    return (model.body(body).name or f"body {body}").replace("/", "|")
