"""A person is found in a skeleton of any names, unit and axes, or an error says what is missing."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from support.clips import SAMPLES, needs_samples
from support.skeletons import MIXAMO, moved, rest_positions, walking_person

from mtrack import MotionError
from mtrack_retarget.axes import AXES, turn_up
from mtrack_retarget.bvh import Bvh
from mtrack_retarget.joint_names import PARTS, _conventions, by_convention, why_not_named
from mtrack_retarget.joint_positions import JointPositions
from mtrack_retarget.person import REQUIRED_PARTS
from mtrack_retarget.smpl_joints import BODY_JOINTS
from mtrack_retarget.to_person import to_person

# z up to the axes of a file, and back by `turn_up`
FROM_Z_UP = {axis: np.linalg.inv(turn_up(np.eye(3), axis).T).T for axis in AXES}
NAMES = {
    "CMU": "Hips LHipJoint LeftUpLeg LeftLeg LeftFoot LeftToeBase RHipJoint RightUpLeg RightLeg RightFoot RightToeBase "
    "LowerBack Spine Spine1 Neck Neck1 Head LeftShoulder LeftArm LeftForeArm LeftHand RightShoulder RightArm "
    "RightForeArm RightHand",
    "LAFAN1": "Hips LeftUpLeg LeftLeg LeftFoot LeftToe RightUpLeg RightLeg RightFoot RightToe Spine Spine1 Spine2 Neck "
    "Head LeftShoulder LeftArm LeftForeArm LeftHand RightShoulder RightArm RightForeArm RightHand",
    "Rokoko": "root Hips LeftThigh LeftShin LeftFoot LeftToe LeftToeTip RightThigh RightShin RightFoot RightToe Spine1 "
    "Spine2 Spine3 Spine4 LeftShoulder LeftArm LeftForeArm LeftHand Neck Head RightShoulder RightArm RightForeArm "
    "RightHand",
    "Xsens MVN": "Hips Chest Chest2 Chest3 Chest4 Neck Head RightCollar RightShoulder RightElbow RightWrist LeftCollar "
    "LeftShoulder LeftElbow LeftWrist RightHip RightKnee RightAnkle RightToe LeftHip LeftKnee LeftAnkle LeftToe",
    "SMPL with L and R": "m_avg_root m_avg_Pelvis m_avg_L_Hip m_avg_L_Knee m_avg_L_Ankle m_avg_L_Foot m_avg_R_Hip "
    "m_avg_R_Knee m_avg_R_Ankle m_avg_R_Foot m_avg_Spine1 m_avg_Spine2 m_avg_Spine3 m_avg_Neck m_avg_Head "
    "m_avg_L_Collar m_avg_L_Shoulder m_avg_L_Elbow m_avg_L_Wrist m_avg_R_Collar m_avg_R_Shoulder m_avg_R_Elbow "
    "m_avg_R_Wrist",
    "3ds Max Biped, Character Creator": "Bip01|Bip01 Pelvis|Bip01 Spine|Bip01 Spine1|Bip01 Neck|Bip01 Head|"
    "Bip01 L Clavicle|Bip01 L UpperArm|Bip01 L Forearm|Bip01 L Hand|Bip01 R Clavicle|Bip01 R UpperArm|"
    "Bip01 R Forearm|Bip01 R Hand|Bip01 L Thigh|Bip01 L Calf|Bip01 L Foot|Bip01 L Toe0|Bip01 R Thigh|Bip01 R Calf|"
    "Bip01 R Foot|Bip01 R Toe0",
    "Unreal mannequin": "root pelvis spine_01 spine_02 spine_03 clavicle_l upperarm_l lowerarm_l hand_l clavicle_r "
    "upperarm_r lowerarm_r hand_r neck_01 head thigh_l calf_l foot_l ball_l thigh_r calf_r foot_r ball_r",
}
EXPECTED = {
    "CMU": ("Hips", "Spine1", "Neck1", "LeftUpLeg", "LeftLeg", "LeftToeBase", "RightArm"),
    "LAFAN1": ("Hips", "Spine2", "Neck", "LeftUpLeg", "LeftLeg", "LeftToe", "RightArm"),
    "Rokoko": ("Hips", "Spine4", "Neck", "LeftThigh", "LeftShin", "LeftToe", "RightArm"),
    "Xsens MVN": ("Hips", "Chest4", "Neck", "LeftHip", "LeftKnee", "LeftToe", "RightShoulder"),
    "SMPL with L and R": tuple(
        f"m_avg_{name}" for name in ("Pelvis", "Spine3", "Neck", "L_Hip", "L_Knee", "L_Foot", "R_Shoulder")
    ),
    "3ds Max Biped, Character Creator": tuple(
        f"Bip01 {name}" for name in ("Pelvis", "Spine1", "Neck", "L Thigh", "L Calf", "L Toe0", "R UpperArm")
    ),
    "Unreal mannequin": ("pelvis", "spine_03", "neck_01", "thigh_l", "calf_l", "ball_l", "upperarm_r"),
}
SHOWN = ("pelvis", "chest", "neck", "left_hip", "left_knee", "left_toe", "right_shoulder")


@pytest.mark.parametrize("convention", NAMES)
def test_common_names_are_known(convention):
    names = tuple(NAMES[convention].split("|" if "|" in NAMES[convention] else None))
    naming = by_convention(names)
    assert naming is not None
    assert naming.convention == convention
    assert tuple(names[naming.joints[part]] for part in SHOWN) == EXPECTED[convention]


@pytest.mark.parametrize("convention", _conventions(), ids=lambda convention: convention.title)
def test_each_table_finds_the_names_that_it_lists_in_any_order(convention):
    names = [f"Person:{convention.parts[part][0]}" for part in PARTS]
    naming = by_convention(names[::-1])
    assert naming is not None
    assert {part: names[::-1][joint] for part, joint in naming.joints.items()} == dict(zip(PARTS, names, strict=True))


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize(("unit", "metres"), [("centimetres", 0.01), ("CMU's 1/0.45 inch", 0.0254 / 0.45)])
def test_a_person_is_the_same_from_any_axes_and_units(up, unit, metres):
    motion = walking_person()
    names = tuple(MIXAMO[name] for name in BODY_JOINTS)
    there = attrs.evolve(motion, joint_names=names, pos=motion.pos @ FROM_Z_UP[up] / metres)
    person, reading = to_person(there)
    assert (reading.convention, reading.unit, reading.up) == ("Mixamo, MotionBuilder", unit, up)
    assert reading.height == pytest.approx(1.75, abs=0.06)
    assert any("the unit" in line for line in reading.lines())
    # the heading about z is arbitrary: compare heights and distances
    toe, hip = person.parts["left_toe"], person.parts["right_hip"]
    original = {name: motion.pos[:, BODY_JOINTS.index(name)] for name in ("left_foot", "right_hip")}
    assert np.allclose(toe[:, 2], original["left_foot"][:, 2])
    assert np.allclose(np.linalg.norm(toe - hip, axis=1), np.linalg.norm(np.subtract(*original.values()), axis=1))
    triple = np.cross(toe - person.parts["pelvis"], hip - person.parts["pelvis"])[:, 2]
    pelvis = motion.pos[:, 0]
    assert np.allclose(triple, np.cross(original["left_foot"] - pelvis, original["right_hip"] - pelvis)[:, 2])


def test_given_axis_and_unit_are_used_and_not_called_assumed():
    motion = walking_person()
    there = attrs.evolve(motion, pos=motion.pos @ FROM_Z_UP["y"] * 40.0)
    person, reading = to_person(there, unit="0.025", up="y")
    assert np.allclose(person.parts["head"], motion.pos[:, BODY_JOINTS.index("head")])
    assert (reading.unit, reading.up, reading.assumed) == ("units of 0.025 m", "y", ())
    with pytest.raises(MotionError, match=r"with --unit metres, the person is .* m tall .*: --unit in fits"):
        to_person(there, unit="m", up="y")
    with pytest.raises(MotionError, match=r"with -y up, the person is upside down"):
        to_person(there, up="-y")
    with pytest.raises(MotionError, match=r"--up w: is not one of x, y, z"):
        to_person(there, up="w")
    with pytest.raises(MotionError, match=r"--unit feet: is neither"):
        to_person(there, unit="feet")


def test_a_lying_person_is_not_trusted_silently():
    motion = walking_person(rest_pos=rest_positions())
    lying = attrs.evolve(motion, pos=motion.pos @ FROM_Z_UP["y"])
    _, reading = to_person(lying)
    assert any("give --up z if the person lies" in line for line in reading.assumed)
    along_x = np.cumsum(np.ones((len(BODY_JOINTS), 1)), axis=0) * (1.0, 0.0, 0.0)  # some files have such rest poses
    _, reading = to_person(attrs.evolve(motion, rest_pos=along_x))
    assert not any("rest pose" in line for line in reading.assumed)
    rolling = motion.pos.copy()
    rolling[1::3] = rolling[1::3] @ FROM_Z_UP["y"]
    rolling[2::3] = rolling[2::3] @ FROM_Z_UP["-x"]
    with pytest.raises(MotionError, match="say which axis points up: --up"):
        to_person(attrs.evolve(motion, pos=rolling))


def test_a_users_table_names_the_joints(tmp_path):
    motion = walking_person(joint_names=tuple(f"j{index}" for index in range(len(BODY_JOINTS))))
    with pytest.raises(MotionError, match=r"fit no convention that mtrack knows; .*--names FILE.*j0, j1"):
        to_person(motion)
    of_part = {part: f"j{BODY_JOINTS.index(part.replace('toe', 'foot'))}" for part in REQUIRED_PARTS}
    table = tmp_path / "names.toml"

    def write(**changes: str) -> None:
        written = {**of_part, **changes}
        table.write_text("".join(f'{part} = "{joint}"\n' for part, joint in written.items() if joint))

    write(left_toe="j10")
    person, reading = to_person(motion, names=table)
    assert reading.joints["left_toe"] == "j10"
    assert "chest" not in person.parts
    assert any("toes" in line for line in reading.assumed)
    for changes, message in (
        ({"left_toes": "j10"}, "'left_toes' is not a part of a person; did you mean 'left_toe'"),
        ({"head": "j99"}, "head = 'j99': the motion has no such joint"),
        ({"head": "j0"}, "'j0' is used for pelvis and for head"),
        ({"left_knee": ""}, "has no left_knee; add a joint"),
    ):
        write(**changes)
        with pytest.raises(MotionError, match=message):
            to_person(motion, names=table)


def test_a_missing_joint_is_named():
    names = [name for name in NAMES["LAFAN1"].split() if name != "RightForeArm"]
    message = why_not_named(names)
    assert "most like LAFAN1, but these parts are missing: right_elbow" in message
    assert "RightHand" in message


FAULTS = {
    "joint 'left_knee' is not finite in frame 7 \\(1 of 60 frames\\)": lambda: moved("left_knee", np.nan, slice(7, 8)),
    "does not say its frame rate; give it with --fps": lambda: walking_person(fps=None),
    "frame rate of 0.01 per second": lambda: walking_person(fps=0.01),
    "has 1 frames; a motion needs at least 2": lambda: walking_person(frames=1),
    "has only a rest pose": lambda: walking_person(pos=np.repeat(rest_positions()[None], 9, axis=0)),
    "the right shin, from 'right_knee' to 'right_ankle', changes its length": lambda: moved(
        "right_ankle", np.linspace(0.0, 1.5, 60)
    ),
    "which is not a person in metres": lambda: walking_person(pos=walking_person().pos * 4.0),
    "in the unit of its format, metres, the person is 18": lambda: walking_person(
        pos=walking_person().pos * 10.0, unit_m=1.0
    ),
    "left and right are swapped": lambda: walking_person(pos=walking_person().pos * (1.0, -1.0, 1.0)),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_fault_of_a_motion_is_named(message):
    with pytest.raises(MotionError, match=f"^walk\\.bvh: .*{message}"):
        to_person(FAULTS[message]())


def test_a_bone_without_length_is_named():
    motion = walking_person()
    motion.pos[:, BODY_JOINTS.index("left_elbow")] = motion.pos[:, BODY_JOINTS.index("left_shoulder")]
    with pytest.raises(MotionError, match=r"the left upper arm, from 'left_shoulder' to 'left_elbow', has no length"):
        to_person(motion)


def test_toes_at_the_ankle_are_left_out():
    motion = walking_person()
    motion.pos[:, BODY_JOINTS.index("left_foot")] = motion.pos[:, BODY_JOINTS.index("left_ankle")]
    person, reading = to_person(motion)
    assert "left_toe" not in person.parts
    assert any("left_toe is at the ankle" in line for line in reading.assumed)


@needs_samples
def test_the_walk_of_cmu_is_read():
    (motion,) = Bvh().skeletons(SAMPLES / "bvh" / "cmu_12_01_walk.bvh")
    person, reading = to_person(motion)
    assert (reading.convention, reading.unit, reading.up) == ("CMU", "CMU's 1/0.45 inch", "y")
    assert person.fps == 120.0
    lowest = min(person.parts[f"{side}_toe"][:, 2].min() for side in ("left", "right"))
    assert -0.02 < lowest < 0.05
    speed = np.linalg.norm(np.diff(person.parts["pelvis"][:, :2], axis=0), axis=1).mean() * person.fps
    assert 0.8 < speed < 1.6  # m/s, a walk


@needs_samples
@pytest.mark.parametrize("name", ["walk_level1", "kick_level1", "jump_forward_level5"])
def test_the_persons_of_asap_are_read(name):
    (motion,) = JointPositions().skeletons(SAMPLES / "asap" / f"{name}.pkl")
    person, reading = to_person(motion)
    assert (motion.fps, reading.unit, reading.up, reading.assumed) == (30.0, "metres", "z", ())
    assert person.parts["head"][:, 2].mean() > 1.0


def test_a_rest_pose_in_front_of_the_motion_is_left_out():
    walk = walking_person()
    bent = rest_positions() - 0.1 * (rest_positions()[:, 2:] < 0.5)  # CMU's rest pose differs from its first frame too
    file = attrs.evolve(walk, pos=np.concatenate((rest_positions()[None], walk.pos)), rest_pos=bent)
    file.pos[1:, :, 1] += 0.4 * (file.pos[1:, :, 2] < 1.3)  # the walk is far from the rest pose
    person, reading = to_person(file)
    assert any("frame 0 is the rest pose" in line for line in reading.assumed)
    assert np.array_equal(person.parts["left_wrist"], file.pos[1:, BODY_JOINTS.index("left_wrist")])


def test_a_motion_that_begins_in_its_rest_pose_is_kept():
    walk = walking_person()
    begins = attrs.evolve(walk, rest_pos=walk.pos[0].copy())
    far = attrs.evolve(walk, rest_pos=walk.pos[30].copy())
    far.pos[0, :, 1] += 0.4 * (walk.pos[0, :, 2] < 1.3)  # a jump, but not from the rest pose
    for motion in (begins, far, attrs.evolve(far, rest_pos=None)):
        person, reading = to_person(motion)
        assert len(person.parts["pelvis"]) == len(walk.pos)
        assert not any("rest pose" in line for line in reading.assumed)


@needs_samples
def test_the_t_pose_of_cmu_is_left_out():
    (motion,) = Bvh().skeletons(SAMPLES / "bvh" / "cmu_12_01_walk.bvh")
    person, reading = to_person(motion)
    assert len(person.parts["pelvis"]) == len(motion.pos) - 1
    assert reading.assumed[-1] == "frame 0 is the rest pose, from which the motion jumps: left it out"
