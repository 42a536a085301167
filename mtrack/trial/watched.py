"""Wrappers of components for the first step: they verify each output and pass on everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.fields import fields_of
from mtrack.api.scene import Scene
from mtrack.api.types import StartState
from mtrack.errors import ComponentError
from mtrack.loop.assemble import Assembly
from mtrack.loop.outputs import (
    describe_envs,
    nonfinite_observations,
    require_policy_output,
    require_start,
    require_tensor,
)
from mtrack.recipe.slots import Slot
from mtrack.trial.global_draws import describe_global_draw

_TRUNCATED_STEP = (
    2  # environment 0 is truncated in this step: a reset of some envs and a final observation are tried too
)
_CALLS_COMPARED = 2  # calls of each term that are repeated with other envs in another state, three times each


class _Watched:
    """A component with its slot, for messages."""

    def __init__(self, slot: Slot, component: Any) -> None:
        """Watch a component."""
        self._slot = slot
        self._component = component

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the component."""
        return getattr(self._component, name)


class WatchedTerm(_Watched):
    """A reward or termination: one value for each environment, which depends on that environment only."""

    def __init__(self, slot: Slot, component: Any, dtype: torch.dtype) -> None:
        """Watch a term whose values are of a dtype."""
        super().__init__(slot, component)
        self._dtype = dtype
        self._draws_globally = False
        self._always = dtype == torch.bool
        self._calls = 0
        self._hidden = ""
        self._shared = ""

    def __call__(self, scene: Scene) -> Tensor:
        """Return the verified value, [N]."""
        generator, versions = torch.get_rng_state(), _versions(scene)
        kept = _Kept(self._component) if self._calls < _CALLS_COMPARED else None
        value: Tensor = self._component(scene)
        self._draws_globally |= not torch.equal(generator, torch.get_rng_state())
        changed = [name for name, version in _versions(scene).items() if version != versions[name]]
        if changed:
            raise ComponentError(
                f"{self._slot}: it changes {changed[0]} in place; what it sees is read-only, so compute a new tensor "
                "(clamp instead of clamp_)"
            )
        require_tensor(self._slot, value, (scene.num_envs,), dtype=self._dtype)
        if kept is not None:
            self._require_independence(scene, value, kept)
        self._calls += 1
        self._always &= bool(value.all())
        return value

    def notes(self) -> list[str]:
        """Return remarks after some steps, one line each."""
        notes = [self._shared] if self._shared else []
        if self._draws_globally:
            notes.append(describe_global_draw(self._slot))
        elif self._hidden:
            notes.append(
                f"{self._slot}: {self._hidden}, so a resumed run differs from an uninterrupted one; keep what lasts "
                "in a state() field"
            )
        if self._always:
            notes.append(f"{self._slot}: it ended every environment in every step of the trial")
        return notes

    def _require_independence(self, scene: Scene, value: Tensor, before: _Kept) -> None:
        """Raise ComponentError if the value of an environment changes when the others are in another state."""
        with before.for_another_call(("state", "scratch")):
            again = self._component(scene)
        if not torch.equal(value, again):  # it is not deterministic: nothing can be compared
            self._hidden = "it gives another value each time it is called"
            return
        with before.for_another_call(("state",)):
            if not torch.equal(value, self._component(scene)):
                self._hidden = "what it leaves in a scratch() field changes its next value"
        for env_id in (0, scene.num_envs - 1):
            with before.for_another_call(("state", "scratch")):
                alone = self._component(scene.select(torch.full_like(scene.episode_step, env_id)))
            if not torch.allclose(alone[env_id].float(), value[env_id].float(), rtol=1e-4, atol=1e-5):
                message = (
                    f"{self._slot}: its value in environment {env_id} changes with the state of the other "
                    "environments; reduce over dim=-1, never over all of a tensor"
                )
                if not fields_of(type(self._component), "state"):
                    raise ComponentError(message)
                self._shared = message  # a scale that adapts to all envs may be intended


class _Kept:
    """The fields of a component before a call, so that repeated calls start from them and leave no trace."""

    def __init__(self, component: Any) -> None:
        """Copy tensors and the state of generators."""
        self._component = component
        self._before = self._copies()

    @contextmanager
    def for_another_call(self, roles: Sequence[str]) -> Iterator[None]:
        """While entered, restore the earlier fields of some roles; afterwards, those that it has now."""
        now = self._copies()
        names = {field.name for role in roles for field in fields_of(type(self._component), role)}
        self._put({name: copy for name, copy in self._before.items() if name in names})
        try:
            yield
        finally:
            self._put(now)

    def _copies(self) -> dict[str, tuple[Any, Any]]:
        """Return each field that may change with a copy of its value, by name."""
        copies: dict[str, tuple[Any, Any]] = {}
        for field in attrs.fields(type(self._component)):
            value = getattr(self._component, field.name)
            if isinstance(value, Tensor):
                copies[field.name] = value, value.clone()
            elif isinstance(value, torch.Generator):
                copies[field.name] = value, value.get_state()
            elif isinstance(value, bool | int | float):
                copies[field.name] = value, value
        return copies

    def _put(self, copies: Mapping[str, tuple[Any, Any]]) -> None:
        for name, (value, copy) in copies.items():
            if isinstance(value, Tensor) and not torch.equal(value, copy):  # an expanded tensor cannot be written to
                value.copy_(copy)  # keeps the storage that others may hold
            elif isinstance(value, torch.Generator):
                value.set_state(copy)
            setattr(self._component, name, value)


class WatchedCommand(_Watched):
    """A command: verifies start states and finished flags; in one step, environment 0 is finished too."""

    def __init__(self, slot: Slot, component: Any, scene: Scene) -> None:
        """Watch the command of a scene."""
        super().__init__(slot, component)
        self._scene = scene
        self._steps = 0

    def truncate_soon(self) -> None:
        """Start another trial: an episode is truncated again."""
        self._steps = 0

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Return the verified start state of environments."""
        start: StartState = self._component.reset(env_ids, failed)
        require_start(self._slot, start, self._scene, len(env_ids))
        return start

    def finished(self) -> Tensor:
        """Return the verified flags, bool [N]."""
        shape, what = (self._scene.num_envs,), "its finished()"
        value = require_tensor(self._slot, self._component.finished(), shape, what=what, dtype=torch.bool)
        self._steps += 1
        # not by advancing `scene.episode_step`, from which a command may compute its frame
        return value.index_fill(0, self._scene.env_ids[:1], True) if self._steps == _TRUNCATED_STEP else value


class WatchedAction(_Watched):
    """An action: verifies the raw action that it uses, and its joint position targets."""

    def __init__(self, slot: Slot, component: Any, scene: Scene) -> None:
        """Watch the action of a scene."""
        super().__init__(slot, component)
        self._scene = scene

    @property
    def current_target(self) -> Tensor:
        """The verified current targets, [N, J] rad."""
        return self._targets(self._component.current_target, "its current target")

    def apply(self, action: Tensor) -> Tensor:
        """Return the verified raw action that is used, [N, A]."""
        return require_tensor(self._slot, self._component.apply(action), action.shape, what="its apply()")

    def target(self, substep: int) -> Tensor:
        """Return the verified targets of a substep, [N, J] rad."""
        return self._targets(self._component.target(substep), "its target()")

    def _targets(self, value: object, what: str) -> Tensor:
        return require_tensor(self._slot, value, self._scene.robot.joint_pos.shape, what=what)


class WatchedPhase(_Watched):
    """A phase: verifies what `act` returns."""

    def __init__(self, slot: Slot, component: Any, assembly: Assembly) -> None:
        """Watch a phase that acts in an environment."""
        super().__init__(slot, component)
        self._assembly = assembly

    def act(self, observations: TensorDict) -> TensorDict:
        """Return the verified policy output. Raises ComponentError also for observations that are not finite."""
        for path, env_ids in nonfinite_observations(self._assembly, observations).items():
            raise ComponentError(f"{self._assembly.slots[path]} returned {describe_envs('NaN or infinity', env_ids)}")
        policy_output: TensorDict = self._component.act(observations)
        require_policy_output(self._slot, policy_output, len(observations), self._assembly.layout.num_actions)
        return policy_output


def _versions(scene: Scene) -> dict[str, int]:
    """Return how often each tensor of the scene has been changed in place, by name."""
    seen: dict[str, Any] = {"scene": scene, "scene.robot": scene.robot, "scene.reference": scene.reference}
    seen["scene.contacts"] = scene.contacts
    tensors = {f"{owner}.{name}": value for owner, group in seen.items() for name, value in vars(group).items()}
    tensors |= {f"scene.extras['{name}']": value for name, value in scene.extras.items()}
    return {name: value._version for name, value in tensors.items() if isinstance(value, Tensor)}
