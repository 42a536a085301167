"""Problems of a clip are found, named and measured; a good clip has none."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from support.clips import swaying_clip

from mtrack import Clip
from mtrack_g1.robot import G1
from mtrack_quality.clip_quality import ClipQuality, judge
from mtrack_quality.measure import Meter, runs
from mtrack_testing import g1_model

MODEL = g1_model()
LEVEL = np.array([1.0, 0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def meter() -> Meter:
    return Meter(G1())


def standing(frames: int = 100, fps: float = 50.0, move=lambda time: 0 * time[:, None] * np.zeros(3)) -> Clip:
    """Return a clip of the default pose, on the floor, with the root moved by a function of time."""
    time = np.arange(frames) / fps
    root = MODEL.default_root_pos.numpy()
    return swaying_clip(
        frames,
        fps,
        root_pos=(root + move(time)).astype(np.float32),
        root_quat_wxyz=np.tile(LEVEL, (frames, 1)),
        joint_pos=np.tile(MODEL.default_joint_pos.numpy(), (frames, 1)),
    )


def up(height):
    return lambda time: np.outer(height(time), [0, 0, 1.0])


def judged(meter: Meter, clip: Clip, known=()) -> ClipQuality:
    return judge(clip, "clip.npz", meter, dict(known))


def kinds(quality: ClipQuality) -> set[str]:
    return {problem.kind for problem in quality.problems}


def found(quality: ClipQuality, kind: str):
    (only,) = [problem for problem in quality.problems if problem.kind == kind]
    return only


def test_a_standing_robot_is_good(meter):
    quality = judged(meter, standing())
    assert (quality.verdict, quality.problems) == ("good", ())
    assert abs(quality.metrics["ground_m"]) < 2e-3
    assert quality.metrics["contact_share"] == 1.0


@pytest.mark.parametrize("shift", [-0.045, 0.06])
def test_the_distance_of_a_clip_from_the_floor_is_reported(meter, shift):
    quality = judged(meter, standing(move=up(lambda time: 0 * time + shift)))
    assert quality.metrics["ground_m"] == pytest.approx(shift, abs=2e-3)
    assert "--fix ground" in found(quality, "ground").text
    assert ("penetration" in kinds(quality)) == (shift < 0)
    assert "float" not in kinds(quality)  # it stands on its own floor


def test_a_short_penetration_is_reported_with_its_frame(meter):
    quality = judged(meter, standing(move=up(lambda time: -0.05 * (np.abs(time - 1.0) < 0.03))))
    problem = found(quality, "penetration")
    assert problem.frame in (49, 50, 51)
    assert problem.brief == "in the floor 5.0 cm"
    assert "5.0 cm of it remain after --fix ground" in problem.text


def test_hovering_is_reported_but_a_jump_is_not(meter):
    hangs = judged(meter, standing(move=up(lambda time: 0.1 * np.clip(10 * (np.abs(time - 1.0) < 0.4), 0, 1))))
    assert found(hangs, "float").frame is not None
    assert 0.2 < hangs.metrics["hovering_share"] < 0.5
    flight = 0.6  # s
    leaps = judged(meter, standing(move=up(lambda time: np.maximum(4.905 * (time - 0.7) * (0.7 + flight - time), 0.0))))
    assert leaps.measures is not None
    assert leaps.measures.lowest.max() > 0.4
    assert "float" not in kinds(leaps)


def test_sliding_feet_are_reported_with_their_speed(meter):
    quality = judged(meter, standing(move=lambda time: np.outer(time, [0.5, 0, 0])))
    assert quality.metrics["slide_m_per_s"] == pytest.approx(0.5, abs=0.01)
    assert found(quality, "skate").brief == "feet slide 0.50 m/s"


def test_joints_beyond_range_and_speed_are_reported(meter):
    clip, knee = standing(), MODEL.joint_names.index("left_knee_joint")
    bent = clip.joint_pos.copy()
    bent[40:50, knee] = MODEL.joint_range[knee, 1] + 0.2
    quality = judged(meter, attrs.evolve(clip, joint_pos=bent))
    assert "left_knee_joint is 0.20 rad beyond its range in frame 4" in found(quality, "joint_limits").text
    assert "left_knee_joint moves at" in quality.unusable + found(quality, "joint_speed").text


def test_a_root_that_jumps_makes_a_clip_unusable(meter):
    quality = judged(meter, standing(move=lambda time: np.outer(time > 1.0, [1.0, 0, 0])))
    assert quality.verdict == "unusable"
    assert quality.unusable.startswith(
        "the root jumps by 100 cm from frame 50 to 51; the steps around it are 0 cm; cut the clip there"
    )
    assert "jump" in kinds(quality)


def test_a_joint_that_jumps_by_a_turn_makes_a_clip_unusable(meter):
    clip, joint = standing(), MODEL.joint_names.index("waist_yaw_joint")
    turned = clip.joint_pos.copy()
    turned[30:, joint] += 2 * np.pi
    assert (
        "waist_yaw_joint jumps by 6.28 rad from frame 29 to 30"
        in judged(meter, attrs.evolve(clip, joint_pos=turned)).unusable
    )


def test_the_sign_of_a_quaternion_is_not_a_jump(meter):
    clip = standing()
    quat = clip.root_quat_wxyz.copy()
    quat[50:] *= -1
    assert judged(meter, attrs.evolve(clip, root_quat_wxyz=quat)).verdict == "good"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("root_pos", np.nan, "frame 3"), ("joint_pos", np.inf, "frame 3"), ("root_quat_wxyz", 0.5, "the norm is")],
)
def test_invalid_numbers_make_a_clip_unusable(meter, field, value, says):
    clip = standing()
    values = getattr(clip, field).copy()
    values[3, 0] = value
    quality = judged(meter, attrs.evolve(clip, **{field: values}))
    assert says in quality.unusable
    assert quality.metrics == {}


def test_the_same_motion_under_another_name_is_a_duplicate(meter):
    first = judged(meter, standing())
    second = judged(meter, attrs.evolve(standing(), name="other"), {first.sha256: "sway"})
    assert second.unusable == "is the same motion as 'sway'; leave one of them out"


@pytest.mark.parametrize(("frames", "verdict"), [(8, "unusable"), (40, "flawed")])
def test_a_short_clip_is_flawed_and_a_very_short_one_unusable(meter, frames, verdict):
    quality = judged(meter, standing(frames))
    assert quality.verdict == verdict
    assert "s long" in quality.unusable + "".join(f.text for f in quality.problems)


def test_runs_of_flags_have_a_first_frame_and_an_end():
    assert runs(np.array([True, True, False, False, True])) == [(0, 2), (4, 5)]
    assert runs(np.zeros(3, bool)) == []
