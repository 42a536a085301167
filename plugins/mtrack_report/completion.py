"""Adds to a run directory what its report lacks: the evaluation of its newest checkpoint, and replays."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from matplotlib.image import imsave

from mtrack import CheckpointError, MtrackError
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, EvaluatedRun, open_run
from mtrack_eval.evaluation import evaluate_run
from mtrack_eval.rollouts import Arena, Rollouts, prepare
from mtrack_eval.several_runs import evaluate_runs
from mtrack_eval.snapshots import spaced
from mtrack_eval.strips import fate, worst_rollout
from mtrack_report.replay_file import ClipReplay, read_replays, write_replay
from mtrack_report.run_facts import RunFacts, read_run
from mtrack_view.animation import Animation, render_frames
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.raycast import RenderQuality

_PICTURES = 6
_HEIGHT, _RAYS, _LIGHTS = 300, 4, 8  # pixels, and enough rays for a small picture
_NOTED = ("mpkpe_local", "mpkpe_world")
_log = logging.getLogger("mtrack")


def complete(directory: Path, files: Sequence[str], allow_change: bool) -> RunFacts:
    """Evaluate the newest checkpoint of a run and record replays, unless the run directory has them; return its facts.

    What cannot be added becomes a remark. Raises MtrackError if the directory is not a run.
    """
    run = read_run(directory)
    options = EvalOptions(files=tuple(files), allow_change=allow_change)
    try:
        opened = open_run(directory, options, Registry.scan(files=files))
    except CheckpointError as error:
        return _with(run, f"The run could not be evaluated: {error}.")
    found, remarks = _evaluation(run, opened), []
    if found is None:
        _log.info("evaluating %s", opened.checkpoint_name)
        report = evaluate_run(directory, options, with_plots=False, is_stored=True)
        found = report.to_dict()
    if found.get("clips"):
        try:
            _add_replays(run, opened, found)
        except MtrackError as error:
            remarks.append(f"There are no replays: {error}.")
    facts = read_run(directory)
    others = tuple(other for other in facts.evaluations if other.get("actor") != found["actor"])
    return _with(attrs.evolve(facts, evaluations=(*others, found)), *remarks)


def evaluate_alike(directories: Sequence[Path], files: Sequence[str], allow_change: bool) -> dict[Path, RunFacts]:
    """Evaluate runs with the same rollouts, those of the first stored evaluation, and return their facts.

    Stored evaluations that are up to date are used. Why a run could not be evaluated becomes a remark.
    """
    stored = [found for run in directories for found in read_run(run).evaluations if found.get("made_from")]
    alike = {"rollouts": stored[0]["rollouts"], "seed": stored[0]["conditions"]["seed"]} if stored else {}
    options = EvalOptions(files=tuple(files), allow_change=allow_change, **alike)
    result = evaluate_runs(list(directories), options)
    facts: dict[Path, RunFacts] = {}
    for directory in directories:
        run = read_run(directory)
        if directory in result.problems:
            facts[directory] = _with(run, f"The run could not be evaluated: {result.problems[directory]}.")
            continue
        found = result.found[directory]
        others = tuple(other for other in run.evaluations if other.get("actor") != found["actor"])
        facts[directory] = attrs.evolve(run, evaluations=(*others, found))
    return facts


def _with(run: RunFacts, *remarks: str) -> RunFacts:
    return attrs.evolve(run, remarks=(*run.remarks, *remarks))


def _evaluation(run: RunFacts, opened: EvaluatedRun) -> Mapping[str, Any] | None:
    """Return the stored evaluation of the newest checkpoint, if there is one."""
    name = opened.checkpoint.path.name
    return next(
        (
            found
            for found in run.evaluations
            if str(found.get("checkpoint", "")).rpartition("/")[2] == name and found.get("actor") == opened.actor
        ),
        None,
    )


def _add_replays(run: RunFacts, opened: EvaluatedRun, found: Mapping[str, Any]) -> None:
    """Record the worst and the best clip of an evaluation, unless the checkpoint has replays. Raises MtrackError."""
    names = {"worst": found["clips"][0]["clip"], "best": found["clips"][-1]["clip"]}
    if len(found["clips"]) == 1:
        names.pop("best")
    present = {
        replay.which: replay.name
        for replay in read_replays(run.directory, [])
        if replay.checkpoint == opened.checkpoint.path.name and replay.actor == opened.actor
    }
    missing = {which: name for which, name in names.items() if present.get(which) != name}
    if not missing:
        return
    _log.info("recording %s", " and ".join(missing.values()))
    arena = prepare(opened, clips_at_once=1)
    robot = PosedRobot(opened.recipe.robot.build())
    for which, name in missing.items():
        replay = _recorded(arena, robot, opened, which, name, str(found.get("distance", "mpkpe_local")))
        try:
            write_replay(run.directory, replay)
        except OSError as error:
            raise MtrackError(f"cannot write into {run.directory}: {error.strerror}; make it writable") from error


def _recorded(
    arena: Arena, robot: PosedRobot, opened: EvaluatedRun, which: str, name: str, distance: str
) -> ClipReplay:
    clip, dt = arena.names.index(name), arena.env.scene.dt
    rollouts = arena.record(clip)
    rollout = worst_rollout(rollouts, 0, distance) if which == "worst" else _best_rollout(rollouts, distance)
    assert rollouts.poses is not None
    poses = rollouts.poses[..., 0, rollout]
    finite = poses.isfinite().all(-1).all(0)  # until the simulation diverged
    shown, ghost = poses[:, finite].numpy()
    frames = spaced(arena.lengths[clip : clip + 1], _PICTURES)[:, 0].unique()
    frames = frames[frames <= len(shown)].tolist()
    pictures = _pictures(robot, shown, ghost, [frame - 1 for frame in frames])
    return ClipReplay(
        name=name,
        which=which,
        actor=opened.actor,
        checkpoint=opened.checkpoint.path.name,
        fate=fate(rollouts, 0, rollout, dt).replace("the worst of", f"the {which} of"),
        failed=bool(rollouts.failed[0, rollout]),
        dt=dt,
        poses=shown,
        ghost=ghost,
        captions=tuple(_caption(rollouts, rollout, frame, dt) for frame in frames),
        pictures=tuple(pictures),
    )


def _best_rollout(rollouts: Rollouts, distance: str) -> int:
    """Return the rollout that lasts longest; among equals, the one with the smallest distance."""
    frames, values = rollouts.frames[0], rollouts.values.get(distance, rollouts.frames)[0]
    order = sorted(range(len(frames)), key=lambda i: (-float(frames[i]), float(values[i].nan_to_num(np.inf))))
    return order[0]


def _pictures(robot: PosedRobot, poses: Any, ghost: Any, frames: Sequence[int]) -> Iterator[bytes]:
    """Yield PNG files of some frames, all with one camera."""
    animation = Animation(poses[frames].astype(np.float64), ghost[frames].astype(np.float64))
    camera = animation.camera(robot)
    quality = RenderQuality(round(_HEIGHT * camera.aspect), _HEIGHT, rays=_RAYS, lights=_LIGHTS)
    for picture in render_frames(robot, animation, camera, quality):
        file = io.BytesIO()
        imsave(file, picture, format="png", metadata={"Software": ""})
        yield file.getvalue()


def _caption(rollouts: Rollouts, rollout: int, frame: int, dt: float) -> str:
    time = f"{frame * dt:.2f} s"
    if frame > rollouts.frames[0, rollout]:
        return f"{time}, failed"
    slots = [slot for slot in _NOTED if slot in rollouts.curves]
    errors = [f"{slot.rpartition('_')[2]} {rollouts.curves[slot][frame - 1, 0, rollout]:.0f} mm" for slot in slots]
    return ", ".join([time, *errors])
