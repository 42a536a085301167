"""A task that a policy learns in seconds: the teacher sees the best action, the student a scaled version of it."""

from __future__ import annotations

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Mirror, Rollout
from mtrack.loop.state import component_state, flatten, unflatten
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.train import Train

NAMES = ("left_hip", "right_hip", "waist", "neck")
ACTION_MIRROR = Mirror(torch.tensor([1, 0, 2, 3]), torch.tensor([-1.0, -1.0, 1.0, -1.0]))
SENSED_MIRROR = Mirror.cat([ACTION_MIRROR, Mirror.vector()])
SMALL = {"actor_hidden": (32, 32), "critic_hidden": (32, 32), "encoder_hidden": (32,), "adapt_hidden": (32,)}


def layout(seed: int = 3, **changes: object) -> Layout:
    """Return the layout of the task."""
    default = Layout(
        observations={"policy": 7, "priv": 4, "critic_priv": 1},
        mirrors={"policy": SENSED_MIRROR, "priv": ACTION_MIRROR, "critic_priv": Mirror.scalar()},
        num_actions=4,
        action_names=NAMES,
        action_mirror=ACTION_MIRROR,
        device="cpu",
        seed=seed,
    )
    return attrs.evolve(default, **changes)


@attrs.define(eq=False)
class Bandit:
    """Every step has a new target; the reward is largest if the action matches it."""

    generator: torch.Generator = attrs.field(factory=lambda: torch.Generator().manual_seed(1))
    now: TensorDict | None = None

    def observe(self, number: int) -> TensorDict:
        """Return observations [n, ...] far from zero mean and unit variance."""
        target = torch.randn(number, 4, generator=self.generator)
        other = torch.randn(number, 4, generator=self.generator)
        sensed = torch.cat((100.0 + 30.0 * target, other[:, :3]), dim=-1)
        return TensorDict({"policy": sensed, "priv": target, "critic_priv": other[:, 3:]}, batch_size=[number])

    def reward(self, observations: TensorDict, action: Tensor) -> Tensor:
        """Return [n] in (0, 1]."""
        return (-(action - 0.5 * observations["priv"]).square().mean(-1)).exp()

    def roll(self, phase: Train, num_envs: int = 64, steps: int = 8) -> Rollout:
        """Let a phase act, and return a rollout as the kernel does."""
        records, final_index, finals = [], [], []
        for t in range(steps):
            now = self.now if self.now is not None else self.observe(num_envs)
            output = phase.act(now)
            record = TensorDict({**dict(now.items()), **dict(output.items())}, batch_size=[num_envs])
            record["_weight"] = torch.ones(num_envs)
            draw = torch.rand(num_envs, generator=self.generator)
            terminated, truncated = draw < 0.05, draw > 0.95
            reward = self.reward(now, output["action"]).unsqueeze(-1)
            record["next"] = TensorDict(
                {"reward": reward, "terminated": terminated, "truncated": truncated}, batch_size=[num_envs]
            )
            records.append(record)
            ids = truncated.nonzero().squeeze(-1)
            final_index.append(torch.stack((ids, torch.full_like(ids, t)), dim=-1))
            finals.append(self.observe(len(ids)))
            self.now = self.observe(num_envs)
        data = torch.stack(records).transpose(0, 1)  # time-major in memory, as the kernel's is
        return Rollout(data, ("all",), self.now, torch.cat(final_index), torch.cat(finals))

    def score(self, agent: TeacherStudent, actor: str = "teacher") -> float:
        """Return the mean reward of an actor's deterministic actions."""
        observations = Bandit(torch.Generator().manual_seed(9)).observe(2000)
        return float(self.reward(observations, agent.policy(observations, actor)).mean())


def make(agent: dict[str, object] | None = None, **settings: object) -> tuple[TeacherStudent, Train]:
    """Return a small agent and a phase `train` that has entered."""
    made = TeacherStudent(**(SMALL | (agent or {})))
    made.build(layout())
    phase = Train(**({"epochs": 2, "minibatches": 4, "estimator_minibatches": 4, "autocast": "none"} | settings))
    phase.enter(made, layout(), None)
    return made, phase


def saved(agent: TeacherStudent, phase: object) -> dict[str, dict[str, object]]:
    """Return the states of both as read from a checkpoint."""
    tensors: dict[str, Tensor] = {}
    tree = flatten({"agent": component_state(agent), "phase": component_state(phase)}, tensors)
    return unflatten(tree, {name: value.clone() for name, value in tensors.items()})


def parameters(agent: TeacherStudent) -> Tensor:
    """Return all parameters and buffers of an agent's networks and normalisers, flat float64."""
    normalisers = [value.double().flatten() for value in agent.normalisers.state_dict().values()]
    return torch.cat([network_parameters(agent), *normalisers])


def network_parameters(agent: TeacherStudent) -> Tensor:
    """Return all parameters and buffers of an agent's networks, flat float64."""
    networks = (agent.encoder_priv, agent.adapt_module, agent.actor_teacher, agent.actor_student, agent.critic)
    tensors = [value for network in networks for value in network.state_dict().values()]
    return torch.cat([value.double().flatten() for value in tensors])
