"""From a run directory to a report, with plots and picture strips if they are wanted."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import torch

from mtrack import MtrackError
from mtrack.api.abilities import Judges, TakesLengths
from mtrack.registry.registry import Registry
from mtrack.run.fetched import local_run
from mtrack_eval.clip_report import ClipReport, units_of
from mtrack_eval.clip_summary import MetricSummary, summarise, worst_first
from mtrack_eval.episode_report import EpisodeReport
from mtrack_eval.episode_report import summarise as summarise_episodes
from mtrack_eval.episodes import roll_out
from mtrack_eval.evaluated_run import EvalOptions, EvaluatedRun, open_run
from mtrack_eval.motions import motions_at
from mtrack_eval.rollouts import Arena, Rollouts, prepare
from mtrack_eval.stored import store
from mtrack_log.jsonl import read_jsonl

ERRORS, LEARNING, STRIPS = "eval_errors.png", "learning_curves.png", "eval_strips"
_STRIPS, _PANELS = 5, 8  # clips that are drawn, and frames of each
_EPISODES, _MAX_ENVS = 100, 1024  # the default number of episodes, and how many of them are rolled out at once
_NUM_FILMED = 256  # episodes whose poses are kept, to draw the worst of them
_log = logging.getLogger("mtrack")


def evaluate_run(
    run: Path, options: EvalOptions, with_plots: bool, with_strips: bool = False, is_stored: bool = False
) -> ClipReport | EpisodeReport:
    """Score a run, see `mtrack_eval.evaluate`."""
    run = local_run(run)
    registry = Registry.scan(files=options.files)
    with tempfile.TemporaryDirectory() as folder:
        opened = open_run(run, options, registry)
        if options.motions:
            path = motions_at(options.motions, registry, opened.recipe.robot.use, Path(folder))
            opened = open_run(run, attrs.evolve(options, motions=path), registry)
        for problem in opened.problems:
            _log.warning("%s", problem)
        if not opened.by_clips:
            return _by_episodes(opened, with_plots, with_strips)
        arena = prepare(opened)
    report = _by_clips(opened, arena, with_plots, with_strips)
    is_comparable = opened.run == run and not (options.motions or options.overrides or options.noise)
    if is_stored and is_comparable:  # not of a checkpoint that was chosen, for example
        store(opened.run, report)
    return report


def _by_clips(opened: EvaluatedRun, arena: Arena, with_plots: bool, with_strips: bool) -> ClipReport:
    policy, statue, zero_action = arena.policy(_PANELS if with_strips else 0), arena.statue(), arena.zero_action()
    report = ClipReport(
        run=opened.run.resolve().name,
        checkpoint=opened.checkpoint_name,
        actor=opened.actor,
        frames=opened.checkpoint.frames,
        rollouts=arena.rollouts,
        conditions=opened.conditions(),
        units=units_of(arena.scorer.metrics),
        policy=_summary(arena, policy),
        baselines={"statue": _summary(arena, statue), "zero_action": _summary(arena, zero_action)},
        distance=_distance(arena),
        judges=[slot for slot, metric in arena.scorer.metrics.items() if isinstance(metric, Judges)],
        task=opened.task(),
        hashes=arena.hashes,
        draws=policy.draws,
        made_from=opened.made_from(),
    )
    if with_plots:
        _draw_errors(opened, arena, report, policy, statue)
        _draw_learning(opened)
    if with_strips:
        _draw_strips(opened, arena, report, policy)
    return report


def _by_episodes(opened: EvaluatedRun, with_plots: bool, with_strips: bool) -> EpisodeReport:
    count = opened.options.episodes or _EPISODES
    assembly, agent = opened.assemble(min(count, _MAX_ENVS))
    env, recipe = assembly.env, opened.recipe
    metrics = {name: assembly.components[slot.path] for name, slot in recipe.metrics.items()}
    scored = {name: metric for name, metric in metrics.items() if not isinstance(metric, TakesLengths)}
    zeros = torch.zeros(env.scene.num_envs, assembly.layout.num_actions, device=env.scene.device)
    num_filmed = min(env.scene.num_envs, _NUM_FILMED) if with_strips else 0
    episodes = roll_out(env, lambda observations: agent.policy(observations, opened.actor), count, scored, num_filmed)
    zero_action = roll_out(env, lambda observations: zeros, count, scored)
    report = EpisodeReport(
        run=opened.run.resolve().name,
        checkpoint=opened.checkpoint_name,
        actor=opened.actor,
        frames=opened.checkpoint.frames,
        conditions=opened.conditions(),
        units=units_of(scored),
        left_out=sorted(metrics.keys() - scored.keys()),
        task=opened.task(),
        max_episode_steps=recipe.max_episode_steps,
        control_dt=recipe.control_dt,
        policy=summarise_episodes(episodes),
        baselines={"zero_action": summarise_episodes(zero_action)},
    )
    if with_plots:
        _draw_learning(opened)
    if with_strips:
        from mtrack_eval.strips import draw_episodes  # noqa: PLC0415  matplotlib is slow to import

        folder, robot = opened.run / STRIPS / opened.actor, recipe.robot.build()
        _log_strips(draw_episodes(folder, robot, episodes, opened.actor, recipe.control_dt, _STRIPS, _PANELS))
    return report


def _summary(arena: Arena, rollouts: Rollouts) -> MetricSummary:
    whole = [slot for slot, m in arena.scorer.metrics.items() if isinstance(m, Judges | TakesLengths)]
    return summarise(rollouts, arena.names, arena.lengths, whole)


def _distance(arena: Arena) -> str:
    """Return the slot that orders clips: the error of the pose alone if the recipe has it, else the first distance."""
    drawn = list(arena.scorer.drawn)
    return "mpkpe_local" if "mpkpe_local" in drawn else next(iter(drawn), "")


def _draw_errors(opened: EvaluatedRun, arena: Arena, report: ClipReport, policy: Rollouts, statue: Rollouts) -> None:
    """Draw errors over time into the run directory; log a warning if they cannot be written."""
    from mtrack_eval.plots import draw_errors  # noqa: PLC0415  matplotlib is slow to import

    slots = [slot for slot in ("mpkpe_world", "mpkpe_local") if slot in policy.curves] or list(policy.curves)[:2]
    if not slots:
        return
    try:
        draw_errors(opened.run / ERRORS, _worst_first(arena, report), policy, statue, slots, arena.env.scene.dt)
        _log.info("errors over time: %s", opened.run / ERRORS)
    except OSError as error:
        _log.warning("cannot draw errors over time: %s", error)


def _draw_learning(opened: EvaluatedRun) -> None:
    """Draw learning curves into the run directory, if the run has logged metrics as JSON lines."""
    from mtrack_eval.plots import draw_learning  # noqa: PLC0415  matplotlib is slow to import

    metrics = opened.run / "metrics.jsonl"
    try:
        if metrics.is_file() and draw_learning(opened.run / LEARNING, read_jsonl(metrics)):
            _log.info("learning curves: %s", opened.run / LEARNING)
    except OSError as error:
        _log.warning("cannot draw learning curves: %s", error)


def _draw_strips(opened: EvaluatedRun, arena: Arena, report: ClipReport, policy: Rollouts) -> None:
    """Draw the worst clips into the run directory, as picture strips."""
    from mtrack_eval.strips import draw_strips  # noqa: PLC0415  matplotlib is slow to import

    strips = draw_strips(
        opened.run / STRIPS / report.actor,
        opened.recipe.robot.build(),
        _worst_first(arena, report)[:_STRIPS],
        policy,
        arena.lengths.cpu(),
        report,
        arena.env.scene.dt,
    )
    _log_strips(strips)


def _log_strips(strips: Iterator[Path]) -> None:
    """Draw strips one by one and log their paths; log a warning if one cannot be drawn."""
    try:
        for path in strips:
            _log.info("picture strip: %s", path)
    except (OSError, MtrackError) as error:
        _log.warning("cannot draw picture strips: %s", error)


def _worst_first(arena: Arena, report: ClipReport) -> list[tuple[int, str]]:
    """Return index and name of every clip."""
    indices = {name: index for index, name in enumerate(arena.names)}
    return [(indices[c.clip], c.clip) for c in worst_first(report.policy.clips, report.distance)]
