"""Terms that show only the present frame, or a rotation row by row, as the runtimes of other projects have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtrack import MtrackError
from mtrack_testing import mirror_scene, random_scene
from mtrack_tracking.anchor import ReferenceAnchorRot
from mtrack_tracking.reference_joints import ReferenceJointPos, ReferenceJointVel

TERMS = {
    "one position": lambda: ReferenceJointPos(frames=1),
    "one velocity": lambda: ReferenceJointVel(frames=1),
    "three positions": lambda: ReferenceJointPos(frames=3),
    "rows": lambda: ReferenceAnchorRot(layout="rows"),
}


def bound(name: str, scene):
    term = TERMS[name]()
    term.bind(scene)
    return term


@pytest.mark.parametrize("name", TERMS)
def test_a_mirrored_scene_gives_the_mirrored_observation(name):
    scene = random_scene(16)
    term = bound(name, scene)
    assert term(scene).shape == (16, term.mirror().width)
    torch.testing.assert_close(term(mirror_scene(scene)), term.mirror()(term(scene)), rtol=0, atol=1e-4)


def test_the_frames_are_the_first_ones():
    scene = random_scene(4)
    future = scene.reference.future
    assert torch.equal(bound("one position", scene)(scene), future.joint_pos[:, 0])
    assert torch.equal(bound("one velocity", scene)(scene), future.joint_vel[:, 0])
    assert torch.equal(bound("three positions", scene)(scene), future.joint_pos[:, :3].flatten(1))


def test_a_rotation_by_rows_has_the_numbers_of_one_by_columns():
    scene = random_scene(4)
    by_column = ReferenceAnchorRot()
    by_column.bind(scene)
    matrix = by_column(scene).unflatten(1, (2, 3)).mT
    assert torch.equal(bound("rows", scene)(scene), matrix.flatten(1))


def test_a_robot_is_told_the_columns_and_the_layout():
    scene = random_scene(2)
    term = bound("rows", scene).robot_term()
    assert list(term.columns) == ["r00", "r01", "r10", "r11", "r20", "r21"]
    assert term.parameters == {"anchor": "torso_link", "layout": "rows"}
    term = bound("one velocity", scene).robot_term()
    assert list(term.columns) == [f"frame 0.{name}" for name in scene.model.joint_names]
    assert term.parameters == {"frames": 1}
    names = bound("three positions", scene).robot_term().columns
    assert len(names) == 87
    assert names[-1] == f"frame 2.{scene.model.joint_names[-1]}"


def test_more_frames_than_the_command_shows_are_rejected():
    with pytest.raises(MtrackError, match="frames = 9, but the command shows 5 frames"):
        ReferenceJointPos(frames=9).bind(random_scene(2))


def test_the_rows_are_those_of_the_matrix():
    scene = random_scene(1)
    anchor = int(scene.model.bodies("torso_link"))
    quats = scene.robot.body_quat_wxyz[0, anchor], scene.reference.body_quat_wxyz[0, anchor]
    own, wanted = (_matrix(quat.double().numpy()) for quat in quats)
    found = bound("rows", scene)(scene)[0].numpy()
    np.testing.assert_allclose(found, (own.T @ wanted)[:, :2].ravel(), atol=1e-5)


def _matrix(quat: np.ndarray) -> np.ndarray:
    w, x, y, z = quat
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * skew + 2 * skew @ skew
