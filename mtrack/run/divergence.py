"""Writes a reproduction of the first environments that diverge in a run, to be replayed by `mtrack doctor`."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.api.abilities import PlaysClips
from mtrack.api.distributed import rank
from mtrack.api.lifecycle import Requires
from mtrack.api.recorded_step import RecordedStep
from mtrack.errors import MtrackError
from mtrack.loop.assemble import Assembly
from mtrack.loop.outputs import nonfinite_observations
from mtrack.recipe.checked import Recipe
from mtrack.registry.plain import plain
from mtrack.run.manifest import LIBRARIES, libraries_of, recipe_sha256
from mtrack.run.reproduction import Circumstances, Facts, Reproduction, write

FOLDER = "diverged"
_MOST_KEPT = 20  # in a run, over all phases and after resuming
_log = logging.getLogger("mtrack")


@attrs.define(eq=False)
class DivergenceRecorder:
    """Writes reproductions into a run directory; numbers continue from those that are there."""

    directory: Path
    """The run directory, or that of this rank in it."""
    recipe: Recipe
    """As it is in the phase."""
    phase: str
    assembly: Assembly | None = None
    """The assembly that steps the environments; without it nothing is written."""
    iteration: Callable[[], int] = lambda: 1
    """Returns the iteration that runs, counted from 1."""
    _said_full: bool = False

    def keep(self, env_ids: Tensor, rewards: Tensor) -> None:
        """Report environments, int64 [n], that are about to be reset, with their raw reward terms, [n, R].

        An error never ends the run: it continues without this reproduction.
        """
        if self.assembly is None or self._said_full:
            return
        folder = self.directory / FOLDER
        for env_id, terms in zip(env_ids.tolist(), rewards.cpu(), strict=True):
            number = _last_number(folder) + 1
            if number > _MOST_KEPT:
                _log.warning("%s holds %d reproductions: further ones are not written", folder, _MOST_KEPT)
                self._said_full = True
                return
            path = folder / f"{self.phase}-{number:03d}.safetensors"
            try:
                made = reproduction_of(self.assembly, self.recipe, self.phase, env_id, terms, self.iteration())
                folder.mkdir(parents=True, exist_ok=True)
                write(path, made)
                cause = _cause(self.assembly, made)
            except Exception as error:
                _log.warning(
                    "environment %d diverged and was reset; no reproduction: %s: %s",
                    *(env_id, type(error).__name__, error),
                )
                return
            what = describe(made, cause, {at: str(slot) for at, slot in self.assembly.slots.items()})
            _log.warning("%s\n  step it again: mtrack doctor --replay %s", what, shlex.quote(str(path)))


def reproduction_of(
    assembly: Assembly, recipe: Recipe, phase: str, env_id: int, rewards: Tensor, iteration: int
) -> Reproduction:
    """Return the last control step of an environment; `rewards` are its raw reward terms in that step, [R].

    `recipe` is as in the phase. Nothing may have changed the environment since that step. Raises MtrackError if the
    environment was reset after it.
    """
    env, slot = assembly.env, recipe.backend
    episode_step = int(env.scene.episode_step[env_id])
    if not episode_step:
        raise MtrackError(f"environment {env_id} was just reset, so there is no step to save; step it first")
    step: RecordedStep = env.backend.last_step(env_id)
    clip, clip_frame = _clip_before_step(env.command, env_id)
    circumstances = Circumstances(
        recipe=Path(recipe.name).stem,
        recipe_sha256=recipe_sha256(recipe),
        seed=recipe.seed,
        phase=phase,
        iteration=iteration,
        episode_step=episode_step,
        env_id=env_id,
        num_envs=env.scene.num_envs,
        rank=rank(),
        control_dt=env.scene.dt,
        physics_dt=env.scene.physics_dt,
        clip=clip,
        clip_frame=clip_frame,
    )
    facts = Facts(
        circumstances=circumstances,
        backend=slot.entry.full_name,
        backend_params=_without_paths(slot.params),
        engine=dict(step.engine),
        versions=decisive_versions(slot.entry.distribution, slot.cls),
        physics_diverged=bool(env.backend.diverged()[env_id]),
        warnings=step.warnings,
        reward_terms=tuple(term.path for term in env.rewards),
    )
    return Reproduction(facts=facts, step=step, rewards=rewards, action=env.scene.action[env_id].clone())


def _clip_before_step(command: object, env_id: int) -> tuple[str, int]:
    """Return name and frame of the clip that an environment played before its last step; ("", 0) without clips."""
    if not isinstance(command, PlaysClips):
        return "", 0
    clips, frames = command.playing()
    name, _ = command.clip_frames()[int(clips[env_id])]
    return name, max(0, int(frames[env_id]) - 1)


def _cause(assembly: Assembly, reproduction: Reproduction) -> str:
    """Return which component made a number that is not finite before the physics did; "" if none has."""
    step, at = reproduction.step, reproduction.facts.circumstances
    fields = [name for name, value in step.fields.items() if not _is_finite(value)]
    if fields:
        drawn_by = [str(assembly.slots[path]) for path in _declare(assembly, fields[0])]
        return f"model field {fields[0]} is not finite; it is drawn by {', '.join(drawn_by) or 'nothing'}"
    if not all(map(_is_finite, step.before.values())):
        start = f"the start state of {assembly.slots['command']}"
        return f"{start if at.episode_step == 1 else 'the state before this step'} is not finite"
    seen = nonfinite_observations(assembly, assembly.env.observations[at.env_id : at.env_id + 1])
    if seen:
        return f"{assembly.slots[next(iter(seen))]} returned NaN or infinity"
    if not _is_finite(reproduction.action):
        return f"the action of phase '{at.phase}' is not finite, although every observation is"
    if not _is_finite(step.controls):
        return f"the targets of {assembly.slots['action']} are not finite, although the raw action is"
    return ""


def _declare(assembly: Assembly, field: str) -> list[str]:
    """Return the paths of the components that give a model field a value of its own."""
    model, components = assembly.env.scene.model, assembly.components.items()
    return [
        path for path, part in components if isinstance(part, Requires) and field in part.requires(model).model_fields
    ]


def _is_finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def describe(reproduction: Reproduction, cause: str = "", names: Mapping[str, str] | None = None) -> str:
    """Return one line on which environment diverged, when and why; `names` are the rewards by recipe path.

    For a step that was saved by hand, return which step it is.
    """
    facts, bad = reproduction.facts, reproduction.bad_rewards()
    at = facts.circumstances
    clip = f" (clip {at.clip}, frame {at.clip_frame})" if at.clip else ""
    where = f"in step {at.episode_step} of its episode{clip}, iteration {at.iteration} of phase '{at.phase}'"
    if not reproduction.diverged:
        return f"environment {at.env_id} {where}; it did not diverge, the step was saved by hand"
    if facts.physics_diverged:
        reasons = f" ({'; '.join(facts.warnings)})" if facts.warnings else ""
        reasons = f": {cause}" if cause else reasons
        return f"environment {at.env_id} diverged {where}, and was reset{reasons}"
    known = names or {}
    named = ", ".join(f"{known.get(path, f'reward {path!r}')} returned {_number(value)}" for path, value in bad.items())
    return f"{named} in environment {at.env_id}, {where}, and it was reset; the physics did not diverge"


def decisive_versions(distribution: str, backend: type) -> dict[str, str]:
    """Return the versions of mtrack, of a backend's distribution, and of the libraries that its results depend on."""
    versions: dict[str, str] = {}
    for name in ("mtrack", distribution, *LIBRARIES, *libraries_of(backend)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:g}"


def _without_paths(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON, without paths: they mean nothing elsewhere, and may contain a user name."""
    values = {name: plain(value) for name, value in params.items()}
    return {name: value for name, value in values.items() if value is not None and not _holds_path(value)}


def _holds_path(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_path, value.values()))
    if isinstance(value, list):
        return any(map(_holds_path, value))
    return isinstance(value, str) and Path(value).is_absolute()


def _last_number(folder: Path) -> int:
    """Return the highest number of a reproduction in a folder, 0 without any."""
    numbers = [path.stem.rpartition("-")[2] for path in folder.glob("*.safetensors")]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
