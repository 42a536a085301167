"""`mtrack eval` from the run directory to its figures."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import attrs
import torch

from mtrack.errors import MtrackError
from mtrack.processors import own_processors
from mtrack.registry import Registry
from mtrack_eval.contract import HasUnit, Judges, TakesLengths
from mtrack_eval.motions import motions_at
from mtrack_eval.report import Evaluation
from mtrack_eval.rollouts import Arena, Rollouts, prepare
from mtrack_eval.subject import Subject, Wishes, open_run
from mtrack_eval.summary import Summary, summarise, worst_first
from mtrack_log.jsonl import read_jsonl

ERRORS, LEARNING, STRIPS = "eval_errors.png", "learning_curves.png", "eval_strips"
_STRIPS, _PANELS = 5, 8  # clips that are drawn, and the frames of each
_log = logging.getLogger("mtrack")


def evaluate_run(run: Path, wishes: Wishes, with_figures: bool, with_strips: bool = False) -> Evaluation:
    """Score a run, and draw figures, and picture strips of the worst clips, into its directory.

    Raises MtrackError for what the user can mend.
    """
    torch.set_num_threads(own_processors())
    registry = Registry.scan(files=wishes.files)
    with tempfile.TemporaryDirectory() as folder:
        subject = open_run(run, wishes, registry)
        if wishes.motions:
            place = motions_at(wishes.motions, registry, subject.recipe.robot.use, Path(folder))
            subject = open_run(run, attrs.evolve(wishes, motions=place), registry)
        for complaint in subject.complaints:
            _log.warning("%s", complaint)
        arena = prepare(subject, wishes.rollouts)
    policy, statue, zero_action = arena.policy(_PANELS if with_strips else 0), arena.statue(), arena.zero_action()
    evaluation = Evaluation(
        run=run.resolve().name,
        checkpoint=_within(run, subject.checkpoint.path),
        actor=subject.actor,
        frames=subject.checkpoint.frames,
        rollouts=wishes.rollouts,
        conditions=subject.conditions(),
        units=_units(arena),
        policy=_summary(arena, policy),
        baselines={"statue": _summary(arena, statue), "zero_action": _summary(arena, zero_action)},
        distance=_distance(arena),
    )
    if with_figures:
        _draw(subject, arena, evaluation, policy, statue)
    if with_strips:
        _draw_strips(subject, arena, evaluation, policy)
    return evaluation


def _within(run: Path, path: Path) -> str:
    """Return a path of a run from the run's own folder on: evaluations are shared, folders of this machine are not."""
    run, path = run.resolve(), path.resolve()
    return str(Path(run.name, path.relative_to(run))) if path.is_relative_to(run) else path.name


def _units(arena: Arena) -> dict[str, str]:
    metrics = arena.scorer.metrics.items()
    return {slot: metric.unit if isinstance(metric, HasUnit) else "" for slot, metric in metrics}


def _summary(arena: Arena, rollouts: Rollouts) -> Summary:
    whole = [slot for slot, m in arena.scorer.metrics.items() if isinstance(m, Judges | TakesLengths)]
    return summarise(rollouts, arena.names, arena.lengths, whole)


def _distance(arena: Arena) -> str:
    """Return the slot that orders clips: the one of the pose alone where there is one."""
    drawn = list(arena.scorer.drawn)
    return "mpkpe_local" if "mpkpe_local" in drawn else next(iter(drawn), "")


def _draw(subject: Subject, arena: Arena, evaluation: Evaluation, policy: Rollouts, statue: Rollouts) -> None:
    """Draw into the run directory what there is to draw; a place that cannot be written to is reported."""
    from mtrack_eval.figures import draw_errors, draw_learning  # noqa: PLC0415  matplotlib is slow to import

    worst = _worst_first(arena, evaluation)
    slots = [slot for slot in ("mpkpe_world", "mpkpe_local") if slot in policy.curves] or list(policy.curves)[:2]
    try:
        if slots:
            draw_errors(subject.run / ERRORS, worst, policy, statue, slots, arena.env.scene.dt)
            _log.info("errors over time: %s", subject.run / ERRORS)
        metrics = subject.run / "metrics.jsonl"
        if metrics.is_file() and draw_learning(subject.run / LEARNING, read_jsonl(metrics)):
            _log.info("learning curves: %s", subject.run / LEARNING)
    except OSError as error:
        _log.warning("no figures: %s", error)


def _draw_strips(subject: Subject, arena: Arena, evaluation: Evaluation, policy: Rollouts) -> None:
    """Draw the worst clips into the run directory, as picture strips."""
    from mtrack_eval.strips import draw_strips  # noqa: PLC0415  matplotlib is slow to import

    strips = draw_strips(
        subject.run / STRIPS / evaluation.actor,
        subject.recipe.robot.build(),
        _worst_first(arena, evaluation)[:_STRIPS],
        policy,
        arena.lengths.cpu(),
        evaluation,
        arena.env.scene.dt,
    )
    try:
        for path in strips:
            _log.info("picture strip: %s", path)
    except (OSError, MtrackError) as error:
        _log.warning("no picture strip: %s", error)


def _worst_first(arena: Arena, evaluation: Evaluation) -> list[tuple[int, str]]:
    """Return index and name of every clip."""
    places = {name: index for index, name in enumerate(arena.names)}
    return [(places[c.clip], c.clip) for c in worst_first(evaluation.policy.clips, evaluation.distance)]
