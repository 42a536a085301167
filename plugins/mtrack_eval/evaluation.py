"""`mtrack eval` from the run directory to its figures."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import torch

from mtrack.abilities import Judges, TakesLengths
from mtrack.errors import MtrackError
from mtrack.processors import own_processors
from mtrack.registry import Registry
from mtrack_eval.clip_report import Evaluation, units_of
from mtrack_eval.clip_summary import Summary, summarise, worst_first
from mtrack_eval.episode_report import EpisodeEvaluation
from mtrack_eval.episode_report import summarise as summarise_episodes
from mtrack_eval.episodes import roll_out
from mtrack_eval.evaluated_run import Subject, Wishes, open_run
from mtrack_eval.motions import motions_at
from mtrack_eval.rollouts import Arena, Rollouts, prepare
from mtrack_log.jsonl import read_jsonl

ERRORS, LEARNING, STRIPS = "eval_errors.png", "learning_curves.png", "eval_strips"
_STRIPS, _PANELS = 5, 8  # clips that are drawn, and the frames of each
_EPISODES, _MOST_ENVS = 100, 1024  # by default, and at a time
_FILMED = 256  # episodes whose poses are kept, to draw the worst
_log = logging.getLogger("mtrack")


def evaluate_run(
    run: Path, wishes: Wishes, with_figures: bool, with_strips: bool = False
) -> Evaluation | EpisodeEvaluation:
    """Score a run, and draw figures, and picture strips of the worst clips or episodes, into its directory.

    Raises MtrackError for what the user can fix.
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
        if not subject.by_clips:
            return _by_episodes(subject, with_figures, with_strips)
        arena = prepare(subject)
    return _by_clips(subject, arena, with_figures, with_strips)


def _by_clips(subject: Subject, arena: Arena, with_figures: bool, with_strips: bool) -> Evaluation:
    policy, statue, zero_action = arena.policy(_PANELS if with_strips else 0), arena.statue(), arena.zero_action()
    evaluation = Evaluation(
        run=subject.run.resolve().name,
        checkpoint=subject.checkpoint_name,
        actor=subject.actor,
        frames=subject.checkpoint.frames,
        rollouts=arena.rollouts,
        conditions=subject.conditions(),
        units=units_of(arena.scorer.metrics),
        policy=_summary(arena, policy),
        baselines={"statue": _summary(arena, statue), "zero_action": _summary(arena, zero_action)},
        distance=_distance(arena),
        judges=[slot for slot, metric in arena.scorer.metrics.items() if isinstance(metric, Judges)],
    )
    if with_figures:
        _draw(subject, arena, evaluation, policy, statue)
    if with_strips:
        _draw_strips(subject, arena, evaluation, policy)
    return evaluation


def _by_episodes(subject: Subject, with_figures: bool, with_strips: bool) -> EpisodeEvaluation:
    count = subject.wishes.episodes or _EPISODES
    assembly, agent = subject.assemble(min(count, _MOST_ENVS))
    env, recipe = assembly.env, subject.recipe
    metrics = {name: assembly.components[slot.path] for name, slot in recipe.metrics.items()}
    scored = {name: metric for name, metric in metrics.items() if not isinstance(metric, TakesLengths)}
    zeros = torch.zeros(env.scene.num_envs, assembly.layout.num_actions, device=env.scene.device)
    filmed = min(env.scene.num_envs, _FILMED) if with_strips else 0
    episodes = roll_out(env, lambda seen: agent.policy(seen, subject.actor), count, scored, filmed)
    still = roll_out(env, lambda seen: zeros, count, scored)
    evaluation = EpisodeEvaluation(
        run=subject.run.resolve().name,
        checkpoint=subject.checkpoint_name,
        actor=subject.actor,
        frames=subject.checkpoint.frames,
        conditions=subject.conditions(),
        units=units_of(scored),
        left_out=sorted(metrics.keys() - scored.keys()),
        max_episode_steps=recipe.max_episode_steps,
        control_dt=recipe.control_dt,
        policy=summarise_episodes(episodes),
        baselines={"zero_action": summarise_episodes(still)},
    )
    if with_figures:
        _draw_learning(subject)
    if with_strips:
        from mtrack_eval.strips import draw_episodes  # noqa: PLC0415  matplotlib is slow to import

        folder, robot = subject.run / STRIPS / subject.actor, recipe.robot.build()
        _tell_strips(draw_episodes(folder, robot, episodes, subject.actor, recipe.control_dt, _STRIPS, _PANELS))
    return evaluation


def _summary(arena: Arena, rollouts: Rollouts) -> Summary:
    whole = [slot for slot, m in arena.scorer.metrics.items() if isinstance(m, Judges | TakesLengths)]
    return summarise(rollouts, arena.names, arena.lengths, whole)


def _distance(arena: Arena) -> str:
    """Return the slot that orders clips: the one of the pose alone where there is one."""
    drawn = list(arena.scorer.drawn)
    return "mpkpe_local" if "mpkpe_local" in drawn else next(iter(drawn), "")


def _draw(subject: Subject, arena: Arena, evaluation: Evaluation, policy: Rollouts, statue: Rollouts) -> None:
    """Draw into the run directory what there is to draw; a place that cannot be written to is reported."""
    from mtrack_eval.plots import draw_errors  # noqa: PLC0415  matplotlib is slow to import

    worst = _worst_first(arena, evaluation)
    slots = [slot for slot in ("mpkpe_world", "mpkpe_local") if slot in policy.curves] or list(policy.curves)[:2]
    try:
        if slots:
            draw_errors(subject.run / ERRORS, worst, policy, statue, slots, arena.env.scene.dt)
            _log.info("errors over time: %s", subject.run / ERRORS)
    except OSError as error:
        _log.warning("no figures: %s", error)
    _draw_learning(subject)


def _draw_learning(subject: Subject) -> None:
    """Draw the curves of learning into the run directory, if the run has some."""
    from mtrack_eval.plots import draw_learning  # noqa: PLC0415  matplotlib is slow to import

    metrics = subject.run / "metrics.jsonl"
    try:
        if metrics.is_file() and draw_learning(subject.run / LEARNING, read_jsonl(metrics)):
            _log.info("learning curves: %s", subject.run / LEARNING)
    except OSError as error:
        _log.warning("no learning curves: %s", error)


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
    _tell_strips(strips)


def _tell_strips(strips: Iterator[Path]) -> None:
    """Draw strips one after the other, and say where they are."""
    try:
        for path in strips:
            _log.info("picture strip: %s", path)
    except (OSError, MtrackError) as error:
        _log.warning("no picture strip: %s", error)


def _worst_first(arena: Arena, evaluation: Evaluation) -> list[tuple[int, str]]:
    """Return index and name of every clip."""
    places = {name: index for index, name in enumerate(arena.names)}
    return [(places[c.clip], c.clip) for c in worst_first(evaluation.policy.clips, evaluation.distance)]
