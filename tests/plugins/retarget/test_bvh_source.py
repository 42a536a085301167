"""The skeleton source `bvh` computes the positions of every joint, and names the line of every fault."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.clips import SAMPLES, needs_samples
from support.skeletons import write_bvh

from mtrack import MotionError
from mtrack_retarget.bvh import Bvh

BODY = """
HIERARCHY
ROOT Hips
{
  OFFSET 10.0 20.0 30.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Left Leg
  {
    OFFSET 0.0\t-5.0   1.0
    CHANNELS 3 Yrotation Xrotation Zrotation
    JOINT Foot {
      OFFSET 0 -4 0
      CHANNELS 6 Zposition Yposition Xposition Xrotation Zrotation Yrotation
      End Site
      {
        OFFSET 0 0 2
      }
    }
  }
  JOINT Spine
  {
    OFFSET 0 6 0
    CHANNELS 0
    End Site
    {
      OFFSET 0 1 0
    }
  }
}
"""


def rows(frames: int = 7) -> list[list[float]]:
    draw = np.random.default_rng(3)
    table = draw.uniform(-170.0, 170.0, (frames, 15))
    table[:, 9:12] = (0.5, -4.2, 0.1)  # the foot's own position, z y x
    return table.tolist()


def expected(row: list[float]) -> list[np.ndarray]:
    """Compute one frame joint by joint, with another library's rotations."""
    root, hips = np.array(row[:3]), Rotation.from_euler("ZYX", row[3:6], degrees=True)
    leg = root + hips.apply([0.0, -5.0, 1.0])
    thigh = hips * Rotation.from_euler("YXZ", row[6:9], degrees=True)
    foot = leg + thigh.apply([row[11], row[10], row[9]])
    tip = foot + (thigh * Rotation.from_euler("XZY", row[12:15], degrees=True)).apply([0.0, 0.0, 2.0])
    spine = root + hips.apply([0.0, 6.0, 0.0])
    return [root, leg, foot, tip, spine, spine + hips.apply([0.0, 1.0, 0.0])]


def test_positions_equal_an_independent_computation(tmp_path):
    table = rows()
    (motion,) = Bvh().skeletons(write_bvh(tmp_path / "walk.bvh", BODY, table))
    assert motion.joint_names == ("Hips", "Left Leg", "Foot", "Foot_end", "Spine", "Spine_end")
    assert motion.parents == (-1, 0, 1, 2, 0, 4)
    assert (motion.name, motion.fps, motion.unit_m, motion.up) == ("walk", 30.0, None, "")
    assert np.allclose(motion.pos, [expected(row) for row in np.round(table, 6)], atol=1e-9)
    assert np.allclose(motion.rest_pos[3] - motion.rest_pos[0], (0.0, -9.0, 3.0))


def test_small_positions_of_inner_joints_are_added_to_their_offsets(tmp_path):
    table = [[0.0] * 15 for _ in range(3)]
    table[1][9] = 0.25
    (motion,) = Bvh().skeletons(write_bvh(tmp_path / "walk.bvh", BODY, table))
    assert np.allclose(motion.pos[:, 2], [(0.0, -9.0, 1.0), (0.0, -9.0, 1.25), (0.0, -9.0, 1.0)])


def test_other_line_ends_tabs_and_capitals_change_nothing(tmp_path):
    path = write_bvh(tmp_path / "walk.bvh", BODY, rows())
    (first,) = Bvh().skeletons(path)
    text = path.read_text().replace("\n", "\r\n").replace("  ", "\t").replace("End Site", "END SITE")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("Frames: 7", "Frames:\t7 \r\n").encode() + b"\r\n\r\n")
    assert Bvh().recognises(path) == "BVH"
    (second,) = Bvh().skeletons(path)
    assert np.array_equal(first.pos, second.pos)


def test_several_statements_may_share_a_line(tmp_path):
    path = write_bvh(tmp_path / "walk.bvh", BODY, rows())
    (first,) = Bvh().skeletons(path)
    hierarchy, motion = path.read_text().split("MOTION")
    path.write_text(" ".join(hierarchy.split()).replace(" JOINT Foot", "\nJOINT Foot") + "\nMOTION" + motion)
    (second,) = Bvh().skeletons(path)
    assert second.joint_names == first.joint_names
    assert np.array_equal(first.pos, second.pos)


@pytest.mark.parametrize(
    ("written", "fps"), [(".0083333", 120.0), ("0.008333", 120.0), ("0.0333667", 29.97), ("0.04", 25.0), ("0", None)]
)
def test_a_rounded_frame_time_gives_a_whole_rate(tmp_path, written, fps):
    (motion,) = Bvh().skeletons(write_bvh(tmp_path / "walk.bvh", BODY, rows(), written))
    assert motion.fps == (fps if fps is None else pytest.approx(fps, abs=1e-3))
    (faster,) = Bvh(fps=60.0).skeletons(tmp_path / "walk.bvh")
    assert faster.fps == 60.0


FAULTS = {
    "has 6 of the 7 frames": lambda lines: lines[:-1],
    "38: has more frames than the 6": lambda lines: [line.replace("Frames: 7", "Frames: 6") for line in lines],
    "34: has 14 numbers, but the channels of the hierarchy are 15": lambda lines: [
        *lines[:33],
        lines[33].rpartition(" ")[0],
        *lines[34:],
    ],
    "34: column 15 is '1,5', not a number": lambda lines: [
        *lines[:33],
        lines[33].rpartition(" ")[0] + " 1,5",
        *lines[34:],
    ],
    "5: needs CHANNELS": lambda lines: [line.replace("CHANNELS 6 Xp", "CHANNELS 5 Xp") for line in lines],
    "4: needs three numbers": lambda lines: [line.replace("10.0 20.0 30.0", "10.0 20.0") for line in lines],
    "begins the motion before all braces": lambda lines: lines[:27] + lines[28:],
    "before the line MOTION": lambda lines: lines[:24],
    "expected 'Frames: N'": lambda lines: [line for line in lines if not line.startswith("Frames")],
    "expected 'Frame Time": lambda lines: [line for line in lines if not line.startswith("Frame Time")],
    "6: has 'JINT Left Leg'": lambda lines: [line.replace("JOINT Left", "JINT Left") for line in lines],
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_fault_is_named_with_its_line(tmp_path, message):
    path = write_bvh(tmp_path / "walk.bvh", BODY, rows())
    path.write_text("\n".join(FAULTS[message](path.read_text().splitlines())) + "\n")
    with pytest.raises(MotionError, match=r"walk\.bvh.*; ") as error:
        list(Bvh().skeletons(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@needs_samples
def test_a_long_recording_is_read_in_bounded_time(tmp_path):
    sample = (SAMPLES / "bvh" / "cmu_12_01_walk.bvh").read_text().splitlines()
    start = next(index for index, line in enumerate(sample) if line.startswith("Frames"))
    lines, repeats = sample[start + 2 :], 8
    path = tmp_path / "long.bvh"
    path.write_text("\n".join([*sample[:start], f"Frames: {524 * repeats}", sample[start + 1], *lines * repeats]))
    began = time.process_time()
    (motion,) = Bvh().skeletons(path)
    seconds = time.process_time() - began
    assert motion.pos.shape == (524 * repeats, 38, 3)
    assert np.array_equal(motion.pos[:524], motion.pos[-524:])
    assert seconds < 10.0  # about 0.3 s
