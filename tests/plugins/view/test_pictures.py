"""Pictures of a robot: they show its pose, whole, the right way round, where it is, and where its reference is."""

from __future__ import annotations

import numpy as np
import pytest

from mtrack import MtrackError
from mtrack_g1.robot import G1
from mtrack_testing import g1_model
from mtrack_toy.robot import ToyRobot
from mtrack_view.camera import frame
from mtrack_view.pictures import Take, pictures
from mtrack_view.puppet import Puppet
from mtrack_view.raycast import Quality

WIDTH, HEIGHT = 60, 80
QUALITY = Quality(WIDTH, HEIGHT, rays=2, lights=1)


@pytest.fixture(scope="module")
def puppet():
    return Puppet(G1())


def standing(x=0.0, y=0.0, z=0.0, **joints):
    model = g1_model()
    pose = np.concatenate((model.default_root_pos.numpy(), (1.0, 0.0, 0.0, 0.0), model.default_joint_pos.numpy()))
    pose[:3] += x, y, z
    for name, angle in joints.items():
        pose[7 + model.joint_names.index(f"{name}_joint")] = angle
    return pose.astype(np.float64)


def picture(puppet, pose, camera=None, **take):
    """Return the only picture of a pose as numbers, by a camera that would fit the default pose."""
    camera = camera or Take(standing()[None], azimuth=take.pop("azimuth", 0.0)).camera(puppet)
    (image,) = pictures(puppet, Take(pose[None], **take), camera, QUALITY)
    return image.astype(int)


def differing(one, other):
    """Return rows and columns of the pixels that two pictures clearly differ in."""
    return np.nonzero(np.abs(one - other).max(2) > 24)


def test_one_pose_gives_one_picture_and_another_pose_another(puppet):
    still = picture(puppet, standing())
    assert still.shape == (HEIGHT, WIDTH, 3)
    assert (still == picture(puppet, standing())).all()
    bent = picture(puppet, standing(left_knee=1.2))
    assert len(differing(still, bent)[0]) > 20


def test_the_left_arm_of_a_robot_seen_from_the_front_is_on_the_right_of_the_picture(puppet):
    still, raised = picture(puppet, standing()), picture(puppet, standing(left_shoulder_roll=1.4))
    rows, columns = differing(still, raised)
    assert len(columns) > 20
    hand = rows < HEIGHT / 2  # lower down its shadow moves
    assert columns[hand].min() > WIDTH / 2
    still, raised = (picture(puppet, standing(left_shoulder_roll=angle), azimuth=180.0) for angle in (0.0, 1.4))
    rows, columns = differing(still, raised)
    assert columns[rows < HEIGHT / 2].max() < WIDTH / 2, "from behind it is on the left"


def test_the_camera_goes_along_over_a_floor_that_stays(puppet):
    here = picture(puppet, standing())
    half_a_square, whole_squares = picture(puppet, standing(x=0.25)), picture(puppet, standing(x=1.5, y=-0.5))
    assert np.abs(here - whole_squares).max() <= 1
    assert len(differing(here, half_a_square)[0]), "the lines of the floor have moved"
    middle = slice(HEIGHT // 4, HEIGHT // 2), slice(WIDTH // 2 - 2, WIDTH // 2 + 2)
    assert np.abs(here - half_a_square)[middle].max() <= 1, "the robot has not"


def test_a_robot_in_the_air_is_higher_in_the_picture_and_its_shadow_has_left_its_feet(puppet):
    here, above = picture(puppet, standing()), picture(puppet, standing(z=0.12))
    dark = [np.nonzero((image.max(2) < 60).any(1))[0] for image in (here, above)]
    assert dark[1].min() < dark[0].min()
    under = np.nonzero((above - here)[-HEIGHT // 4 :].min(2) > 24)
    assert len(under[0]) > 5, "light where the feet and their shadow were"


def test_a_shadow_falls_only_where_there_is_a_robot(puppet):
    camera = Take(standing()[None]).camera(puppet)
    lifted = picture(puppet, standing(z=50.0), camera)
    floor = lifted[-10:].max(2)
    darkest = picture(puppet, standing(z=0.3), camera)[-30:]
    assert floor.min() > 130, "only floor and lines"
    assert darkest.min() < floor.min() - 30


def test_a_reference_is_shown_in_blue_where_the_robot_is_not(puppet):
    pose = standing()
    alone, same = picture(puppet, pose), picture(puppet, pose, ghost=pose[None])
    assert np.abs(alone - same).max() <= 40, "at most the edge of a pixel"
    assert len(differing(alone, same)[0]) < 20
    apart = picture(puppet, pose, ghost=standing(left_shoulder_roll=1.4)[None])
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
    camera = frame(places, followed, azimuth)
    for root, bodies in zip(followed, places, strict=True):
        right, up, into = ((bodies - camera.target(root)) @ camera.axes.T).T
        nearer = camera.distance / (camera.distance + into)
        assert (np.abs(right * nearer) < camera.half_height * camera.aspect).all()
        assert (np.abs(up * nearer) < camera.half_height).all()


def test_a_robot_that_was_thrown_far_away_does_not_make_the_reference_small(puppet):
    reference = standing()[None]
    near, far = (Take(standing(x=x)[None], ghost=reference).camera(puppet) for x in (1.0, 500.0))
    assert far.half_height < 1.5 * near.half_height


def test_a_robot_without_a_description_for_mujoco_is_refused():
    with pytest.raises(MtrackError, match="no MuJoCo description"):
        Puppet(ToyRobot())
