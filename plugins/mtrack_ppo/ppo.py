"""The PPO update: a rollout becomes a batch with advantages and returns, then each minibatch takes an optimiser step.

A phase calls `prepare`, which computes values and GAE, and `optimise`, which goes over the batch `epochs` times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import torch
from torch import Tensor

from mtrack import Rollout, is_trial, num_ranks, sum_over_ranks
from mtrack.api.metrics import LEFT_OUT, SKIPPED
from mtrack_ppo.compile import compiled
from mtrack_ppo.networks import gaussian_entropy, gaussian_kl, gaussian_log_prob
from mtrack_ppo.phases import PpoPhase, average_over_ranks, moments_over_ranks

_ACTION_SIZE = "mirror/action_size"  # internal: divides the mirror error after both are averaged


@attrs.frozen(eq=False)
class Minibatch:
    """n samples of a rollout."""

    inputs: Tensor  # [n, W] normalised observations, see `TeacherStudent.network_inputs`
    actions: Tensor  # [n, A]
    old_means: Tensor  # [n, A] of the policy that acted
    old_log_probs: Tensor  # [n] of the actions under that policy
    advantages: Tensor  # [n] normalised over the rollout
    value_targets: Tensor  # [n] returns, normalised like the critic's output
    priv_pred: Tensor  # [n, sides, F] output of the adaptation module, without gradients


@attrs.frozen(eq=False)
class Batch:
    """All R samples of a rollout, step after step."""

    indices: Tensor  # int64 [R] of the samples to learn from, see `sample_indices`
    inputs: Tensor  # [R, W] in the dtype of matrix products
    per_sample: Tensor  # [R, 2 A + 3] float32: the next five fields of `Minibatch`, so that one call gathers them
    priv_pred: Tensor  # [R, sides, F]

    def minibatch(self, indices: Tensor) -> Minibatch:
        """Return the samples at indices int64 [n]."""
        per_sample = self.per_sample.index_select(0, indices)
        num_actions = (per_sample.shape[1] - 3) // 2
        actions, old_means, rest = per_sample.tensor_split((num_actions, 2 * num_actions), dim=1)
        inputs, priv_pred = self.inputs.index_select(0, indices), self.priv_pred.index_select(0, indices)
        log_probs, advantages, value_targets = rest.unbind(1)
        return Minibatch(inputs, actions, old_means, log_probs, advantages, value_targets, priv_pred)


@torch.no_grad()
def prepare(phase: PpoPhase, rollout: Rollout) -> tuple[Batch, dict[str, Tensor]]:
    """Return the batch of a rollout, with advantages and returns, and metrics of its rewards and values."""
    agent, data, reward = phase.agent, rollout.data, rollout.reward
    indices, clamped_rewards = sample_indices(rollout), (reward < 0.0).float().mean()
    if phase.clamp_reward_at_zero:
        reward = reward.clamp_min(0.0)
    inputs, values = flat(torch.as_tensor(data["network_inputs"])), torch.as_tensor(data["state_value"])
    last_values = agent.value(agent.network_inputs(rollout.next_observations, inputs.dtype))
    final_values = agent.value(agent.network_inputs(rollout.final, inputs.dtype))
    terminated = torch.as_tensor(data["next", "terminated"])
    next_values = bootstrap_values(values, last_values, terminated, rollout.final_index, final_values)
    advantages = compute_gae(reward, values, next_values, rollout.done, phase.gamma, phase.gae_lambda)
    advantages, returns = flat(advantages), flat(advantages + values)
    left_out = torch.zeros((), device=returns.device)
    if agent.value_normalisation:
        left_out = agent.return_normaliser.learn(returns[indices]).float()
    # of all ranks together: the mean of each rank's result would be another number; advantages are returns - values
    _, variances = moments_over_ranks(torch.stack((advantages, returns), dim=-1)[indices])
    explained_variance = 1.0 - variances[0] / variances[1].clamp_min(1e-8)
    actions, means, log_probs = (flat(torch.as_tensor(data[key])) for key in ("action", "mean", "log_prob"))
    one_column = (log_probs, normalised_advantages(advantages, indices), agent.value_target(returns))
    per_sample = torch.cat([actions, means, *(column.unsqueeze(-1) for column in one_column)], dim=-1)
    priv_pred = agent.priv_pred(inputs, phase.mirrored).unflatten(0, (len(inputs), 2 if phase.mirrored else 1))
    metrics = {"value/explained_variance": explained_variance, "update/clamped_rewards": clamped_rewards}
    metrics[LEFT_OUT] = left_out
    return Batch(indices, inputs, per_sample, priv_pred), metrics


def bootstrap_values(
    values: Tensor, last_values: Tensor, terminated: Tensor, final_index: Tensor, final_values: Tensor
) -> Tensor:
    """Return the value of the state that follows each step, [N, T].

    It is 0 if the episode terminated, the value of the true final observation if it was truncated (`final_values` [n]
    at `final_index` [n, 2]), else the value of the next step (`last_values` [N] after the last one).
    """
    next_values = torch.cat((values[:, 1:], last_values.unsqueeze(-1)), dim=-1)
    env, step = final_index.unbind(-1)
    next_values.index_put_((env, step), final_values)
    return next_values.masked_fill_(terminated, 0.0)


def compute_gae(
    reward: Tensor, values: Tensor, next_values: Tensor, done: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Return the advantages [N, T]: A_t = d_t + gamma lambda (1 - done_t) A_(t+1), d_t = r_t + gamma V_(t+1) - V_t.

    Schulman et al., High-Dimensional Continuous Control Using Generalized Advantage Estimation, 2016.
    """
    deltas = (reward + gamma * next_values - values).unbind(-1)
    decays = (gamma * gae_lambda * (~done)).unbind(-1)
    advantages, advantage = [], torch.zeros_like(deltas[0])
    for delta, decay in zip(reversed(deltas), reversed(decays), strict=True):
        advantage = delta + decay * advantage
        advantages.append(advantage)
    return torch.stack(advantages[::-1], dim=-1)


def normalised_advantages(advantages: Tensor, indices: Tensor) -> Tensor:
    """Return advantages [R] with mean 0 and standard deviation 1 over the samples at `indices` of all ranks."""
    mean, variance = moments_over_ranks(advantages[indices])
    return (advantages - mean) / (variance.sqrt() + 1e-8)


def flat(value: Tensor) -> Tensor:
    """Return [N, T, ...] as [R, ...], step after step: the order in memory, so nothing is copied."""
    return value.transpose(0, 1).flatten(0, 1)


def sample_indices(rollout: Rollout) -> Tensor:
    """Return the indices of the samples to learn from, int64 [R].

    A sample of weight 0 is replaced by the closest earlier one of positive weight (or the first). Multiplying its loss
    by 0 would keep its NaN; leaving it out would make the host wait for the GPU to learn how many samples remain.
    """
    is_used = flat(torch.as_tensor(rollout.data["_weight"])) > 0
    indices = torch.arange(len(is_used), device=is_used.device)
    first = is_used.int().argmax()
    return torch.where(is_used, indices, first).cummax(0).values


def minibatch_indices(indices: Tensor, epochs: int, minibatches: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of each minibatch, int64 [n], in a new random order in each epoch."""
    if is_trial():  # the trial before a run needs only one
        yield indices[: max(1, len(indices) // minibatches)]
        return
    for _ in range(epochs):
        order = torch.randperm(len(indices), generator=rng, device=rng.device)
        yield from indices[order.to(indices.device)].tensor_split(minibatches)


@attrs.frozen(eq=False)
class PpoLoss:
    """The loss of a minibatch: surrogate, value, entropy, regularisation and mirror losses."""

    phase: PpoPhase
    old_std: Tensor  # [A] standard deviation of the policy that acted
    entropy_coef: Tensor  # scalar tensors, because torch.compile would compile again for another Python number
    reg_coef: Tensor
    critic_only: bool

    @classmethod
    def at(cls, phase: PpoPhase, progress: float, *, reg_coef: float = 0.0, critic_only: bool = False) -> PpoLoss:
        """Return the loss of the update that starts now; `reg_coef` pulls features towards their predictions."""
        old_std = phase.agent.actor(phase.actor).std.detach().clone()
        entropy_coef = torch.full((), phase.entropy.at(progress), device=old_std.device)
        return cls(phase, old_std, entropy_coef, torch.full((), reg_coef, device=old_std.device), critic_only)

    def __call__(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its metrics, all scalars."""
        phase, agent, mirror, actor = self.phase, self.phase.agent, self.phase.mirrored, self.phase.actor
        sides = 2 if mirror else 1  # each sample, and its mirror image
        values = agent.raw_value(batch.inputs, mirror).view(-1, sides)
        value_loss = (values - batch.value_targets.unsqueeze(-1)).square().mean()
        if self.critic_only:
            return phase.value_coef * value_loss, {"loss/value": value_loss.detach()}
        is_teacher = actor == "teacher"
        feature = agent.priv_feature(batch.inputs, mirror) if is_teacher else batch.priv_pred.flatten(0, 1)
        means = agent.mean_action(actor, batch.inputs, feature, mirror)
        means = means.view(-1, sides, means.shape[-1])
        mean, std = means[:, 0], agent.actor(actor).std
        ratio = (gaussian_log_prob(batch.actions, mean, std) - batch.old_log_probs).exp()
        surrogate_loss = clipped_surrogate(ratio, batch.advantages, phase.clip_range).mean()
        entropy = gaussian_entropy(std)
        loss = surrogate_loss + phase.value_coef * value_loss - self.entropy_coef * entropy
        metrics = {"loss/policy": surrogate_loss, "loss/value": value_loss, "policy/entropy": entropy}
        if is_teacher:
            reg_loss = (feature.view_as(batch.priv_pred) - batch.priv_pred).float().square().mean()
            loss = loss + self.reg_coef * reg_loss
            metrics["loss/reg"] = reg_loss
        action_mirror = phase.layout.action_mirror
        if mirror and action_mirror is not None:
            difference = mean - action_mirror(means[:, 1])
            mean_loss = difference.square().mean()
            std_loss = (std - std.index_select(0, action_mirror.perm)).square().mean()
            loss = loss + phase.mirror_mean_coef * mean_loss + phase.mirror_std_coef * std_loss
            metrics |= {"loss/mirror_mean": mean_loss, "loss/mirror_std": std_loss}
            metrics |= {"mirror/error": difference.detach().abs().mean(), _ACTION_SIZE: mean.detach().abs().mean()}
        with torch.no_grad():
            metrics["policy/kl"] = gaussian_kl(batch.old_means, self.old_std, mean, std).mean()
            metrics["policy/clip_fraction"] = ((ratio - 1.0).abs() > phase.clip_range).float().mean()
        return loss, {name: metric.detach() for name, metric in metrics.items()}


def clipped_surrogate(ratio: Tensor, advantages: Tensor, clip_range: float) -> Tensor:
    """Return -min(ratio A, clip(ratio) A), [n]: Schulman et al., Proximal Policy Optimization Algorithms, 2017."""
    return -torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip_range, 1.0 + clip_range) * advantages)


def optimise(ppo_loss: PpoLoss, batch: Batch, adams: Sequence[torch.optim.Adam]) -> dict[str, Tensor]:
    """Take a step for each minibatch of each epoch. Returns the means of the metrics over the steps taken."""
    phase, device = ppo_loss.phase, batch.inputs.device
    actor, steps = phase.agent.actor(phase.actor), phase.epochs * phase.minibatches
    compute_loss = compiled(ppo_loss.__call__, device) if phase.compile else ppo_loss
    metrics: dict[str, Tensor] = {}
    total, taken = torch.zeros((), device=device), torch.zeros((), device=device)
    for indices in minibatch_indices(batch.indices, phase.epochs, phase.minibatches, phase.rng):
        loss, metrics = compute_loss(batch.minibatch(indices))
        skipped = optimiser_step(loss, adams, phase.max_grad_norm)
        actor.clamp_std()
        total = total + torch.stack(list(metrics.values())).masked_fill(skipped.bool(), 0.0)
        taken += 1.0 - skipped
    means = sum_over_ranks(total) / (num_ranks() * taken.clamp_min(1.0))
    report = dict(zip(metrics, means, strict=True))
    if _ACTION_SIZE in report:
        report["mirror/relative_error"] = report["mirror/error"] / report.pop(_ACTION_SIZE)
    return report | {"policy/std": actor.std.detach().mean(), SKIPPED: (steps - taken) / steps}


def optimiser_step(loss: Tensor, adams: Sequence[torch.optim.Adam], max_grad_norm: float) -> Tensor:
    """Take one step of Adam on each network, after clipping the norm of its gradient.

    Changes nothing if the loss or a gradient of any rank is not finite. Returns whether that was so: 1.0 or 0.0.
    """
    for adam in adams:
        adam.zero_grad()
    loss.backward()
    network_gradients = [
        [p.grad for group in adam.param_groups for p in group["params"] if p.grad is not None] for adam in adams
    ]
    # the loss is averaged with the gradients, so that all ranks skip the same steps
    mean_loss = loss.detach().clone()
    average_over_ranks([mean_loss, *(gradient for gradients in network_gradients for gradient in gradients)])
    norms = [torch.nn.utils.get_total_norm(gradients) for gradients in network_gradients]
    skipped = (~torch.stack([mean_loss, *norms]).isfinite().all()).float()
    for adam, norm in zip(adams, norms, strict=True):
        # as for GradScaler: Adam divides gradients by `grad_scale`, and skips the step on the device if `found_inf`
        adam.grad_scale = (norm / max_grad_norm).clamp_min(1.0)  # type: ignore[attr-defined]
        adam.found_inf = skipped  # type: ignore[attr-defined]
        adam.step()
        for group in adam.param_groups:  # fused steps do not increase the version that `CastCache` reads
            torch.autograd.graph.increment_version(group["params"])
    return skipped
