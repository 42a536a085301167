"""The phase `train`: the teacher learns with PPO, and the estimator learns to predict its features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.errors import MtrackError
from mtrack.exchange import Layout
from mtrack.fields import between, component, non_negative, param, positive, scratch, state
from mtrack.rollout import Rollout
from mtrack.schedule import Schedule
from mtrack_ppo import losses
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import flat, kept
from mtrack_ppo.estimator import train_estimator
from mtrack_ppo.optimiser import make_adam, set_learning_rate
from mtrack_ppo.ppo import Objective, optimise, prepare
from mtrack_ppo.precision import Autocast, compute_dtype
from mtrack_ppo.rate import adapted_rate


@component
class Train:
    """PPO on the teacher's actor, encoder and critic; after it, regression of the adaptation module."""

    gamma: float = param(default=0.99, validator=between(0.0, 1.0))
    """Discount of a reward one step later."""
    lam: float = param(default=0.95, validator=between(0.0, 1.0))
    """Decay of generalised advantage estimation."""
    clip: float = param(default=0.2, validator=positive)
    """Change of an action's probability ratio beyond which it earns no more."""
    epochs: int = param(default=5, validator=positive)
    """Times PPO goes over a rollout."""
    minibatches: int = param(default=8, validator=positive)
    """Parts it takes a rollout in."""
    lr: float = param(default=5e-4, validator=positive)
    """Learning rate of Adam; the actor's and the encoder's at the start."""
    max_grad_norm: float = param(default=1.0, validator=positive)
    """Bound on the gradient's norm, of each network by itself."""
    entropy: Schedule = param(default=Schedule(0.01, 0.0025, "exp"))
    """Coefficient of the entropy bonus."""
    value_coef: float = param(default=1.0, validator=non_negative)
    """Coefficient of the value loss."""
    reg_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient, times progress, of the pull of the teacher's features towards their predictions."""
    mirror: bool = param(default=True)
    """Whether the losses also see every sample's mirror image."""
    mirror_mean_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient of the squared difference between the mean action and the mirrored one of the mirror image."""
    mirror_std_coef: float = param(default=10.0, validator=non_negative)
    """Coefficient of the squared difference between the deviations of mirrored actions."""
    clamp_reward_at_zero: bool = param(default=True)
    """Whether a step's total reward is never below 0."""
    kl_adaptive: bool = param(default=True)
    """Whether the actor's and the encoder's learning rate follows the KL divergence of the updates."""
    kl_start: float = param(default=0.1, validator=between(0.0, 1.0))
    """Progress from which it does."""
    kl_high: float = param(default=0.02, validator=positive)
    """KL divergence above which the rate is divided by `kl_factor`."""
    kl_low: float = param(default=0.005, validator=positive)
    """KL divergence below which it is multiplied by it."""
    kl_factor: float = param(default=1.1, validator=positive)
    """Step of the learning rate."""
    lr_min: float = param(default=1e-5, validator=positive)
    """Lowest learning rate it goes to."""
    lr_max: float = param(default=5e-3, validator=positive)
    """Highest learning rate it goes to."""
    estimator_epochs: int = param(default=2, validator=non_negative)
    """Times the estimator goes over a rollout; 0 leaves it untrained."""
    estimator_minibatches: int = param(default=8, validator=positive)
    """Parts it takes a rollout in."""
    autocast: Autocast = param(default="auto")
    """Matrix products in `bfloat16`, float32 (`none`), or `auto`: bfloat16 where the device multiplies it faster."""

    rng: torch.Generator = state()
    learning_rate: float = state()
    actor_adam: torch.optim.Adam = state()
    encoder_adam: torch.optim.Adam = state()
    critic_adam: torch.optim.Adam = state()
    estimator_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()
    layout: Layout = scratch()
    dtype: torch.dtype = scratch()
    normalisers_ready: bool = scratch()

    actor = "teacher"

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Make the optimisers. Raises MtrackError after another phase, or where something has no mirror."""
        if previous not in (None, "train"):
            raise MtrackError(f"phase 'train' starts anew or goes on after 'train', not after '{previous}'")
        if self.mirror:
            _require_mirrors(agent, layout)
        self.rng = _or_seeded(self.rng)
        self.agent, self.layout, self.dtype = agent, layout, compute_dtype(self.autocast, layout.device)
        self.normalisers_ready = False
        self.learning_rate = self.lr
        self.actor_adam = make_adam(agent.actor_teacher, self.lr)
        self.encoder_adam = make_adam(agent.encoder_priv, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)
        self.estimator_adam = make_adam(agent.adapt_module, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return sampled `action` [n, A], its `mean` and `log_prob`, `state_value` [n] and `normalised` rows [n, W]."""
        agent = self.agent
        if not self.normalisers_ready:
            # Statistics change at the end of an update only, so that a rollout and its update see the same numbers
            # and the ratio starts at 1. The very first rollout takes those of the first observations.
            if agent.normalisers[agent.policy_group].count == 0:
                agent.learn_normalisers(observations)
            self.normalisers_ready = True
        rows = agent.rows(observations, self.dtype)
        mean = agent.mean_action(self.actor, rows, agent.priv_feature(rows))
        std = agent.actor(self.actor).std
        noise = torch.randn(mean.shape, generator=self.rng, device=self.rng.device).to(mean.device)
        action = mean + std * noise
        decision = {
            "action": action,
            "mean": mean,
            "log_prob": losses.log_prob(action, mean, std),
            "state_value": agent.value(rows),
            "normalised": rows,
        }
        return TensorDict(decision, batch_size=observations.batch_size)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns losses and figures, means over the update."""
        agent, places = self.agent, kept(rollout)
        with torch.no_grad():
            batch, report = prepare(self, agent, rollout, places)
        objective = Objective(
            settings=self,
            agent=agent,
            entropy_coef=self.entropy.at(progress),
            reg_coef=self.reg_coef * progress,
            old_std=agent.actor_teacher.std.detach().clone(),
            action_mirror=self.layout.action_mirror,
        )
        for adam in (self.actor_adam, self.encoder_adam):
            set_learning_rate(adam, self.learning_rate)
        adams = [self.actor_adam, self.encoder_adam, self.critic_adam]
        report |= optimise(objective, batch, places, adams, self.rng)
        estimated = train_estimator(
            agent,
            self.estimator_adam,
            batch.rows,
            places,
            epochs=self.estimator_epochs,
            number=self.estimator_minibatches,
            mirrored=self.mirror,
            max_grad_norm=self.max_grad_norm,
            generator=self.rng,
        )
        report["update/skipped"] = report["update/skipped"] + estimated.pop("skipped")
        agent.learn_normalisers({group: flat(torch.as_tensor(rollout.data[group])) for group in agent.groups})
        figures = dict(zip(report | estimated, torch.stack(list((report | estimated).values())).tolist(), strict=True))
        figures["policy/learning_rate"] = self.learning_rate
        if self.kl_adaptive and progress >= self.kl_start and figures["update/skipped"] == 0.0:
            self.learning_rate = adapted_rate(self, self.learning_rate, figures["policy/kl"])
        return figures


def _require_mirrors(agent: TeacherStudent, layout: Layout) -> None:
    without = [group for group in agent.groups if layout.mirrors.get(group) is None]
    if without or layout.action_mirror is None:
        what = f"observation group '{without[0]}'" if without else "the action"
        raise MtrackError(f"phase 'train' uses mirror images, but {what} has no mirror; set mirror = false, or add it")


def _or_seeded(generator: torch.Generator | None) -> torch.Generator:
    return generator or torch.Generator().manual_seed(0)  # the kernel has filled it; a phase used by itself has none
