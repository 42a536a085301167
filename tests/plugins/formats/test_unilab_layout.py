"""mjlab's layout with the world as body 0, as UniLab writes it, and body velocities in another frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.clips import ROBOT, swaying_clip
from support.foreign import importer_of, turned, write

from mtrack import MotionError
from mtrack.math import quat_conjugate, quat_rotate
from mtrack_motion.derive import angular_velocity

NAME = "BeyondMimic npz (mjlab)"
CLIP = turned(swaying_clip(60), 1.0)


def with_world(content):
    """Put the world before the bodies."""
    still = np.zeros((len(content["joint_pos"]), 1, 3), np.float32)
    for name, value in content.items():
        if name.startswith("body_") and value.shape[2] == 3:
            content[name] = np.concatenate((still, value), axis=1)
    upright = np.tile(np.array([1, 0, 0, 0], np.float32), (len(still), 1, 1))
    content["body_quat_w"] = np.concatenate((upright, content["body_quat_w"]), axis=1)


def with_angular(content):
    """Add correct angular velocities."""
    quat = torch.tensor(content["body_quat_w"]).double()
    spins = [angular_velocity(quat[:, body], 1.0 / CLIP.fps) for body in range(quat.shape[1])]
    content["body_ang_vel_w"] = torch.stack(spins, dim=1).numpy().astype(np.float32)


def in_body_frames(*names):
    def change(content):
        back = quat_conjugate(torch.tensor(content["body_quat_w"]))
        for name in names:
            content[name] = quat_rotate(back, torch.tensor(content[name])).numpy()

    return change


def imported(tmp_path, caplog, *changes, clip=CLIP):
    def fault(content):
        for change in changes:
            change(content)

    (found,) = importer_of(NAME).clips(write(NAME, clip, tmp_path, fault), ROBOT)
    return found, [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_the_world_as_first_body_is_ignored_with_a_warning(tmp_path, caplog):
    found, warnings = imported(tmp_path, caplog, with_angular, with_world)
    assert np.abs(found.root_pos - CLIP.root_pos).max() < 1e-6
    assert np.abs(found.joint_pos - CLIP.joint_pos).max() < 1e-6
    assert sum("ignored body 0: it rests at the origin, so it is the world" in text for text in warnings) == 1
    assert not any("velocities" in text for text in warnings)


def test_a_file_without_the_world_loses_no_body(tmp_path, caplog):
    found, warnings = imported(tmp_path, caplog, with_angular)
    assert np.abs(found.root_pos - CLIP.root_pos).max() < 1e-6
    assert not any("world" in text or "velocities of bodies" in text for text in warnings)


def test_a_second_extra_body_is_still_rejected(tmp_path, caplog):
    with pytest.raises(MotionError, match="the root is at 0, 0, 0 in every frame"):
        imported(tmp_path, caplog, with_world, with_world)


@pytest.mark.parametrize(("name", "kind"), [("body_lin_vel_w", "linear"), ("body_ang_vel_w", "angular")])
@pytest.mark.parametrize("world", [(), (with_world,)], ids=["links", "world"])
def test_velocities_in_the_frame_of_each_body_are_reported_as_such(tmp_path, caplog, name, kind, world):
    found, warnings = imported(tmp_path, caplog, with_angular, in_body_frames(name), *world)
    (said,) = (text for text in warnings if "velocities of bodies" in text)
    assert f"the file's {kind} velocities of bodies disagree with their poses, by" in said
    assert "in the frame of each body, not in world axes" in said
    assert np.abs(found.root_pos - CLIP.root_pos).max() < 1e-6


def test_other_wrong_velocities_are_reported_without_an_explanation(tmp_path, caplog):
    def wrong(content):
        content["body_lin_vel_w"] = content["body_lin_vel_w"] + 1.0

    _, warnings = imported(tmp_path, caplog, wrong)
    (said,) = (text for text in warnings if "velocities of bodies" in text)
    assert "by 1.7 m/s on average" in said
    assert "frame of each body" not in said


@pytest.mark.parametrize("value", [np.nan, "short", "text"])
def test_velocities_that_cannot_be_compared_do_not_prevent_an_import(tmp_path, caplog, value):
    def damaged(content):
        lin = content["body_lin_vel_w"].copy()
        if value == "short":
            lin = lin[:-1]
        elif value == "text":
            lin = np.array(["fast"])
        else:
            lin[3, 4, 0] = value
        content["body_lin_vel_w"] = lin

    found, _ = imported(tmp_path, caplog, damaged)
    assert np.abs(found.joint_pos - CLIP.joint_pos).max() < 1e-6
