"""A robot in a browser has the pose that it is given, in few messages."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from mtrack import MtrackError
from mtrack_toy.robot import ToyRobot
from mtrack_view.browser_robot import BrowserRobot
from mtrack_view.browser_scene import Arrows
from mtrack_view.posed_robot import PosedRobot


def sent(scene, monkeypatch):
    """Keep the names of the messages that are sent from now on."""
    names = []
    push = scene.server._websock_server.queue_message
    monkeypatch.setattr(
        scene.server._websock_server,
        "queue_message",
        lambda message: (names.append(type(message).__name__), push(message)),
    )
    return names


def assert_poses(drawn, pose, atol=1e-12):
    data = drawn.robot.posed(pose)
    for body in drawn.nodes:
        position, rotation = drawn.body_pose(body)
        np.testing.assert_allclose(position, data.xpos[body], atol=atol)
        np.testing.assert_allclose(rotation, data.xmat[body].reshape(3, 3), atol=atol)


def test_every_body_is_where_the_engine_has_it(scene, g1, standing):
    drawn = BrowserRobot(scene, g1, "robot", offset=(0.0, 2.0, 0.0))
    pose = standing + np.random.default_rng(0).normal(0.0, 0.3, standing.shape)
    drawn.pose(pose)
    assert_poses(drawn, pose)
    assert set(drawn.bodies) > {"pelvis", "left_knee_link", "right_ankle_roll_link"}


def test_small_steps_far_from_the_origin_arrive(scene, g1, standing):
    drawn = BrowserRobot(scene, g1, "robot")
    standing[0] = 50.0
    for _ in range(3):
        standing[0] += 1e-5  # viser's own setter takes this for no change
        drawn.pose(standing)
    assert_poses(drawn, standing)


def test_a_robot_with_meshes_and_passive_bodies_is_drawn_by_its_colliding_shapes(scene, other):
    drawn = BrowserRobot(scene, other, "robot")
    pose = np.array([0.1, 0.2, 1.3, 0.5, 0.5, -0.5, 0.5, 0.7])
    drawn.pose(pose)
    assert_poses(drawn, pose)
    names = [node.name for node in drawn.nodes.values()]
    assert names[:2] == ["/world/robot/base", "/world/robot/base/arm|link"]
    vertices = sum(len(mesh.vertices) for mesh in drawn.meshes())
    assert vertices > 3 * 4  # of the tetrahedron alone


def test_only_joints_that_moved_are_sent(scene, g1, standing, monkeypatch):
    drawn = BrowserRobot(scene, g1, "robot")
    drawn.pose(standing)
    names = sent(scene, monkeypatch)
    drawn.pose(standing)
    assert names == []
    standing[7] += 0.1
    drawn.pose(standing)
    assert names == ["SetOrientationMessage"]
    standing[0] += 0.1
    drawn.pose(standing)
    assert names[1:] == ["SetPositionMessage"]


def test_a_diverged_pose_leaves_the_robot_where_it_is(scene, g1, standing):
    drawn = BrowserRobot(scene, g1, "robot")
    drawn.pose(standing)
    diverged = standing.copy()
    diverged[9] = np.nan
    drawn.pose(diverged)
    assert_poses(drawn, standing)


def test_collision_shapes_replace_the_drawn_ones_and_back(scene, g1):
    drawn = BrowserRobot(scene, g1, "robot")
    shown = lambda: {mesh.name for mesh in drawn.meshes() if mesh.visible}  # noqa: E731
    first = shown()
    drawn.shapes = "collision"
    assert first.isdisjoint(shown())
    assert all("/collision " in name for name in shown())
    drawn.shapes = "drawn"
    assert shown() == first


def test_a_hidden_or_removed_robot_has_no_nodes_that_are_drawn(scene, g1):
    drawn = BrowserRobot(scene, g1, "robot")
    drawn.visible = False
    assert not scene.server.scene.get_handle_by_name("/world/robot").visible
    drawn.remove()
    assert scene.server.scene.get_handle_by_name("/world/robot/pelvis") is None


def test_a_drag_says_which_body_is_pulled_where(scene, g1, standing):
    drawn = BrowserRobot(scene, g1, "robot", offset=(0.0, 2.0, 0.0))
    standing[0] = 3.0
    drawn.pose(standing)
    scene.follow(standing[:3])  # the world has moved under the browser's coordinates
    events = []
    drawn.on_drag(events.append)
    mesh = next(mesh for mesh in drawn.meshes() if "left_knee" in mesh.name)
    name = mesh.name.split("/")[-2]
    body = drawn.robot.model.body(name).id
    position, rotation = drawn.body_pose(body)
    grabbed = position + rotation @ (0.01, 0.02, 0.03) + drawn.offset - scene.origin
    (entry,) = mesh._impl.drag_cb
    for phase, shift in (("start", 0.0), ("update", 0.5), ("end", 0.5)):
        mouse = grabbed + np.array([shift, 0.0, 0.0])
        event = SimpleNamespace(phase=phase, start_position=tuple(grabbed), end_position=tuple(mouse), client_id=7)
        asyncio.run_coroutine_threadsafe(entry.callback(event), scene.server.get_event_loop()).result(5.0)
    assert [event.phase for event in events] == ["start", "update", "end"]
    assert {event.body for event in events} == {name}
    for event in events:
        np.testing.assert_allclose(event.point, (0.01, 0.02, 0.03), atol=1e-9)
    np.testing.assert_allclose(events[1].target, position + rotation @ (0.01, 0.02, 0.03) + (0.5, 0, 0), atol=1e-9)


def test_arrows_show_only_forces_that_are_finite_and_visible(scene):
    arrows = Arrows(scene, "forces", (1.0, 0.2, 0.1))
    handle = scene.server.scene.get_handle_by_name("/world/forces")
    starts = np.zeros((4, 3))
    arrows.update(starts, np.array([[0, 0, 0.3], [0, 0, 0], [np.nan, 0, 0], [0.2, 0, 0]]))
    assert handle.visible
    assert handle.points.shape == (2, 2, 3)
    arrows.update(starts[:0], starts[:0])
    assert not handle.visible


def test_a_robot_without_a_description_is_rejected():
    with pytest.raises(MtrackError, match="no MuJoCo description"):
        PosedRobot(ToyRobot())
