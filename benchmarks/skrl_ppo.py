"""Train the PPO of another library on an environment of mtrack, and record its scores.

    python -m pip install -e ".[gym]" skrl
    python benchmarks/skrl_ppo.py toy benchmarks/results/skrl_toy.json --frames 150000 --lr 3e-3
    python benchmarks/skrl_ppo.py g1_tracking_quick benchmarks/results/skrl_g1.json --num-envs 128 --frames 300000

It scores the mean actions before and after training, and a policy that always returns zero, in an environment with
another seed. Errors are means over all steps until an episode ends.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import keep
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import Tensor, nn

import mtrack_gym

SCORED_STEPS = 600
POINTS = 30  # of the curve
COLUMNS = ("frames", "episode/length", "episode/return", "episode/completed", "tracking/keypoint_pos_m")


class Actor(GaussianMixin, Model):
    """Returns a mean for each observation, and has one standard deviation for all."""

    def __init__(self, hidden: int, std: float, **spaces: Any) -> None:
        """Start close to the action 0."""
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        self.net = network(self.num_observations, hidden, self.num_actions)
        self.net[-1].weight.data.mul_(0.01)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), math.log(std)))

    def compute(self, inputs: dict[str, Tensor], role: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean action."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    """Returns a value for each observation."""

    def __init__(self, hidden: int, **spaces: Any) -> None:
        """Create the network."""
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.net = network(self.num_observations, hidden, 1)

    def compute(self, inputs: dict[str, Tensor], role: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the value."""
        return self.net(inputs["observations"]), {}


def network(width: int, hidden: int, out: int) -> nn.Sequential:
    """Return two hidden layers and a linear one."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ELU(), nn.Linear(hidden, hidden // 2), nn.ELU(), nn.Linear(hidden // 2, out)
    )


class Learner(PPO):
    """The PPO of skrl, which gets the final observations of truncated episodes."""

    observe: Callable[[int], None]

    def record_transition(self, *, next_observations: Tensor, infos: dict[str, Any], **transition: Any) -> None:
        """Bootstrap from final observations; after a reset in the same step, observations belong to another episode."""
        if "final_obs" in infos:
            ended = infos["_final_obs"]
            final = torch.from_numpy(np.stack(infos["final_obs"][ended])).to(next_observations)
            next_observations = next_observations.clone()
            next_observations[torch.from_numpy(ended)] = final
        super().record_transition(next_observations=next_observations, infos=infos, **transition)

    def post_interaction(self, *, timestep: int, timesteps: int) -> None:
        """Learn, and record the curve."""
        super().post_interaction(timestep=timestep, timesteps=timesteps)
        self.observe(timestep + 1)


def learner(env: Any, hidden: int, std: float, lr: float) -> Learner:
    """Return the agent, with the settings of the quick recipe as far as skrl has them."""
    spaces = {
        "observation_space": env.observation_space,
        "state_space": None,
        "action_space": env.action_space,
        "device": env.device,
    }
    cfg = PPO_CFG(
        rollouts=16,
        learning_epochs=4,
        mini_batches=4,
        discount_factor=0.97,
        learning_rate=lr,
        learning_rate_scheduler=KLAdaptiveLR,
        learning_rate_scheduler_kwargs={"kl_threshold": 0.02},
        observation_preprocessor=RunningStandardScaler,
        observation_preprocessor_kwargs={"size": env.observation_space, "device": env.device},
        value_preprocessor=RunningStandardScaler,
        value_preprocessor_kwargs={"size": 1, "device": env.device},
        grad_norm_clip=1.0,
        entropy_loss_scale=0.001,
        value_loss_scale=1.0,
        time_limit_bootstrap=True,
        experiment={"write_interval": 0, "checkpoint_interval": 0},
    )
    memory = RandomMemory(memory_size=cfg.rollouts, num_envs=env.num_envs, device=env.device)
    models = {"policy": Actor(hidden, std, **spaces), "value": Critic(hidden, **spaces)}
    return Learner(models=models, memory=memory, cfg=cfg, **spaces)


def scored(recipe: str, options: dict[str, Any], policy: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Return the scores of a policy: means over steps, and over the episodes that ended."""
    env = mtrack_gym.make(recipe, to_numpy=False, **{**options, "seed": options["seed"] + 1000})
    env.set_progress(1.0)
    observations, _ = env.reset()
    errors = []
    with torch.no_grad():
        for _ in range(SCORED_STEPS):
            observations, *_ = env.step(policy(observations))
            errors.append(env.env.metrics())
    metrics = env.metrics()
    metrics |= {name: float(torch.stack([error[name] for error in errors]).mean()) for name in errors[0]}
    env.close()
    # names with one slash: of the rewards only the groups, not their terms
    return {name: round(value, 5) for name, value in metrics.items() if name.count("/") == 1}


def main() -> None:
    """Train, score and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--groups", nargs="+", default=["policy"])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--std", type=float, default=0.3, help="initial standard deviation of actions")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    set_seed(arguments.seed)
    options = {"num_envs": arguments.num_envs, "groups": arguments.groups, "seed": arguments.seed}
    bare = mtrack_gym.make(arguments.recipe, frames=arguments.frames, **options)
    env = wrap_env(bare, wrapper="gymnasium")
    agent = learner(env, arguments.hidden, arguments.std, arguments.lr)
    steps = -(-arguments.frames // arguments.num_envs)
    curve: list[dict[str, float]] = []

    def observe(step: int) -> None:
        if step % max(1, steps // POINTS) == 0:
            curve.append({"frames": step * arguments.num_envs, **bare.metrics()})

    def mean_action(observations: Tensor) -> Tensor:
        return agent.act(observations, None, timestep=0, timesteps=1)[1]["mean_actions"]

    agent.observe = observe
    cfg = {"timesteps": steps, "headless": True, "disable_progressbar": None, "close_environment_at_exit": False}
    trainer = SequentialTrainer(cfg=cfg, env=env, agents=agent)
    agent.enable_training_mode(False, apply_to_models=True)
    untrained = scored(arguments.recipe, options, mean_action)
    agent.enable_training_mode(True, apply_to_models=True)
    trainer.train()
    agent.enable_training_mode(False, apply_to_models=True)
    columns = [name for name in COLUMNS if any(name in point for point in curve)]
    record = {
        "settings": {name: value for name, value in vars(arguments).items() if name != "out"},
        "versions": {name: metadata.version(name) for name in ("mtrack", "gymnasium", "skrl", "torch", "mujoco")},
        "zero_action": scored(
            arguments.recipe, options, lambda obs: obs.new_zeros(len(obs), env.action_space.shape[0])
        ),
        "untrained": untrained,
        "trained": scored(arguments.recipe, options, mean_action),
        "columns": columns,
        "curve": [[round(point.get(name, math.nan), 4) for name in columns] for point in curve],
    }
    keep(record, arguments.out)


if __name__ == "__main__":
    main()
