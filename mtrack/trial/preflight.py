"""Checks before anything is built whether this machine can run a recipe, and whether its phases can learn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mtrack.api.abilities import DividesRollouts, ReadsObservations
from mtrack.api.device import has_gpu
from mtrack.api.distributed import expected_ranks
from mtrack.errors import Problem, RecipeError, did_you_mean
from mtrack.loop.blame import blaming
from mtrack.recipe.backend_choice import unused_gpu
from mtrack.recipe.checked import Recipe
from mtrack.recipe.keypath import split_path
from mtrack.recipe.reader import problem_at
from mtrack.recipe.slots import AUTO, Slot


def require_runnable(recipe: Recipe) -> None:
    """Raise RecipeError with every reason why this machine cannot run a recipe, or its phases cannot learn."""
    problems = [*_device_problems(recipe), *_group_problems(recipe)]
    for name in recipe.phases:
        problems += _rollout_problems(recipe, name)
    if problems:
        raise RecipeError(recipe.name, problems)


def notes(recipe: Recipe) -> list[str]:
    """Return probable mistakes: phases that are too short, for an iteration or `until`, and negative weights."""
    found: list[str] = []
    for name, phase in recipe.phases.items():
        now = recipe.for_phase(name)
        least = now.num_envs * phase.train_every * expected_ranks()
        if phase.frames < least:
            found.append(f"phase {name}: {phase.frames:,} frames are less than one iteration; it does one: {least:,}")
        if phase.until and phase.until.enabled and phase.until.patience >= phase.frames:
            found.append(
                f"phase {name}: until.patience ({phase.until.patience:,}) is not less than frames ({phase.frames:,}): "
                "the phase cannot end early"
            )
        for slot in now.slots("reward"):
            if slot.weight < 0:
                note = f"{slot.path} has weight {slot.weight:g}: penalties are negative already, use a weight above 0"
                found += [note] if note not in found else []
    return found


def describe_physics(recipe: Recipe) -> str:
    """Return a line that says what computes the physics, and whether `auto` chose it."""
    notes = ["auto"] if AUTO in (recipe.backend.use, recipe.device) else []
    if recipe.device == AUTO:
        notes += filter(None, [unused_gpu(recipe.backend.cls, is_named=recipe.backend.use != AUTO)])
    chosen = f" ({'; '.join(notes)})" if notes else ""
    return f"physics: {recipe.backend.entry.name} on {recipe.resolved_device}{chosen}"


def missing_device(recipe: Recipe) -> str:
    """Return why the device that a run would use is not available; empty if it is."""
    kind, _, number = recipe.resolved_device.partition(":")
    if kind == "cpu" or recipe.device == AUTO:
        return ""
    import torch  # noqa: PLC0415  slow, and rarely needed

    found = torch.cuda.device_count() if has_gpu() else 0
    own = number or (os.environ.get("LOCAL_RANK", "0") if expected_ranks() > 1 else "0")  # a GPU for each process
    return f"no such GPU on this machine (found: {found})" if int(own) >= found else ""


def _device_problems(recipe: Recipe) -> Iterator[Problem]:
    missing = missing_device(recipe)
    if missing:
        yield problem_at(recipe.source, ("device",), missing, 'device = "auto" takes a GPU only if there is one')


def _rollout_problems(recipe: Recipe, name: str) -> Iterator[Problem]:
    """Yield the parameters with which a phase divides its rollouts into more parts than they have samples."""
    slot, now = recipe.phases[name], recipe.for_phase(name)
    phase = slot.build()
    samples = now.num_envs * slot.train_every
    with blaming((), otherwise=slot):
        divided = dict(phase.rollout_parts()) if isinstance(phase, DividesRollouts) else {}
    for parameter, parts in divided.items():
        if parts > samples:
            message = (
                f"phase '{name}' divides a rollout into {parts} {parameter}, but it has {samples} samples "
                f"({now.num_envs} environments, {slot.train_every} steps)"
            )
            hint = f"lower {parameter} to at most {samples}, or raise num_envs or train_every"
            yield problem_at(recipe.source, ("phases", name, parameter), message, hint)


def _group_problems(recipe: Recipe) -> Iterator[Problem]:
    """Yield the observation groups that the agent lacks, and those that neither it nor a phase reads."""
    readers: list[tuple[Slot, Any]] = [(slot, slot.build()) for slot in (recipe.agent, *recipe.phases.values())]
    read: dict[str, str] = {}
    groups = {group for name in recipe.phases for group in recipe.for_phase(name).observations}
    for slot, reader in readers:
        if not isinstance(reader, ReadsObservations):
            continue
        with blaming((), otherwise=slot):
            own = dict(reader.observation_groups())
        for parameter, group in own.items():
            read[group] = parameter
            if group not in groups:
                hint = did_you_mean(group, groups) or f"the recipe has {', '.join(sorted(groups))}"
                message = f"no observations in a group '{group}', which it reads"
                yield problem_at(recipe.source, (*split_path(slot.path), parameter), message, hint)
    if not all(isinstance(reader, ReadsObservations) for _, reader in readers):
        return  # a component that does not declare its groups may read any
    for group in sorted(groups - read.keys()):
        hint = did_you_mean(group, read)
        message = f"nothing reads the observation group '{group}': {recipe.agent.entry} reads {', '.join(read)}"
        yield problem_at(recipe.source, ("observations", group), message, hint, with_value=False)
