"""A server of viser without a browser, and robots to draw."""

from __future__ import annotations

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from mtrack_g1.robot import G1
from mtrack_testing import g1_model
from mtrack_view.browser_scene import BrowserScene
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.serve import close_server, silent_server


@pytest.fixture(scope="package")
def g1():
    return PosedRobot(G1())


@pytest.fixture
def scene():
    server = silent_server()
    yield BrowserScene(server)
    close_server(server)


@pytest.fixture
def standing():
    model = g1_model()
    root = (*model.default_root_pos.tolist(), 1.0, 0.0, 0.0, 0.0)
    return np.concatenate((root, model.default_joint_pos.numpy().astype(float)))


class OtherRobot:
    """A robot with a mesh, a slash in a name, a ball on a slide that is not driven, and no visual shapes."""

    def spec(self):
        tetrahedron = "0 0 0  0.2 0 0  0 0.2 0  0 0 0.3"
        return mujoco.MjSpec.from_string(f"""
            <mujoco>
              <asset><mesh name="tetrahedron" vertex="{tetrahedron}"/></asset>
              <worldbody>
                <geom type="plane" size="1 1 1"/>
                <body name="base" pos="0 0 1">
                  <freejoint/>
                  <geom type="mesh" mesh="tetrahedron" group="3"/>
                  <body name="arm/link" pos="0.3 0 0">
                    <joint name="elbow" axis="0 1 0" pos="0.05 0 0"/>
                    <geom type="cylinder" size="0.05 0.2" group="3"/>
                    <body pos="0 0.1 0"><geom type="ellipsoid" size="0.1 0.05 0.02" euler="10 20 30" group="3"/></body>
                  </body>
                </body>
              </worldbody>
            </mujoco>""")

    def model(self):
        return SimpleNamespace(name="other", body_names=("base",), joint_names=("elbow",))


@pytest.fixture
def other():
    return PosedRobot(OtherRobot())
