"""Evaluation: metrics, rollouts of every clip or of whole episodes, baselines, tables and plots.

From a notebook or a script:

    import mtrack_eval

    report = mtrack_eval.evaluate("runs/x")
    report.metrics["mpkpe_local"], report.baselines["statue"].average["mpkpe_local"]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtrack_eval.clip_report import ClipReport
    from mtrack_eval.episode_report import EpisodeReport

__all__ = ["evaluate"]


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
        run: directory of a run.
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
