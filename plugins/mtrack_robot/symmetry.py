"""Makes a robot exactly symmetric: its right side becomes the mirror image of its left side."""

from __future__ import annotations

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import MtrackError
from mtrack_robot.description import RobotDescription

_POINT = np.array([1.0, -1.0, 1.0])  # reflection in the x-z plane
_QUAT = np.array([1.0, -1.0, 1.0, -1.0])


def symmetrise(spec: mujoco.MjSpec, robot: RobotDescription) -> None:
    """Mirror the left side of a description: frames, inertias, ranges, colliding shapes; level the middle bodies.

    Meshes stay as they are. Raises MtrackError if two sides do not have as many joints and colliding shapes.
    """
    right = set(robot.mirrored_bodies.values())
    signs = {joint.name: joint.sign for joint in robot.joints}
    partners = {joint.name: joint.mirror for joint in robot.joints}
    for name, other in robot.mirrored_bodies.items():
        left, mirrored = spec.body(name), spec.body(other)
        mirrored.pos, mirrored.quat = left.pos * _POINT, left.quat * _QUAT
        mirrored.mass, mirrored.ipos, mirrored.iquat = left.mass, left.ipos * _POINT, left.iquat * _QUAT
        mirrored.inertia, mirrored.explicitinertial = left.inertia, left.explicitinertial
        for joint in left.joints:
            low, high = joint.range
            spec.joint(partners[joint.name]).range = (-high, -low) if signs[joint.name] < 0 else (low, high)
        shapes, images = _colliding(left), _colliding(mirrored)
        if len(shapes) != len(images) or len(left.joints) != len(mirrored.joints):
            raise MtrackError(f"symmetrise: '{name}' and '{other}' must have as many joints and colliding shapes each")
        for shape, image in zip(shapes, images, strict=True):
            if shape.type == mujoco.mjtGeom.mjGEOM_MESH:
                continue
            image.type, image.size = shape.type, shape.size
            image.pos, image.quat = shape.pos * _POINT, shape.quat * _QUAT
            if not math.isnan(shape.fromto[0]):
                image.fromto = shape.fromto * np.tile(_POINT, 2)
    for body in spec.bodies[1:]:
        if body.name not in right and body.name not in robot.mirrored_bodies and body.mass > 0:
            _level(body)


def _colliding(body: mujoco.MjsBody) -> list[mujoco.MjsGeom]:
    return [geom for geom in body.geoms if geom.contype or geom.conaffinity]


def _level(body: mujoco.MjsBody) -> None:
    """Put the centre of mass of a middle body into the x-z plane, and make its inertia symmetric."""
    axes: NDArray[np.float64] = np.zeros(9)
    mujoco.mju_quat2Mat(axes, body.iquat)
    turn = axes.reshape(3, 3)
    tensor = turn @ np.diag(body.inertia) @ turn.T
    body.ipos = body.ipos * (1.0, 0.0, 1.0)
    # the mean of a tensor and its mirror image: the terms that couple y with x and z cancel
    body.fullinertia = [tensor[0, 0], tensor[1, 1], tensor[2, 2], 0.0, tensor[0, 2], 0.0]
    body.inertia, body.iquat = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
