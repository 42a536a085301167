"""Evaluates several runs one after the other, with the same rollouts for all, and compares them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack import ComponentError, MtrackError
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.evaluation import evaluate_run
from mtrack_eval.stored import eval_results

_SEED = 0  # of the rollouts of several runs, which were trained with different seeds
_log = logging.getLogger("mtrack")


@attrs.frozen
class EvaluatedRuns:
    """What evaluating several runs has found."""

    found: Mapping[Path, Mapping[str, Any]]
    """What `mtrack eval --json` prints, by run directory; without the runs that failed."""
    problems: Mapping[Path, Exception]
    """Why the other runs could not be evaluated."""


def evaluate_runs(
    runs: list[Path],
    options: EvalOptions,
    *,
    with_plots: bool = False,
    with_strips: bool = False,
    again: bool = False,
) -> EvaluatedRuns:
    """Evaluate runs with equal random draws: those of one seed, 0 if the options have none.

    A stored evaluation that another one would equal is used, unless `again`. A run that cannot be evaluated does not
    stop the others.
    """
    options = attrs.evolve(options, seed=_SEED if options.seed is None else options.seed)
    found: dict[Path, Mapping[str, Any]] = {}
    problems: dict[Path, Exception] = {}
    for number, run in enumerate(runs, 1):
        try:
            stored = None if again or with_strips else stored_evaluation(run, options)
            if stored is None:
                _log.info("evaluating %s (%d of %d)", run, number, len(runs))
                stored = evaluate_run(run, options, with_plots, with_strips, is_stored=True).to_dict()
            else:
                _log.info("%s (%d of %d): its stored evaluation is of this checkpoint", run, number, len(runs))
            found[run] = stored
        except (MtrackError, ComponentError) as error:
            problems[run] = error
            if len(runs) > 1:
                _log.error("cannot evaluate %s: %s", run, error)
    return EvaluatedRuns(found, problems)


def stored_evaluation(run: Path, options: EvalOptions) -> Mapping[str, Any] | None:
    """Return the stored evaluation of a run if evaluating it again would give the same; otherwise None.

    Raises MtrackError if the run cannot be evaluated.
    """
    if options.motions or options.overrides or options.noise or options.episodes:
        return None  # such evaluations are not stored
    opened = open_run(run, options, Registry.scan(files=options.files))
    stored = eval_results(run, opened.actor) if opened.by_clips else None
    return stored.content if stored and stored.content.get("made_from") == opened.made_from() else None
