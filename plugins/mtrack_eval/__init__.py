"""Evaluation: metrics, rollouts of every clip or of whole episodes, baselines, tables and plots.

From a notebook or a script:

    import mtrack_eval

    report = mtrack_eval.evaluate("runs/x")
    report.metrics["mpkpe_local"], report.baselines["statue"].average["mpkpe_local"]

    seeds = [mtrack_eval.evaluate(f"runs/x/seed_{number}", seed=0) for number in range(3)]
    mtrack_eval.aggregate(seeds).metrics["mpkpe_local"].groups[0].median
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrack_eval.clip_report import ClipReport
    from mtrack_eval.episode_report import EpisodeReport
    from mtrack_eval.group_report import GroupReport

__all__ = ["aggregate", "evaluate"]


def evaluate(
    run: str | Path,
    *,
    motions: str | Path | None = None,
    actor: str = "",
    rollouts: int | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    noise: bool = False,
    overrides: Sequence[str] = (),
    plugins: Sequence[str] = (),
    allow_change: bool = False,
    plots: bool = False,
    strips: bool = False,
    store: bool = False,
) -> ClipReport | EpisodeReport:
    """Score the newest checkpoint of a run with its deterministic policy, next to baselines. `mtrack eval` calls this.

    A run whose command plays clips is scored clip by clip, without terminations; any other run by whole episodes, which
    end as in training. Metrics are those of the recipe. Two equal calls on one machine return equal reports.

    Args:
        run: directory of a run, or a reference such as "wandb:ENTITY/PROJECT/RUN".
        motions: motion files, a directory of them, or files that an importer reads, instead of the recipe's clips.
        actor: `teacher` or `student`; empty: the actor of the checkpoint's phase.
        rollouts: rollouts per clip, each with its own random draws; default: 8.
        episodes: score this many whole episodes; default for tasks without clips: 100. Excludes `rollouts`.
        seed: seed of all random draws; default: the seed of the recipe.
        noise: whether observations and start states are as noisy as in training.
        overrides: recipe keys to change, each `A.B=VALUE`, as with `--set`.
        plugins: local files of components, as with `-p FILE.py`.
        allow_change: score the run even if components have other versions than in training.
        plots: draw errors over time and learning curves into the run directory, as PNG files.
        strips: draw the worst 5 clips or episodes into the run directory, as picture strips.
        store: keep the report in the run directory, if it is of the run's own clips without noise and overrides.

    Returns:
        A report with `metrics` (slot to mean, in the unit that `units` gives; NaN if unknown), `baselines`, `show()`
        and `to_dict()`, which returns what `mtrack eval --json` prints.

    Raises:
        CheckpointError: the run has no usable checkpoint, or the installed components do not fit it.
        MtrackError: an argument is invalid; RecipeError if it is an override, MotionError if it is `motions`.

    """
    from mtrack_eval.evaluated_run import EvalOptions  # noqa: PLC0415  brings torch; the command line imports this package
    from mtrack_eval.evaluation import evaluate_run  # noqa: PLC0415

    options = EvalOptions(
        rollouts=rollouts,
        episodes=episodes,
        actor=actor,
        motions=None if motions is None else Path(motions),
        seed=seed,
        noise=noise,
        overrides=tuple(overrides),
        files=tuple(plugins),
        allow_change=allow_change,
    )
    return evaluate_run(Path(run), options, plots, strips, store)


def aggregate(
    reports: Sequence[ClipReport | EpisodeReport | Mapping[str, Any]],
    against: Sequence[ClipReport | EpisodeReport | Mapping[str, Any]] = (),
) -> GroupReport:
    """Return median and range of each metric over runs, and with a second group which differences exceed the spread.

    A run counts as one value per metric, its mean over all rollouts. Two groups differ by more than the spread if every
    run of one lies above every run of the other, and if the 95 % interval of the difference of medians over the paired
    rollouts does not contain 0. With fewer than three runs in a group there is no verdict.

    Args:
        reports: what `evaluate` returned for the runs of a group, all with the same `seed` and number of rollouts so
            that they are paired; or what their `to_dict()` returned.
        against: the same for the runs of a second group.

    Returns:
        A report with `metrics` (slot to `GroupMetric`: `groups`, one or two `RunSpread` with `values`, `median`, `low`
        and `high`; and `difference` with `value`, `interval` and `verdict`), `clips` (name to such a table), `notes`
        on what is not comparable, `show()` and `to_dict()`, which returns what `mtrack eval A B --json` prints.

    Raises:
        MtrackError: there is no report, or they have no clip or metric in common.

    """
    from mtrack import MtrackError  # noqa: PLC0415
    from mtrack_eval.group_report import group_report  # noqa: PLC0415  brings numpy

    if not reports:
        raise MtrackError("there are no reports to aggregate; give one of each run")
    given = {"A": reports, "B": against} if against else {"runs": reports}
    groups: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in given}
    labels: list[str] = []
    for name, members in given.items():
        for report in members:
            found = report if isinstance(report, Mapping) else report.to_dict()
            labels.append(str(found["run"]))
            count = labels.count(labels[-1])
            groups[name][f"{labels[-1]} ({count})" if count > 1 else labels[-1]] = found
    return group_report(groups)
