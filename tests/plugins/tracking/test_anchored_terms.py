"""Terms relative to an anchor are those of BeyondMimic's formulas, computed here in numpy with Euler angles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtrack import NameProblem
from mtrack_testing import random_scene
from mtrack_tracking import anchor, anchored_rewards
from mtrack_tracking.reference_joints import ReferenceJointVel

BODIES = ["feet", "hands", "root"]
ANCHOR = "torso_link"


@pytest.fixture(scope="module")
def scene():
    return random_scene(32, error=0.05, seed=3)


def bound(kind, scene, **params):
    term = kind(**params)
    term.bind(scene)
    return term


def rotations(quat_wxyz) -> np.ndarray:
    w, x, y, z = np.moveaxis(np.asarray(quat_wxyz, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    trace = np.einsum("...ij,...ij->...", a, b)
    return np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))


class World:
    """Poses of bodies and anchors, [N, K, ...] and [N, ...], float64."""

    def __init__(self, scene) -> None:
        self.bodies, self.anchor = scene.model.bodies(BODIES), int(scene.model.bodies(ANCHOR))
        self.robot, self.reference = (self.of(motion) for motion in (scene.robot, scene.reference))

    def of(self, motion):
        pos, rot = np.asarray(motion.body_pos, np.float64), rotations(motion.body_quat_wxyz)
        vel = [np.asarray(value, np.float64)[:, self.bodies] for value in (motion.body_lin_vel, motion.body_ang_vel)]
        return pos[:, self.bodies], rot[:, self.bodies], pos[:, self.anchor], rot[:, self.anchor], *vel

    def turn(self) -> np.ndarray:
        """Return the turn about z that best aligns the reference's anchor with the robot's, [N, 3, 3]."""
        relative = self.robot[3] @ np.swapaxes(self.reference[3], -1, -2)
        # of all rotations about z, the closest to a rotation R has this angle
        yaw = np.arctan2(relative[:, 1, 0] - relative[:, 0, 1], relative[:, 0, 0] + relative[:, 1, 1])
        zero, one = np.zeros_like(yaw), np.ones_like(yaw)
        rows = [[np.cos(yaw), -np.sin(yaw), zero], [np.sin(yaw), np.cos(yaw), zero], [zero, zero, one]]
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def expect(value: torch.Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(value.double().numpy(), wanted, atol=2e-4)
    assert value.std() > 0


def test_observations_of_the_reference_are_in_the_frame_of_the_robots_anchor(scene):
    world = World(scene)
    (_, _, pos, rot, *_), (_, _, wanted_pos, wanted_rot, *_) = world.robot, world.reference
    value = bound(anchor.ReferenceAnchorPos, scene, anchor=ANCHOR)(scene)
    expect(value, np.einsum("nji,nj->ni", rot, wanted_pos - pos))
    relative = np.swapaxes(rot, -1, -2) @ wanted_rot
    value = bound(anchor.ReferenceAnchorRot, scene, anchor=ANCHOR)(scene)
    expect(value, np.concatenate([relative[:, :, 0], relative[:, :, 1]], axis=-1))


def test_observations_of_bodies_are_in_the_frame_of_the_robots_anchor(scene):
    body_pos, body_rot, pos, rot, *_ = World(scene).robot
    value = bound(anchor.AnchoredBodyPos, scene, bodies=BODIES)(scene)
    expect(value, np.einsum("nji,nkj->nki", rot, body_pos - pos[:, None]).reshape(len(pos), -1))
    relative = np.swapaxes(rot, -1, -2)[:, None] @ body_rot
    columns = np.concatenate([relative[..., 0], relative[..., 1]], axis=-1)
    value = bound(anchor.AnchoredBodyRot, scene, bodies=BODIES)(scene)
    expect(value, columns.reshape(len(pos), -1))


def test_rewards_are_those_of_the_formulas(scene):
    world = World(scene)
    body_pos, body_rot, pos, rot, lin_vel, ang_vel = world.robot
    wanted_body_pos, wanted_body_rot, wanted_pos, wanted_rot, wanted_lin_vel, wanted_ang_vel = world.reference
    turn = world.turn()
    origin = np.stack([pos[:, 0], pos[:, 1], wanted_pos[:, 2]], axis=-1)  # the robot's place, the reference's height
    moved = origin[:, None] + np.einsum("nij,nkj->nki", turn, wanted_body_pos - wanted_pos[:, None])
    squares = {
        "AnchorPosTracking": ((pos - wanted_pos) ** 2).sum(-1),
        "AnchorRotTracking": angles(rot, wanted_rot) ** 2,
        "AnchoredBodyPosTracking": ((body_pos - moved) ** 2).sum(-1).mean(-1),
        "AnchoredBodyRotTracking": (angles(body_rot, turn[:, None] @ wanted_body_rot) ** 2).mean(-1),
        "BodyLinVelTracking": ((lin_vel - wanted_lin_vel) ** 2).sum(-1).mean(-1),
        "BodyAngVelTracking": ((ang_vel - wanted_ang_vel) ** 2).sum(-1).mean(-1),
    }
    for name, square in squares.items():
        kind = getattr(anchored_rewards, name)
        params = {"bodies": BODIES} if "Body" in name else {}
        term = bound(kind, scene, std=0.7, **params)
        expect(term(scene), np.exp(-square / 0.7**2))


def test_the_anchored_rewards_ignore_horizontal_drift_and_heading_but_not_height():
    still = random_scene(error=0.0)
    term = bound(anchored_rewards.AnchoredBodyPosTracking, still)
    still.robot.body_pos = still.robot.body_pos + torch.tensor([3.0, -1.0, 0.0])
    torch.testing.assert_close(term(still), torch.ones(8), rtol=0, atol=1e-4)
    still.robot.body_pos = still.robot.body_pos + torch.tensor([0.0, 0.0, 0.3])
    torch.testing.assert_close(term(still), torch.full((8,), torch.e**-1), rtol=0, atol=1e-4)


def test_an_anchor_is_tilted_if_the_heights_of_its_vertical_axis_differ(scene):
    world = World(scene)
    wanted = np.abs(world.robot[3][:, 2, 2] - world.reference[3][:, 2, 2])
    threshold = float(np.median(wanted))
    term = bound(anchor.AnchorTilt, scene, threshold=threshold)
    assert term(scene).tolist() == (wanted > threshold).tolist()


def test_joint_velocities_are_those_of_the_future_frames(scene):
    expected = scene.reference.future.joint_vel.flatten(1)
    assert torch.equal(bound(ReferenceJointVel, scene)(scene), expected)


def test_an_anchor_of_several_bodies_is_rejected(scene):
    with pytest.raises(NameProblem, match="'feet' means 2 bodies, but the anchor is one body"):
        bound(anchor.ReferenceAnchorPos, scene, anchor="feet")
