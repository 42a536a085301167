"""Images of a robot show its pose, its sides, its position and its reference."""

from __future__ import annotations

import numpy as np
import pytest

from mtrack import MtrackError
from mtrack_g1.robot import G1
from mtrack_testing import g1_model
from mtrack_toy.robot import ToyRobot
from mtrack_view.animation import Animation, render_frames
from mtrack_view.camera import fit_camera
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.raycast import RenderQuality

WIDTH, HEIGHT = 60, 80
QUALITY = RenderQuality(WIDTH, HEIGHT, rays=2, lights=1)


@pytest.fixture(scope="module")
def robot():
    return PosedRobot(G1())


def standing(x=0.0, y=0.0, z=0.0, **joints):
    model = g1_model()
    pose = np.concatenate((model.default_root_pos.numpy(), (1.0, 0.0, 0.0, 0.0), model.default_joint_pos.numpy()))
    pose[:3] += x, y, z
    for name, angle in joints.items():
        pose[7 + model.joint_names.index(f"{name}_joint")] = angle
    return pose.astype(np.float64)


def picture(robot, pose, camera=None, **animation):
    """Return the image of a pose as numbers, seen by the camera of the default pose."""
    camera = camera or Animation(standing()[None], azimuth=animation.pop("azimuth", 0.0)).camera(robot)
    (image,) = render_frames(robot, Animation(pose[None], **animation), camera, QUALITY)
    return image.astype(int)


def differing(one, other):
    """Return rows and columns of the pixels that clearly differ between two images."""
    return np.nonzero(np.abs(one - other).max(2) > 24)


def test_a_pose_gives_the_same_image_each_time_and_another_pose_a_different_one(robot):
    still = picture(robot, standing())
    assert still.shape == (HEIGHT, WIDTH, 3)
    assert (still == picture(robot, standing())).all()
    bent = picture(robot, standing(left_knee=1.2))
    assert len(differing(still, bent)[0]) > 20


def test_the_left_arm_of_a_robot_seen_from_the_front_is_on_the_right_of_the_image(robot):
    still, raised = picture(robot, standing()), picture(robot, standing(left_shoulder_roll=1.4))
    rows, columns = differing(still, raised)
    assert len(columns) > 20
    hand = rows < HEIGHT / 2  # lower down its shadow moves
    assert columns[hand].min() > WIDTH / 2
    still, raised = (picture(robot, standing(left_shoulder_roll=angle), azimuth=180.0) for angle in (0.0, 1.4))
    rows, columns = differing(still, raised)
    assert columns[rows < HEIGHT / 2].max() < WIDTH / 2, "from behind it is on the left"


def test_the_camera_follows_the_robot_and_the_floor_stays(robot):
    here = picture(robot, standing())
    half_a_square, whole_squares = picture(robot, standing(x=0.25)), picture(robot, standing(x=1.5, y=-0.5))
    assert np.abs(here - whole_squares).max() <= 1
    assert np.abs(here - half_a_square).max() > 10, "the lines of the floor have moved"
    middle = slice(HEIGHT // 4, HEIGHT // 2), slice(WIDTH // 2 - 2, WIDTH // 2 + 2)
    assert np.abs(here - half_a_square)[middle].max() <= 1, "the robot has not"


def test_a_robot_in_the_air_is_higher_in_the_image_and_its_shadow_leaves_its_feet(robot):
    here, above = picture(robot, standing()), picture(robot, standing(z=0.12))
    dark = [np.nonzero((image.max(2) < 60).any(1))[0] for image in (here, above)]
    assert dark[1].min() < dark[0].min()
    under = np.nonzero((above - here)[-HEIGHT // 4 :].min(2) > 24)
    assert len(under[0]) > 5, "light where the feet and their shadow were"


def test_only_the_robot_casts_a_shadow(robot):
    camera = Animation(standing()[None]).camera(robot)
    lifted = picture(robot, standing(z=50.0), camera)
    floor = lifted[-10:].max(2)
    darkest = picture(robot, standing(z=0.3), camera)[-30:]
    assert floor.min() > 130, "only floor and lines"
    assert darkest.min() < floor.min() - 30


def test_a_reference_is_shown_in_blue_where_it_differs_from_the_robot(robot):
    pose = standing()
    alone, same = picture(robot, pose), picture(robot, pose, ghost=pose[None])
    assert np.abs(alone - same).max() <= 40, "at most the edge of a pixel"
    assert len(differing(alone, same)[0]) < 20
    apart = picture(robot, pose, ghost=standing(left_shoulder_roll=1.4)[None])
    rows, columns = differing(alone, apart)
    assert len(rows) > 10
    red, _, blue = apart[rows, columns].T
    assert (blue > red + 20).mean() > 0.9
    assert columns.min() > WIDTH / 2


@pytest.mark.parametrize("azimuth", [0.0, 2.0])
def test_the_camera_sees_all_bodies_of_all_frames(azimuth):
    rng = np.random.default_rng(1)
    followed = rng.uniform(-5, 5, (20, 3))
    places = followed[:, None] + rng.uniform(-0.9, 0.9, (20, 8, 3))
    camera = fit_camera(places, followed, azimuth)
    for root, bodies in zip(followed, places, strict=True):
        right, up, into = ((bodies - camera.target(root)) @ camera.axes.T).T
        nearer = camera.distance / (camera.distance + into)
        assert (np.abs(right * nearer) < camera.half_height * camera.aspect).all()
        assert (np.abs(up * nearer) < camera.half_height).all()


def test_a_robot_far_away_does_not_make_the_reference_small(robot):
    reference = standing()[None]
    near, far = (Animation(standing(x=x)[None], ghost=reference).camera(robot) for x in (1.0, 500.0))
    assert far.half_height < 1.5 * near.half_height


def test_a_robot_without_a_mujoco_description_is_rejected():
    with pytest.raises(MtrackError, match="no MuJoCo description"):
        PosedRobot(ToyRobot())
