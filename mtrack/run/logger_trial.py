"""Tries loggers once, in a folder that is deleted afterwards, so that `mtrack check` finds what would fail in a run."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from mtrack.api.abilities import Probes
from mtrack.api.metrics import Metrics
from mtrack.errors import ComponentError, MtrackError, Problem, RecipeError, describe_error, is_from_user
from mtrack.loop.process_state import process_state_kept
from mtrack.recipe.checked import Recipe
from mtrack.run.manifest import manifest


def try_loggers(recipe: Recipe) -> None:
    """Start each logger of a recipe, log the metrics of one iteration, and finish it, without any output.

    Raises RecipeError if a logger needs something from the user, ComponentError if one raises.
    """
    facts = manifest(recipe, run_id="trial", started="")
    for name, slot in recipe.loggers.items():
        call = "start"
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                process_state_kept(str(slot)),
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                logger = slot.build()
                if isinstance(logger, Probes):
                    logger.probe()
                    continue
                logger.start(Path(folder), facts)
                call = "log"
                logger.log(_metrics(next(iter(recipe.phases))))
                call = "finish"
                logger.finish("finished")
        except MtrackError as error:
            place, line = recipe.source.origin(slot.path)
            hint = f"or train without this logger: --set loggers.{name}.enabled=false"
            problem = Problem(slot.path, f"{slot} cannot start: {error}", hint, place, line)
            raise RecipeError(recipe.name, [problem]) from error
        except BaseException as error:  # sys.exit of a logger is its own error too
            if is_from_user(error):
                raise
            raise ComponentError(f"{slot}: its {call} raised {describe_error(error)}") from error


def _metrics(phase: str) -> Metrics:
    """Return metrics such as a first iteration has."""
    return Metrics(
        phase=phase,
        iteration=1,
        iterations=1,
        frames=64,
        frames_per_s=1000.0,
        eta_s=0.0,
        values={"episode/length": 8.0, "reward/trial": 0.5},
        timings={"rollout": 0.1, "update": 0.1},
    )
