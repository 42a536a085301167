"""The phase `train`: the teacher learns with PPO, and the adaptation module learns to predict its features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Rollout, component, non_negative, param, positive, scratch, state
from mtrack.api.metrics import LEFT_OUT, SKIPPED
from mtrack_ppo.adapt import priv_features, train_estimator
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.phases import (
    PpoPhase,
    make_adam,
    policy_output,
    set_learning_rate,
    to_host,
)
from mtrack_ppo.ppo import PpoLoss, flat, optimise, prepare


@component
class Train(PpoPhase):
    """PPO on the teacher's actor, the encoder and the critic, followed by regression of the adaptation module."""

    reg_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient of the loss that pulls the teacher's features towards their predictions; multiplied by progress."""
    estimator_epochs: int = param(default=2, validator=non_negative)
    """Passes of the adaptation module over each rollout; 0 does not train it."""
    estimator_minibatches: int = param(default=8, validator=positive)
    """Minibatches in each of these passes."""

    encoder_adam: torch.optim.Adam = state()
    estimator_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()

    actor = "teacher"
    trains = (TeacherStudent, "teacher_student")
    follows = (None, "train")

    def rollout_parts(self) -> dict[str, int]:
        """Return the parameters that say into how many parts a rollout is divided."""
        estimator = {"estimator_minibatches": self.estimator_minibatches} if self.estimator_epochs else {}
        return {"minibatches": self.minibatches, **estimator}

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Create the optimisers. Raises MtrackError after another phase, or if something has no mirror."""
        self.start("train", agent, layout, previous)
        self.actor_adam = make_adam(agent.actor_teacher, self.lr)
        self.encoder_adam = make_adam(agent.encoder_priv, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)
        self.estimator_adam = make_adam(agent.adapt_module, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return the teacher's random `action` [n, A] and what its update needs, see `policy_output`."""
        self.agent.start_normalisers(observations)
        return policy_output(self, observations)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns losses and other metrics, means over the update."""
        agent = self.agent
        batch, metrics = prepare(self, rollout)
        for adam in (self.actor_adam, self.encoder_adam):
            set_learning_rate(adam, self.present_rate)
        ppo_loss = PpoLoss.at(self, progress, reg_coef=self.reg_coef * progress)
        metrics |= optimise(ppo_loss, batch, [self.actor_adam, self.encoder_adam, self.critic_adam])
        estimator_metrics = train_estimator(
            agent,
            self.estimator_adam,
            batch.inputs,
            priv_features(agent, batch.inputs, self.mirrored),
            batch.indices,
            epochs=self.estimator_epochs,
            minibatches=self.estimator_minibatches,
            max_grad_norm=self.max_grad_norm,
            rng=self.rng,
            compile=self.compile,
        )
        estimator_metrics[SKIPPED] = torch.maximum(metrics[SKIPPED], estimator_metrics[SKIPPED])
        observations = {group: flat(torch.as_tensor(rollout.data[group])) for group in agent.groups}
        metrics[LEFT_OUT] += agent.learn_normalisers(observations)
        numbers = to_host(metrics | estimator_metrics) | {"policy/learning_rate": self.present_rate}
        self.learning_rate = self.next_learning_rate(numbers, progress)
        return numbers
