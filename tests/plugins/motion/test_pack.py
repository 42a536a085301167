"""The packed file: the same frames as from single clips, for one robot model, rate and contact rule only."""

from __future__ import annotations

import json
import logging

import attrs
import numpy as np
import pytest
import torch
from packs import DT, RULE, clips, packed_folder
from support.following import following, start, step

from mtrack import Kinematics, MotionError, MtrackError
from mtrack.api.cached_tensors import derived
from mtrack_g1.robot import G1
from mtrack_motion.collect import collect
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import MotionLibrary
from mtrack_motion.pack import Pack, is_pack
from mtrack_motion.source import MotionFiles
from mtrack_motion.tables import _concatenated
from mtrack_testing import Walks, g1_model

BASE = [field.name for field in attrs.fields(Kinematics) if field.name != "cache"]
DERIVED = [name for name, value in vars(Kinematics).items() if isinstance(value, derived)]
OF_ROOT = ["root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel", "body_root"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return packed_folder(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def single():
    return MotionLibrary.build(G1(), [(1.0, clip) for clip in clips()], DT)


@pytest.fixture(scope="module")
def packed(folder):
    return Pack.open(folder / "all.pack").library(G1(), DT, RULE, range(3))


# ---- the same motion


def test_a_packed_file_holds_the_clips_by_name(single, packed):
    assert packed.names == ("even", "slow", "wide")
    assert packed.sha256 == single.sha256
    assert torch.equal(packed.start, single.start)
    assert torch.equal(packed.length, single.length)
    assert torch.equal(packed.held, single.held)
    for field in attrs.fields(type(single.extremes)):
        assert torch.equal(getattr(packed.extremes, field.name), getattr(single.extremes, field.name))


@pytest.mark.parametrize("shape", [(7,), (4, 5), (0,), (0, 5)])
def test_a_gather_from_a_packed_file_is_that_of_single_clips(single, packed, shape):
    frames = torch.randint(single.num_frames, shape, generator=torch.Generator().manual_seed(1))
    one, other = single.gather(frames), packed.gather(frames)
    for name in OF_ROOT:
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert torch.equal(one.contact, other.contact)
    for name in [*BASE, *DERIVED]:
        expected = getattr(one, name)
        sign = torch.ones(()) if "quat" not in name else torch.sign((expected * getattr(other, name)).sum(-1, True))
        torch.testing.assert_close(sign * getattr(other, name), expected, atol=3e-6, rtol=1e-5, msg=name)


def test_a_packed_clip_is_held_at_rest_as_a_single_one_is(folder, single):
    walks = Walks(50, 90)
    sources = {"walks": (1.0, walks), "big": (1.0, MotionFiles(path=folder / "all.pack", names=("slow", "wide")))}
    library = collect(G1(), sources, DT, RULE).library
    assert library.names == ("walk50", "walk90", "slow", "wide")
    held, last = library.gather(library.held), library.gather(library.start + library.length - 1)
    of_single = single.gather(single.held[1:])
    for name in OF_ROOT:
        assert torch.equal(getattr(held, name)[2:], getattr(of_single, name)), name
    assert torch.equal(held.contact, last.contact)
    torch.testing.assert_close(held.body_pos, last.body_pos, atol=1e-6, rtol=0)
    for name in ("root_lin_vel", "root_ang_vel", "joint_vel", "body_lin_vel", "body_ang_vel"):
        assert getattr(held, name).abs().max() == 0.0, name
    assert held.body_root[:, :, 1:3].abs().max() == 0.0


def test_frames_put_into_a_gather_replace_those_of_the_environments(packed):
    motion = packed.gather(torch.arange(6))
    assert motion.body_pos.shape[0] == len(motion.body_root)  # both are known from here on
    ids, frames = torch.tensor([4, 1]), torch.tensor([100, 200])
    motion.put(ids, packed.gather(frames))
    whole = packed.gather(torch.tensor([0, 200, 2, 3, 100, 5]))
    for name in ("body_pos", "body_root", "root_pos", "root_rot", "body_quat_wxyz"):
        assert torch.equal(getattr(motion, name), getattr(whole, name)), name


def test_writing_to_one_quantity_changes_no_other(packed):
    motion = packed.gather(torch.arange(4))
    motion.body_root.fill_(9.0)
    assert torch.equal(motion.body_pos, packed.gather(torch.arange(4)).body_pos)


def test_some_clips_are_chosen_by_name(folder, single):
    source = MotionFiles(path=folder / "all.pack", names=("slow", "w*"))
    library = source.packed(G1(), DT, RULE)
    assert library.names == ("slow", "wide")
    assert library.start.tolist() == [60, 111]
    assert library.num_frames == 251
    assert library.nth(torch.tensor([0, 50, 51, 250])).tolist() == [60, 110, 111, 310]
    with pytest.raises(MotionError, match="did you mean 'slow'"):
        MotionFiles(path=folder / "all.pack", names=("slaw",)).packed(G1(), DT, RULE)


def test_the_clips_of_a_packed_file_are_clips_at_its_rate(folder):
    even, slow, wide = MotionFiles(path=folder / "all.pack").clips(g1_model())
    assert (even.name, even.fps, even.source, even.licence) == ("even", pytest.approx(50.0), "made", "CC0")
    assert np.array_equal(wide.root_pos, clips()[2].root_pos)
    assert len(slow.joint_pos) == 51


def test_single_and_packed_sources_make_one_library(folder, single):
    sources = {"big": (3.0, MotionFiles(path=folder / "all.pack")), "walks": (1.0, Walks(50, 90))}
    together = collect(G1(), sources, DT, RULE)
    library = together.library
    assert library.names[2:] == ("even", "slow", "wide")
    assert together.slot.tolist() == [1, 1, 0, 0, 0]
    assert together.slot_weight.tolist() == [3.0, 1.0]
    walks = MotionLibrary.build(G1(), [(1.0, clip) for clip in Walks(50, 90).clips(g1_model())], DT)
    # frames 0..139 and two held rows are of the walks, then those of the file follow
    frames = torch.tensor([[139, 142], [3, 452], [202, 60]])
    both = library.gather(frames)
    assert torch.equal(library.gather(frames[:, 0]).root_pos, both.root_pos[:, 0])  # as the command asks
    for name in OF_ROOT:
        assert torch.equal(getattr(both, name)[0, 0], getattr(walks.gather(torch.tensor(139)[None]), name)[0]), name
        assert torch.equal(getattr(both, name)[1, 1], getattr(single.gather(torch.tensor(310)[None]), name)[0]), name
    torch.testing.assert_close(both.body_pos[2, 0], single.gather(torch.tensor([60])).body_pos[0], atol=3e-6, rtol=0)


def test_tables_on_another_device_are_one_block_so_that_no_gather_waits(folder):
    together = collect(G1(), {"big": (3.0, MotionFiles(path=folder / "all.pack")), "walks": (1.0, Walks(50))}, DT, RULE)
    tables = together.library.tables
    assert len(tables.parts) == 2
    moved = tables.to("meta")
    assert len(moved.parts) == 1
    assert {moved.parts[0].root.device.type, moved.parts[0].bodies.device.type} == {"meta"}
    assert moved.num_frames == tables.num_frames
    assert torch.equal(
        _concatenated([part.root for part in tables.parts], "cpu"), tables.rows(torch.arange(moved.num_frames))
    )


def test_motions_too_large_for_a_device_are_rejected_with_their_size_and_the_remedy(packed, monkeypatch):
    def full(*shape, device, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(MtrackError, match=r"do not fit into the memory of meta: .* GB .*pack only the clips"):
        packed.tables.to("meta")


def test_a_run_reports_which_clips_it_uses_and_which_are_left_out(folder, caplog):
    with caplog.at_level(logging.INFO, "mtrack"):
        collect(G1(), {"big": (1.0, MotionFiles(path=folder / "all.pack"))}, DT, RULE).report()
    assert "motions.big: 3 clips, 311 frames, 0.1 min" in caplog.text
    assert "left out 'bad.npz'" in caplog.text


def test_the_command_plays_a_packed_file(folder):
    command, scene = following(motions={"big": (1.0, MotionFiles(path=folder / "all.pack"))})
    start(command)
    step(command, scene)
    assert scene.reference.future.body_root.shape == (8, 5, 3, 6, 15)
    assert scene.reference.body_pos.isfinite().all()
    assert command.provenance()["left_out"][0]["name"] == "bad.npz"


# ---- what it was made for


@pytest.mark.parametrize(
    ("robot", "dt", "rule", "says"),
    [
        (G1(symmetrise=True), DT, RULE, "packed for the robot model g1 .* with other body positions; pack"),
        (G1(bodies=("pelvis", ".*_ankle_roll_link")), DT, RULE, "packed for the robot model"),
        (G1(), 0.01, RULE, "has 50 frames per second, but control_dt = 0.01 needs 100; .* --control-dt 0.01"),
        (G1(), DT, ContactRule(enter_height=0.2), "made with enter_height = 0.18, .* --contact enter_height=0.2"),
    ],
)
def test_another_robot_rate_or_contact_rule_is_refused(folder, robot, dt, rule, says):
    with pytest.raises(MotionError, match=says):
        MotionFiles(path=folder / "all.pack").packed(robot, dt, rule)


def test_what_does_not_move_bodies_may_change(folder):
    assert MotionFiles(path=folder / "all.pack").packed(G1(feet="box", self_collision=True), DT, RULE) is not None


def test_a_file_cut_short_is_refused_in_one_line(folder, tmp_path):
    content = (folder / "all.pack").read_bytes()
    (tmp_path / "cut.pack").write_bytes(content[: len(content) // 2])
    with pytest.raises(MotionError, match="is not a complete packed file") as caught:
        Pack.open(tmp_path / "cut.pack")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda facts: facts["contact"].pop("enter_horizontal"), "'contact' lacks enter_horizontal"),
        (lambda facts: facts.update(fps="50"), "'fps' has another type"),
        (lambda facts: facts.update(fps=float("nan")), "'fps' is not greater than 0"),
        (lambda facts: facts.update(names=[["even"], "slow", "wide"]), "'names' has another type"),
        (lambda facts: facts.pop("left_out"), "left_out"),
        (lambda facts: facts["columns"].update(root_pos=2, root_quat_wxyz=5), "'columns' are not those of its joints"),
    ],
)
def test_a_damaged_fact_is_named(folder, tmp_path, change, says):
    content = (folder / "all.pack").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    facts = json.loads(header["__metadata__"]["facts"])
    change(facts)
    header["__metadata__"]["facts"] = json.dumps(facts)
    text = json.dumps(header, separators=(",", ":")).encode()
    (tmp_path / "changed.pack").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    with pytest.raises(MotionError, match=f"is not a complete packed file .*{says}"):
        Pack.open(tmp_path / "changed.pack")


def test_a_packed_file_is_known_by_its_content(folder, tmp_path):
    assert is_pack(folder / "all.pack")
    assert not is_pack(folder / "clips" / "0.npz")
    assert not is_pack(folder / "clips")
    assert not is_pack(tmp_path / "absent")
