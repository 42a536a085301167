"""Draws a robot from the front and the left: its named sets in colours, the axes of its joints as lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import mujoco
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mtrack import MtrackError, Robot, RobotModel
from mtrack_view.camera import Camera, fit_camera
from mtrack_view.posed_robot import Array, PosedRobot, linear
from mtrack_view.raycast import Renderer, RenderQuality

_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "feet": (0.85, 0.25, 0.2),
    "shins": (0.95, 0.6, 0.25),
    "thighs": (0.95, 0.8, 0.3),
    "pelvis": (0.35, 0.65, 0.4),
    "chest": (0.3, 0.55, 0.8),
    "upper_arms": (0.5, 0.4, 0.75),
    "forearms": (0.7, 0.45, 0.75),
    "hands": (0.85, 0.45, 0.65),
    "head": (0.35, 0.7, 0.75),
}
_VIEWS = {"front": 0.0, "left": np.pi / 2}
_WIDTH, _HEIGHT, _DPI = 400, 572, 100
_RAYS, _LIGHTS = 1, 3  # few: detailed meshes are slow to render
_AXIS_LENGTH = 0.05  # m
_SHARE = 0.65  # of the colour of a set


def draw_robot(path: Path, robot: Robot, title: str) -> None:
    """Draw a robot in its standing pose as PNG. Raises MtrackError."""
    names, posed = robot.model(), PosedRobot(robot)
    colours = _colour_sets(posed, names)
    pose = np.concatenate((names.default_root_pos.numpy(), (1.0, 0.0, 0.0, 0.0), names.default_joint_pos.numpy()))
    pose = pose.astype(np.float64)
    positions = posed.body_positions(pose[None])
    figure = Figure(figsize=(13, 9.6), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.02, 0.965, title, fontsize=15, weight="bold", color="#22262c")
    for column, (view, azimuth) in enumerate(_VIEWS.items()):
        camera = fit_camera(positions, pose[None, :3], azimuth, aspect=_WIDTH / _HEIGHT)
        quality = RenderQuality(_WIDTH, _HEIGHT, _RAYS, _LIGHTS)
        image = Renderer(posed, camera, quality).render(pose, pose[:3])
        axes = figure.add_axes((0.01 + 0.495 * column, 0.05, 0.485, 0.9))
        axes.imshow(image, interpolation="lanczos")
        axes.set_axis_off()
        axes.text(10, 22, view, fontsize=12, color="#22262c")
        _draw_axes(axes, posed.put(pose), posed.model, names, camera, pose[:3])
    for index, (name, colour) in enumerate(colours.items()):
        figure.text(0.02 + 0.105 * index, 0.02, f"\u25a0 {name}", fontsize=11, color=colour)
    try:
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as error:
        raise MtrackError(f"cannot write {path}: {error.strerror or error}; choose another folder") from None


def _colour_sets(posed: PosedRobot, names: RobotModel) -> dict[str, tuple[float, float, float]]:
    """Colour the shapes of each set, and return the colours of the sets that the robot has."""
    model, used, done = posed.model, dict[str, tuple[float, float, float]](), set[int]()
    for name, colour in _COLOURS.items():
        for member in (int(model.body(member).id) for member in names.sets.get(name, ())):
            # a frame has no shapes: it colours the body that it is fixed to, unless another set does
            body = member if model.body_geomnum[member] else int(model.body_weldid[member])
            if body not in done:
                shapes = model.geom_bodyid == body
                posed.colour[shapes] = (1 - _SHARE) * posed.colour[shapes] + _SHARE * linear(*colour)
                used[name] = colour
            done.add(body)
    return used


def _draw_axes(
    axes: Axes, data: mujoco.MjData, model: mujoco.MjModel, names: RobotModel, camera: Camera, root: Array
) -> None:
    for joint in names.joint_names:
        place = int(model.joint(joint).id)
        anchor, direction = data.xanchor[place], data.xaxis[place]
        ends = np.stack((anchor - _AXIS_LENGTH * direction, anchor + _AXIS_LENGTH * direction))
        x, y = _pixels(ends, camera, root).T
        axes.plot(x, y, color="#111418", linewidth=1.6, solid_capstyle="round")
        axes.plot(x[1:], y[1:], "o", color="#111418", markersize=3.5)  # the end to which the axis points


def _pixels(points: Array, camera: Camera, followed: Array) -> Array:
    """Return where points [P, 3] m are in an image, [P, 2]."""
    seen = (points - camera.target(followed)) @ camera.axes.T
    flat = seen[:, :2] / (1.0 + seen[:, 2:] / camera.distance)
    scale = _HEIGHT / (2.0 * camera.half_height)
    return np.stack((_HEIGHT * camera.aspect / 2 + scale * flat[:, 0], _HEIGHT / 2 - scale * flat[:, 1]), axis=1)
