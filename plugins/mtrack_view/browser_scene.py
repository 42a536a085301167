"""The surroundings of robots in a browser: floor, camera, arrows, and a world that can follow a robot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mtrack_view.browser_pose import move_node
from mtrack_view.posed_robot import Array, to_screen

if TYPE_CHECKING:
    import viser

Colour = tuple[float, float, float]
"""Red, green and blue on a screen, 0 to 1."""

GHOST: Colour = (0.16, 0.55, 0.95)
"""The colour of a reference."""
GHOST_OPACITY = 0.45
_WORLD = "/world"
_CAMERA, _LOOK_AT, _FIELD_OF_VIEW = (2.6, -2.0, 1.45), (0.0, 0.0, 0.72), np.radians(38.0)  # m, m, rad
_CELL, _SECTION, _FAR = 0.5, 2.5, 14.0  # m: small squares, large squares, where the floor fades out
_SHAFT, _HEAD, _HEAD_LENGTH = 0.008, 0.022, 0.05  # m, of an arrow


class BrowserScene:
    """The world of one server: everything in it moves together if it follows a robot, so that cameras need not move.

    All nodes are below `/world`.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        """Add the floor and set the camera of new browser windows."""
        self.server = server
        self.root = _WORLD
        """Path of the node that all others are below."""
        self.origin = np.zeros(3)
        """[3] m, the point of the world that is in the middle of the browser's coordinates."""
        server.scene.set_up_direction("+z")
        self._world = server.scene.add_frame(_WORLD, show_axes=False)
        self.floor = server.scene.add_grid(
            f"{_WORLD}/floor",
            infinite_grid=True,
            cell_size=_CELL,
            section_size=_SECTION,
            cell_color=(150, 156, 165),
            section_color=(120, 126, 136),
            fade_distance=_FAR,
            plane_color=(128, 134, 142),
            plane_opacity=0.12,
            shadow_opacity=0.4,
        )
        # the sky as one light: a browser without a GPU needs 15 s to prepare viser's environment map
        server.scene.configure_environment_map(hdri=None)
        server.scene.add_light_hemisphere(
            f"{_WORLD}/sky", sky_color=(255, 255, 255), ground_color=(150, 150, 155), intensity=2.2
        )
        self.look(_CAMERA, _LOOK_AT)

    def look(self, position: tuple[float, float, float], at: tuple[float, float, float]) -> None:
        """Set where the camera of a new window is and what it looks at, [3] m each."""
        camera = self.server.initial_camera
        camera.position, camera.look_at, camera.fov = position, at, float(_FIELD_OF_VIEW)

    def follow(self, point: Array) -> None:
        """Move the world so that a point [3] m is above the middle of the browser's coordinates; heights stay."""
        if np.isfinite(point).all():
            self.origin = point * (1.0, 1.0, 0.0)
            move_node(self._world, position=-self.origin)

    def from_browser(self, point: tuple[float, float, float]) -> Array:
        """Return a point of the browser's coordinates, e.g. of a drag event, in the world, [3] m."""
        return np.asarray(point, np.float64) + self.origin


class Arrows:
    """Arrows of one colour, e.g. forces, all drawn as one node."""

    def __init__(self, scene: BrowserScene, name: str, colour: Colour) -> None:
        """Add an empty set of arrows."""
        self._handle = scene.server.scene.add_arrows(
            f"{scene.root}/{name}",
            np.zeros((1, 2, 3)),
            screen_colour(colour),
            shaft_radius=_SHAFT,
            head_radius=_HEAD,
            head_length=_HEAD_LENGTH,
            visible=False,
        )
        self.visible = True
        """Whether arrows are drawn; takes effect with the next update."""

    def update(self, starts: Array, vectors: Array) -> None:
        """Draw arrows from points [N, 3] m along vectors [N, 3] m; shorter than 1 mm, or not finite: not drawn."""
        long = np.isfinite(starts).all(1) & (np.linalg.norm(np.nan_to_num(vectors), axis=1) > 1e-3)
        long &= np.isfinite(vectors).all(1)
        if self.visible and long.any():
            # the point of an arrow is in addition to its vector, so that small forces are not only a head
            vectors = vectors[long]
            tips = vectors * (1.0 + _HEAD_LENGTH / np.linalg.norm(vectors, axis=1, keepdims=True))
            self._handle.points = np.stack((starts[long], starts[long] + tips), axis=1).astype(np.float32)
            self._handle.visible = True
        else:
            self._handle.visible = False

    def remove(self) -> None:
        """Remove the arrows."""
        self._handle.remove()


def screen_colour(colour: Colour) -> tuple[int, int, int]:
    """Return a colour as viser takes it, 0 to 255."""
    red, green, blue = (round(255.0 * min(max(value, 0.0), 1.0)) for value in colour)
    return red, green, blue


def of_light(light: Array) -> tuple[int, int, int]:
    """Return linear light [3] as viser takes it, 0 to 255."""
    red, green, blue = to_screen(light).tolist()
    return red, green, blue
