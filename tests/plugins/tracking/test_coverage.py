"""Which clips are seen, learnt and failing: counted when episodes end, reported as metrics, kept by resumes."""

from __future__ import annotations

import json

import pytest
import torch
from support.clips import swaying_clip
from support.following import ENV_IDS, following, start, step

from mtrack import CheckpointError, MotionError
from mtrack.api.trial import trial
from mtrack.loop.state import component_state, load_component_state
from mtrack_motion.file import write_clip
from mtrack_motion.source import MotionFiles
from mtrack_testing import Walks
from mtrack_tracking.coverage import Coverage
from mtrack_tracking.sampling import ClipBins, FailureBins, UniformStarts

LENGTH = torch.tensor([100, 300, 50])


def coverage(slots=("only",), slot=(0, 0, 0), num_envs=4) -> Coverage:
    return Coverage(ClipBins(LENGTH, 50), ("a", "b", "c"), slots, torch.tensor(slot), num_envs)


def episode(counts: Coverage, clip: int, first: int, last: int, failed: bool, times: int = 1) -> None:
    env_ids = torch.tensor([0])
    for _ in range(times):
        counts.begin(env_ids, torch.tensor([clip]), torch.tensor([first]))
        counts.end(env_ids, torch.tensor([clip]), torch.tensor([last]), torch.tensor([failed]))


def values(counts: Coverage, reported: int = 10) -> dict[str, float]:
    return {name: float(value) for name, value in counts.metrics(reported).items()}


def test_no_clip_is_seen_at_first_and_the_first_reset_ends_no_episode():
    counts = coverage()
    env_ids = torch.arange(4)
    counts.end(
        env_ids, torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.bool)
    )
    assert values(counts) == {
        "coverage/seen": 0,
        "coverage/learnt": 0,
        "coverage/failing": 0,
        "coverage/frames_seen": 0,
    }


def test_clips_are_seen_learnt_and_failing_by_how_their_episodes_end():
    counts = coverage()
    episode(counts, 0, 0, 99, failed=False, times=20)
    episode(counts, 1, 0, 40, failed=True, times=20)
    found = values(counts)
    assert found["coverage/seen"] == pytest.approx(2 / 3)
    assert found["coverage/learnt"] == found["coverage/failing"] == pytest.approx(1 / 3)
    assert (found["clip/a"], found["clip/b"]) == (1.0, 0.0)
    assert "clip/c" not in found  # no episode of it has ended


def test_a_clip_counts_as_learnt_only_after_some_episodes():
    counts = coverage()
    episode(counts, 0, 0, 99, failed=False, times=3)
    assert values(counts)["coverage/learnt"] == 0
    episode(counts, 0, 0, 99, failed=False, times=2)
    assert values(counts)["coverage/learnt"] == pytest.approx(1 / 3)


def test_success_follows_the_latest_episodes():
    counts = coverage()
    episode(counts, 0, 0, 99, failed=True, times=100)
    episode(counts, 0, 0, 99, failed=False, times=100)
    assert values(counts)["clip/a"] > 0.95


def test_episodes_that_end_together_are_each_counted():
    together, apart = coverage(), coverage()
    env_ids, clips = torch.arange(4), torch.tensor([1, 1, 0, 1])
    frames, failed = torch.tensor([10, 20, 30, 40]), torch.tensor([True, False, False, True])
    together.begin(env_ids, clips, torch.zeros_like(frames))
    together.end(env_ids, clips, frames, failed)
    for i in range(4):
        episode(apart, int(clips[i]), 0, int(frames[i]), failed=bool(failed[i]))
    assert values(together)["clip/b"] == pytest.approx(1 / 3)
    assert values(apart)["clip/b"] == pytest.approx(1 / 3, abs=0.02)


def test_frames_seen_are_those_of_the_bins_that_episodes_visited():
    counts = coverage()
    episode(counts, 1, 60, 120, failed=True)  # second and third of clip b's six bins
    assert values(counts)["coverage/frames_seen"] == pytest.approx(100 / 450)
    episode(counts, 2, 0, 49, failed=False)
    assert values(counts)["coverage/frames_seen"] == pytest.approx(150 / 450)


def test_only_the_clips_that_fail_most_are_named():
    counts = coverage()
    for clip, share in ((0, False), (1, True), (2, True)):
        episode(counts, clip, 0, 40, failed=share, times=5)
    episode(counts, 2, 0, 49, failed=False)
    assert [name for name in values(counts, reported=2) if name.startswith("clip/")] == ["clip/b", "clip/c"]
    assert not [name for name in values(counts, reported=0) if name.startswith("clip/")]


def test_each_of_several_sources_has_its_own_shares():
    counts = coverage(slots=("one", "two"), slot=(0, 0, 1))
    episode(counts, 2, 0, 49, failed=True)
    found = values(counts)
    assert (found["coverage/one/seen"], found["coverage/two/seen"]) == (0.0, 1.0)
    assert found["coverage/two/failing"] == 1.0


def test_the_command_reports_its_coverage_and_keeps_it_over_a_resume():
    command, scene = following(restart_probability=0.0)
    start(command)
    for _ in range(30):
        step(command, scene)
    start(command, ENV_IDS[:4], failed=True)
    step(command, scene)
    reported = {name: float(value) for name, value in command.metrics().items()}
    assert reported["coverage/seen"] > 0
    assert reported["coverage/failing"] > 0
    other, _ = following(restart_probability=0.0)
    load_component_state(other, component_state(command), "command")
    assert {name: float(value) for name, value in other.coverage.metrics(12).items()} == {
        name: value for name, value in reported.items() if name.startswith(("coverage/", "clip/"))
    }


def test_a_checkpoint_of_other_clips_is_rejected():
    command, _ = following((120, 400))
    other, _ = following((120, 400, 200))
    with pytest.raises(CheckpointError, match="saved with other clips"):
        load_component_state(other, component_state(command), "command")


# ---- weights


def test_weights_within_a_source_change_its_clips_and_no_other_source():
    slot, even = torch.tensor([0, 0, 1]), torch.tensor([1.0, 1.0])
    weight = torch.tensor([3.0, 1.0, 7.0])
    uniform = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0))
    clip, _ = UniformStarts(LENGTH, slot, even, weight).draw(uniform)
    assert (torch.bincount(clip) / 20_000).tolist() == pytest.approx([0.25, 0.25, 0.5], abs=0.01)
    bins = FailureBins(LENGTH, slot, even, weight, frames=50, kernel=1, decay=0.5, uniform=0.0)
    failures = torch.zeros(len(bins.clip))
    failures[[0, 2]] = 0.01  # as hard: the first bins of clips 0 and 1
    probability = bins.probability(failures)
    assert probability[[0, 2]].tolist() == pytest.approx([0.375, 0.125])
    assert probability[8] == pytest.approx(0.5)


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for name, frames in (("easy", 150), ("hard", 160), ("odd", 170)):
        write_clip(tmp_path / "clips" / f"{name}.npz", swaying_clip(frames, name=name))
    return tmp_path


def evaluation(path, failed):
    entries = [{"clip": name, "failed": share} for name, share in failed.items()]
    path.write_text(json.dumps({"run": "runs/x", "failed_clips": entries}))
    return path


def test_clips_that_failed_in_an_evaluation_are_drawn_more_often(clips):
    source = MotionFiles(path=clips / "clips", weights=evaluation(clips / "eval.json", {"hard": 1.0, "odd": 0.25}))
    command, _ = following(motions={"mine": (1.0, source), "walks": (1.0, Walks(400))}, num_envs=4000)
    assert command.library.names == ("easy", "hard", "odd", "walk400")
    assert command.library.weight.tolist() == [1.0, 5.0, 2.0, 1.0]
    start(command, torch.arange(4000))
    drawn = torch.bincount(command.clip, minlength=4) / 4000
    amount = torch.tensor([150.0, 800.0, 340.0])
    assert drawn[:3].tolist() == pytest.approx((0.5 * amount / amount.sum()).tolist(), abs=0.03)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "has no 'failed_clips'"),
        ("no json", "has no 'failed_clips'"),
        ('{"failed_clips": [{"clip": "hard", "failed": 2}]}', "not between 0 and 1"),
        ('{"failed_clips": [{"clip": "another", "failed": 1}]}', "none of its clips is in"),
    ],
)
def test_an_invalid_evaluation_is_rejected_as_weights(clips, content, says):
    (clips / "eval.json").write_text(content)
    with pytest.raises(MotionError, match=says):
        MotionFiles(path=clips / "clips", weights=clips / "eval.json").clip_weights(["hard"])


def test_an_evaluation_without_failures_gives_equal_weights(clips):
    source = MotionFiles(path=clips / "clips", weights=evaluation(clips / "eval.json", {}))
    assert source.clip_weights(["easy", "hard"]) == [1.0, 1.0]


def test_a_trial_names_every_clip_so_that_a_phase_can_wait_for_any():
    with trial():
        assert {"clip/a", "clip/b", "clip/c"} <= values(coverage(), reported=1).keys()
