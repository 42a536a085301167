"""Doctor checks of a recipe: everything that `mtrack check` tries, and the motions that it plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtrack import ComponentError, RecipeError
from mtrack_dev.check_result import CheckResult
from mtrack_dev.recipes import TriedRecipe, try_recipe

_MOST_LISTED = 10


def recipe(name: str, settings: Sequence[str], files: Sequence[str]) -> Iterator[CheckResult]:
    """Try a recipe with changes as for `--set`; `files` are local files of components, `-p FILE.py`."""
    try:
        tried = try_recipe(name, settings, files)
    except RecipeError as error:
        for problem in error.problems:
            line = f":{problem.line}" if problem.line else ""
            value = f" = {problem.value}" if problem.value else ""
            message = f"{problem.source}{line}: {problem.path}{value}: {problem.message}"
            yield CheckResult("problem", "recipe", message, problem.hint or "change it there, or with --set")
        return
    except ComponentError as error:
        yield CheckResult("problem", "recipe", str(error), "fix this component, or take another one")
        return
    yield CheckResult("ok", "recipe", f"{tried.recipe.name}: {tried.components}; {tried.physics}")
    phases = [f"{slot.path.partition('.')[2]} ({slot.frames:,} frames)" for slot in tried.recipe.phases.values()]
    yield CheckResult("ok", "phases", ", ".join(phases))
    yield from (CheckResult("note", "recipe", note, "change it, unless it is meant") for note in tried.notes)
    if tried.follows:
        message = f"it continues the agent of a run that ended with phase {' or '.join(tried.follows)}"
        yield CheckResult("note", "recipe", message, f"mtrack run {name} --from RUN")
    yield from _motions(tried)


def _motions(tried: TriedRecipe) -> Iterator[CheckResult]:
    """Report the clips that were read, and those that cannot be used."""
    for path, facts in tried.sources.items():
        clips, left = facts.get("clips", ()), facts.get("left_out", ())
        frames = sum(int(clip.get("frames", 0)) for clip in clips)
        minutes = frames * tried.recipe.control_dt / 60.0
        yield CheckResult("ok", "motions", f"{path}: {len(clips)} clips, {frames:,} frames, {minutes:.1f} min")
        remedy = "mtrack motions check PATH --pictures DIR draws it; correct or remove it"
        for clip in left[:_MOST_LISTED]:
            yield CheckResult("note", "motions", f"left out '{clip.get('name')}': {clip.get('reason')}", remedy)
        if len(left) > _MOST_LISTED:
            message = f"{len(left) - _MOST_LISTED} more clips are left out"
            yield CheckResult("note", "motions", message, "mtrack motions check PATH lists them")
