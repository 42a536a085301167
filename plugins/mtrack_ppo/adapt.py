"""The phase `adapt`: the student acts, and its adaptation module learns to predict the teacher's features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import (
    Layout,
    Rollout,
    between,
    component,
    num_ranks,
    param,
    positive,
    require_order,
    scratch,
    state,
    sum_over_ranks,
)
from mtrack.api.metrics import SKIPPED
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.compile import compiled
from mtrack_ppo.phases import (
    Autocast,
    compute_dtype,
    make_adam,
    moments_over_ranks,
    require_agent,
    require_same_shapes,
    sample_action,
    seeded_default,
    set_learning_rate,
)
from mtrack_ppo.ppo import flat, minibatch_indices, optimiser_step, sample_indices


@component
class Adapt:
    """Regression of the adaptation module on the observations that the student meets; nothing else changes."""

    epochs: int = param(default=2, validator=positive)
    """Passes over each rollout."""
    minibatches: int = param(default=8, validator=positive)
    """Minibatches in each epoch."""
    lr: float = param(default=5e-4, validator=between(1e-12, 1.0))
    """Learning rate of Adam."""
    max_grad_norm: float = param(default=1.0, validator=positive)
    """Largest norm of the gradient; larger gradients are scaled down."""
    mirror: bool = param(default=True)
    """Whether the loss also uses the mirror image of every sample; a symmetric agent does not need it."""
    autocast: Autocast = param(default="auto")
    """Matrix products in `bfloat16`, in float32 (`none`), or `auto`: bfloat16 if the device has instructions for it."""
    compile: bool = param(default=False)
    """Whether to compile the loss (torch.compile) if there is a compiler; the first update takes a minute longer."""

    rng: torch.Generator = state()
    estimator_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()
    dtype: torch.dtype = scratch()
    mirrored: bool = scratch()

    actor = "student"
    follows = ("train", "adapt", "finetune")

    def observation_groups(self) -> dict[str, str]:
        """Return the observation groups that it reads besides the agent's."""
        return {}

    def rollout_parts(self) -> dict[str, int]:
        """Return the parameters that say into how many parts a rollout is divided."""
        return {"minibatches": self.minibatches}

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Start from a copy of the teacher's actor. Raises MtrackError if there is no trained teacher."""
        require_order("adapt", self.follows, previous)
        require_agent("adapt", agent, TeacherStudent, "teacher_student")
        self.mirrored = self.mirror and not agent.symmetric
        require_same_shapes("adapt", agent, layout, self.mirrored)
        if previous == "train":
            agent.actor_student.load_state_dict(agent.actor_teacher.state_dict())
        self.rng = seeded_default(self.rng)
        self.agent, self.dtype = agent, compute_dtype(self.autocast, layout.device)
        self.estimator_adam = make_adam(agent.adapt_module, self.lr)

    def scale_learning_rate(self, factor: float) -> None:
        """Use `factor` times the learning rate from the next update on."""
        set_learning_rate(self.estimator_adam, factor * self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return the student's random `action` [n, A] and the `network_inputs` [n, W]."""
        inputs = self.agent.network_inputs(observations, self.dtype)
        action, _ = sample_action(self.agent, self.actor, inputs, self.rng)
        return TensorDict({"action": action, "network_inputs": inputs}, batch_size=observations.batch_size)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns the loss and other metrics, means over the update."""
        inputs, indices = flat(torch.as_tensor(rollout.data["network_inputs"])), sample_indices(rollout)
        target = priv_features(self.agent, inputs, self.mirrored)
        metrics = train_estimator(
            self.agent,
            self.estimator_adam,
            inputs,
            target,
            indices,
            epochs=self.epochs,
            minibatches=self.minibatches,
            max_grad_norm=self.max_grad_norm,
            rng=self.rng,
            compile=self.compile,
        )
        _, variance = moments_over_ranks(target.index_select(0, indices).flatten(0, 1).float())
        unexplained = metrics["loss/estimator"] / variance.mean().clamp_min(1e-8)
        metrics["adapt/explained_variance"] = 1.0 - unexplained
        return metrics


@torch.no_grad()
def priv_features(agent: TeacherStudent, inputs: Tensor, mirrored: bool) -> Tensor:
    """Return the target: the encoder's features of inputs (and of their mirror images), [R, sides, F]."""
    return agent.priv_feature(inputs, mirrored).view(len(inputs), 2 if mirrored else 1, -1)


def train_estimator(
    agent: TeacherStudent,
    adam: torch.optim.Adam,
    inputs: Tensor,
    target: Tensor,
    indices: Tensor,
    *,
    epochs: int,
    minibatches: int,
    max_grad_norm: float,
    rng: torch.Generator,
    compile: bool,
) -> dict[str, Tensor]:
    """Train the adaptation module on the samples at `indices`, and on their mirror images if the target has them.

    Returns the mean loss and the share of skipped steps.
    """
    compute_loss = compiled(_estimator_loss, inputs.device) if compile else _estimator_loss
    total, skips = torch.zeros((), device=inputs.device), torch.zeros((), device=inputs.device)
    for chosen in minibatch_indices(indices, epochs, minibatches, rng):
        loss = compute_loss(agent, inputs.index_select(0, chosen), target.index_select(0, chosen))
        skipped = optimiser_step(loss, [adam], max_grad_norm)
        total = total + loss.detach().masked_fill(skipped.bool(), 0.0)
        skips = skips + skipped
    taken = (epochs * minibatches - skips).clamp_min(1.0)
    skipped_share = skips / max(1, epochs * minibatches)
    return {"loss/estimator": sum_over_ranks(total) / (num_ranks() * taken), SKIPPED: skipped_share}


def _estimator_loss(agent: TeacherStudent, inputs: Tensor, target: Tensor) -> Tensor:
    prediction = agent.priv_pred(inputs, mirrored=target.shape[1] == 2).view_as(target)
    return (prediction - target).float().square().mean()
