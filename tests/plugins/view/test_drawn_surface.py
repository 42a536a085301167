"""Drawn shapes are closed, face outwards, and are at most 2 mm smaller than the true ones."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mtrack_mujoco.lowest import ShapeDepths
from mtrack_view.surface import surface_of

SHAPES = {
    "sphere": "0.12",
    "capsule": "0.06 0.2",
    "cylinder": "0.3 0.05",
    "box": "0.1 0.02 0.3",
    "ellipsoid": "0.02 0.3 0.1",
}


def compiled(kind, size):
    return mujoco.MjModel.from_xml_string(
        f'<mujoco><worldbody><geom type="{kind}" size="{size}"/></worldbody></mujoco>'
    )


@pytest.mark.parametrize(("kind", "size"), SHAPES.items())
def test_a_shape_reaches_as_far_in_every_direction_as_the_true_one(kind, size):
    model = compiled(kind, size)
    surface = surface_of(model, 0)
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    true = ShapeDepths(model, [0])(directions[:, None])[:, 0]
    short = true - (directions @ surface.vertices.T).max(1)
    assert short.min() > -1e-9
    assert short.max() < 0.002


@pytest.mark.parametrize(("kind", "size"), SHAPES.items())
def test_triangles_close_a_shape_and_face_outwards(kind, size):
    model = compiled(kind, size)
    surface = surface_of(model, 0)
    a, b, c = surface.vertices[surface.faces].transpose(1, 0, 2)
    # the signed volume is that of the shape only if all faces are there and turned the same way
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0
    true = model.body_mass[0] or _volume(kind, model.geom_size[0])
    assert volume == pytest.approx(true, rel=0.06)
    assert volume < true * (1 + 1e-9)


def _volume(kind, size):
    x, y, z = size
    ball = 4.0 / 3.0 * np.pi
    return {
        "sphere": ball * x**3,
        "capsule": ball * x**3 + 2.0 * np.pi * x * x * y,
        "cylinder": 2.0 * np.pi * x * x * y,
        "box": 8.0 * x * y * z,
        "ellipsoid": ball * x * y * z,
    }[kind]


def test_a_plane_is_not_drawn():
    assert len(surface_of(compiled("plane", "1 1 1"), 0).vertices) == 0
