"""`mtrack eval` stores the evaluation of a run's own clips in the run directory, and a reader returns it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mtrack_eval
from mtrack_eval.stored import StoredClip, eval_results


@pytest.fixture(scope="module")
def scored(run):
    """Return a run whose evaluation is stored."""
    report = mtrack_eval.evaluate(run, rollouts=2, store=True)
    return run, report


@pytest.fixture
def copy(scored, tmp_path) -> Path:
    """Return a copy of this run."""
    return Path(shutil.copytree(scored[0], tmp_path / "copy"))


def test_a_stored_evaluation_has_the_report_and_a_date_and_its_clips_in_the_order_of_the_table(scored):
    run, report = scored
    stored = eval_results(run, "teacher")
    content = json.loads((run / "eval_teacher.json").read_text())
    assert content == {"date": stored.date.isoformat(), **json.loads(json.dumps(report.to_dict()))}
    assert [clip.name for clip in stored.clips] == [clip["clip"] for clip in report.to_dict()["clips"]]
    assert stored.clips[0].error == pytest.approx(max(clip.values["mpkpe_local"] for clip in report.policy.clips))
    assert (stored.success, stored.error_name, stored.error_unit) == (1.0, "mpkpe_local", "mm")
    assert stored.error == pytest.approx(report.metrics["mpkpe_local"])
    assert (stored.checkpoint, stored.frames, stored.is_outdated) == (report.checkpoint, 640, False)
    assert eval_results(run, "student") is None


def test_an_evaluation_under_other_conditions_is_not_stored(copy):
    (copy / "eval_teacher.json").unlink()
    others = ({"motions": copy / "clips"}, {"noise": True}, {"overrides": ["randomizations.motor_gains.enabled=false"]})
    for other in others:
        mtrack_eval.evaluate(copy, rollouts=1, store=True, **other)
    mtrack_eval.evaluate(copy, episodes=2, store=True)
    mtrack_eval.evaluate(copy, rollouts=1)
    assert not list(copy.glob("*eval*"))


def test_a_directory_that_cannot_be_written_does_not_fail_the_evaluation(copy, caplog):
    (copy / "eval_teacher.json").unlink()
    (copy / "eval_teacher.json" / "a").mkdir(parents=True)  # root may write everywhere, but not replace a folder
    assert mtrack_eval.evaluate(copy, rollouts=1, store=True).metrics
    assert "cannot store the evaluation in" in caplog.text


def test_an_evaluation_is_outdated_if_there_is_a_newer_checkpoint(copy):
    newer = shutil.copytree(copy / "checkpoints" / "train-0000001", copy / "checkpoints" / "train-0000002")
    manifest = json.loads((newer / "manifest.json").read_text())
    (newer / "manifest.json").write_text(json.dumps({**manifest, "frames": 1280, "iteration": 2}))
    assert eval_results(copy, "teacher").is_outdated
    (newer / "manifest.json").write_text("{")
    assert not eval_results(copy, "teacher").is_outdated, "a damaged checkpoint does not count"
    shutil.rmtree(copy / "checkpoints")
    assert not eval_results(copy, "teacher").is_outdated


def test_a_damaged_evaluation_is_reported_and_ignored(copy, caplog):
    file = copy / "eval_teacher.json"
    content = json.loads(file.read_text())
    whole = file.read_bytes()
    damaged = [whole[: len(whole) // 2], b"", b"[]", b"null", b"\xff\xfe"]
    damaged += [json.dumps({**content, key: None}).encode() for key in ("date", "clips", "units", "average", "frames")]
    damaged += [json.dumps({k: v for k, v in content.items() if k != "distance"}).encode()]
    damaged += [json.dumps({**content, "clips": [{"clip": "a", "failed": "x"}]}).encode()]
    for bad in damaged:
        caplog.clear()
        file.write_bytes(bad)
        assert eval_results(copy, "teacher") is None, bad[:50]
        assert "eval_teacher.json is damaged" in caplog.text


def test_an_unknown_error_of_a_clip_is_none(copy):
    file = copy / "eval_teacher.json"
    content = json.loads(file.read_text())
    content["clips"] = [{"clip": "a", "failed": 0.25, "mpkpe_local": None}]
    file.write_text(json.dumps(content))
    assert eval_results(copy, "teacher").clips == (StoredClip("a", 0.75, None),)
