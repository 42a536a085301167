"""The trained policy of a run, as a function from named observations to actions: `mtrack.load_policy`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.protocols import Agent
from mtrack.errors import CheckpointError, MtrackError, did_you_mean
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.state import load_component_state
from mtrack.loop.wiring import blame_component
from mtrack.recipe.checked import Recipe, check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry, is_own
from mtrack.run.checkpoint import Checkpoint, newest
from mtrack.run.compatibility import list_versions, require_compatible, require_local_files
from mtrack.run.fetched import local_run
from mtrack.run.manifest import manifest
from mtrack.run.run_directory import run_of
from mtrack.run.transfer import Contract

_log = logging.getLogger("mtrack")


@attrs.frozen(eq=False)
class Policy:
    """A trained actor: call it with observations to get its deterministic actions."""

    recipe: Recipe
    """As in the checkpoint's phase."""
    checkpoint: Path
    """The checkpoint that the networks are from."""
    actor: str
    """`teacher` or `student`, for example."""
    observations: Mapping[str, int]
    """Width of each observation group of the recipe."""
    action_names: tuple[str, ...]
    """Name of each column of an action, A of them."""
    device: str
    _agent: Agent

    @torch.no_grad()
    def __call__(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return the raw actions [n, A] for observations [n, width] of each group, float32, without gradients.

        Raises MtrackError if a group is missing or has another shape.
        """
        given = {name: torch.as_tensor(value, device=self.device) for name, value in observations.items()}
        sizes = {len(value) for value in given.values() if value.ndim == 2}
        for name, width in self.observations.items():
            value = given.get(name)
            if value is None:
                raise MtrackError(f"observation group '{name}' is missing; given: {', '.join(given) or 'none'}")
            if value.ndim != 2 or value.shape[1] != width or len(sizes) != 1:
                raise MtrackError(f"observation group '{name}' has shape {tuple(value.shape)}; expected [n, {width}]")
        return self._agent.policy(TensorDict(given, batch_size=[*sizes]), self.actor)


def load_policy(
    run: Path | str,
    actor: str = "",
    *,
    device: str = "cpu",
    plugins: Sequence[str] = (),
    allow_change: bool = False,
) -> Policy:
    """Return the policy of a run from its newest checkpoint.

    `run` may also be a checkpoint, "RUN@best", or a reference such as "wandb:ENTITY/PROJECT/RUN". `actor` is by default
    the one that the newest phase runs: the teacher while it is trained, then the student. The recipe of the run is
    assembled once for the shapes of its observations, so its plugins and motions must be there; `plugins` are files of
    components, if the run was made with `-p FILE.py`.

    Raises CheckpointError if there is no checkpoint, or if recipe, plugins or motions have changed since (unless
    `allow_change`); MtrackError if the actor has not been trained.
    """
    registry = Registry.scan(files=plugins)
    checkpoint, problems, whole = open_checkpoint(local_run(run), registry, allow_change=allow_change)
    for problem in problems:
        _log.warning("%s", problem)
    recipe = whole.for_phase(checkpoint.phase)
    assembly = assemble(recipe, checkpoint.phase, device=device, num_envs=1)
    now = {**manifest(whole), "contract": attrs.asdict(Contract.of(recipe, assembly))}
    require_compatible(checkpoint.path, checkpoint.manifest, now, "evaluate", allow_change=allow_change)
    return Policy(
        recipe=recipe,
        checkpoint=checkpoint.path,
        actor=trained_actor(whole, checkpoint, actor),
        observations=dict(assembly.layout.observations),
        action_names=assembly.layout.action_names,
        device=device,
        agent=load_agent(recipe, checkpoint, assembly),
    )


def open_checkpoint(
    place: Path, registry: Registry, *, allow_change: bool = False
) -> tuple[Checkpoint, list[str], Recipe]:
    """Return the newest checkpoint of a run, what is wrong with others, and the recipe of the run.

    `place` is a run or a checkpoint. Raises CheckpointError, or RecipeError if the recipe does not pass its checks.
    """
    checkpoint, problems = newest(place)
    # before reading the recipe, which may name components that another version of a plugin does not have
    require_local_files(place, checkpoint.manifest, registry, allow_change)
    list_versions(checkpoint.path, checkpoint.manifest, registry)
    file = run_of(place) / "recipe.toml"
    recipe = check_recipe(read_recipe(file), registry)
    if checkpoint.phase not in recipe.phases:
        raise CheckpointError(f"{checkpoint.path} was made in phase '{checkpoint.phase}', which {file} does not have")
    return checkpoint, problems, recipe


def trained_actor(recipe: Recipe, checkpoint: Checkpoint, wanted: str) -> str:
    """Return the actor `wanted`, by default that of the newest phase. Raises MtrackError if it has not been trained."""
    latest = str(recipe.phases[checkpoint.phase].build().actor)
    if not wanted:
        return latest
    registry = recipe.registry
    previous = [registry.load(registry.find("phase", name, is_own)) for name in checkpoint.phase_history[:-1]]
    trained = [*(str(phase.actor) for phase in previous), latest]
    if wanted not in trained:
        known = sorted(set(trained))
        remedy = did_you_mean(wanted, known) or f"trained so far: {', '.join(known)}"
        raise MtrackError(f"actor '{wanted}' has not been trained in {checkpoint.path}; {remedy}")
    return wanted


def load_agent(recipe: Recipe, checkpoint: Checkpoint, assembly: Assembly) -> Agent:
    """Return the agent of a checkpoint, built for an assembled recipe. Raises CheckpointError."""
    with blame_component(recipe.agent):
        agent: Agent = recipe.agent.build()
        agent.build(assembly.layout)
    load_component_state(agent, checkpoint.part("agent"), "agent")
    return agent
