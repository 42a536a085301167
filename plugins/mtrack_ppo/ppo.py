"""Proximal policy optimisation of an actor, the critic and, for the teacher, the encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack.metrics import SKIPPED
from mtrack.mirror import Mirror
from mtrack.ranks import num_ranks, sum_over_ranks
from mtrack.rollout import Rollout
from mtrack_ppo import losses
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import Batch, Samples, flat, minibatches
from mtrack_ppo.compile import compiled
from mtrack_ppo.gae import advantages, bootstrap_values
from mtrack_ppo.optimiser import descend
from mtrack_ppo.ranks import moments
from mtrack_ppo.phases import PpoSettings

_ACTION_SIZE = "mirror/action_size"  # summed over steps and ranks before the relative error is made of it


@attrs.frozen(eq=False)
class Objective:
    """What the terms of the loss weigh in one update, and the distribution it starts from."""

    settings: PpoSettings
    agent: TeacherStudent
    actor: str
    entropy_coef: Tensor
    """Scalar, as all that changes: a compiled loss is made for one value of each number."""
    reg_coef: Tensor
    """Scalar, of the pull of the teacher's features towards what the student can know; the student has none."""
    old_std: Tensor
    """[A] standard deviations of the policy that acted."""
    action_mirror: Mirror | None
    critic_alone: bool = False

    def __call__(self, samples: Samples) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its figures, all scalars."""
        settings, agent, mirrored = self.settings, self.agent, self.settings.mirror
        sides, is_teacher = (2 if mirrored else 1), self.actor == "teacher"
        values = agent.raw_value(samples.rows, mirrored).view(-1, sides)
        value = (values - samples.target.unsqueeze(-1)).square().mean()
        if self.critic_alone:
            return settings.value_coef * value, {"loss/value": value.detach()}
        feature = agent.priv_feature(samples.rows, mirrored) if is_teacher else samples.priv_pred.flatten(0, 1)
        means = agent.mean_action(self.actor, samples.rows, feature, mirrored)
        means = means.view(-1, sides, means.shape[-1])
        mean, std = means[:, 0], agent.actor(self.actor).std
        ratio = (losses.log_prob(samples.action, mean, std) - samples.log_prob).exp()
        policy = losses.clipped_surrogate(ratio, samples.advantage, settings.clip).mean()
        entropy = losses.entropy(std)
        loss = policy + settings.value_coef * value - self.entropy_coef * entropy
        figures = {"loss/policy": policy, "loss/value": value, "policy/entropy": entropy}
        if is_teacher:
            reg = (feature.view_as(samples.priv_pred) - samples.priv_pred).float().square().mean()
            loss = loss + self.reg_coef * reg
            figures["loss/reg"] = reg
        if mirrored and self.action_mirror is not None:
            difference = mean - self.action_mirror(means[:, 1])
            asymmetry = std - std.index_select(0, self.action_mirror.perm)
            mirror_mean, mirror_std = difference.square().mean(), asymmetry.square().mean()
            loss = loss + settings.mirror_mean_coef * mirror_mean + settings.mirror_std_coef * mirror_std
            figures |= {"loss/mirror_mean": mirror_mean, "loss/mirror_std": mirror_std}
            apart, size = difference.detach().abs().mean(), mean.detach().abs().mean()
            figures |= {"mirror/error": apart, _ACTION_SIZE: size}
        with torch.no_grad():
            figures["policy/kl"] = losses.kl_divergence(samples.mean, self.old_std, mean, std).mean()
            figures["policy/clip_fraction"] = ((ratio - 1.0).abs() > settings.clip).float().mean()
        return loss, {name: figure.detach() for name, figure in figures.items()}


def prepare(
    settings: PpoSettings, agent: TeacherStudent, rollout: Rollout, places: Tensor
) -> tuple[Batch, dict[str, Tensor]]:
    """Return the samples of a rollout with advantages and value targets, and figures of rewards and values."""
    data, reward = rollout.data, rollout.reward
    clamped = (reward < 0.0).float().mean()
    if settings.clamp_reward_at_zero:
        reward = reward.clamp_min(0.0)
    rows, value = flat(torch.as_tensor(data["normalised"])), torch.as_tensor(data["state_value"])
    ends = [agent.value(agent.rows(observations, rows.dtype)) for observations in (rollout.following, rollout.final)]
    terminated = torch.as_tensor(data["next", "terminated"])
    next_value = bootstrap_values(value, ends[0], terminated, rollout.final_index, ends[1])
    advantage = advantages(reward, value, next_value, rollout.done, gamma=settings.gamma, lam=settings.lam)
    returns = flat(advantage + value)
    if agent.value_normalisation:
        agent.return_normaliser.learn(returns[places])
    # of all ranks: a mean of every rank's own share would be another number. The advantage is the returns - value
    _, variances = moments(torch.stack((flat(advantage), returns), dim=-1)[places])
    known = 1.0 - variances[0] / variances[1].clamp_min(1e-8)
    figures = torch.cat(
        [
            flat(torch.as_tensor(data["action"])),
            flat(torch.as_tensor(data["mean"])),
            flat(torch.as_tensor(data["log_prob"])).unsqueeze(-1),
            normalised_advantage(flat(advantage), places).unsqueeze(-1),
            agent.value_target(returns).unsqueeze(-1),
        ],
        dim=-1,
    )
    sides = 2 if settings.mirror else 1
    priv_pred = agent.priv_pred(rows, settings.mirror).view(len(rows), sides, -1)
    report = {"value/explained_variance": known, "update/clamped_rewards": clamped}
    return Batch(rows, figures, priv_pred), report


def normalised_advantage(advantage: Tensor, places: Tensor) -> Tensor:
    """Return advantages [R] less their mean, over their deviation: those of the samples learned from, of all ranks."""
    mean, variance = moments(advantage[places])
    return (advantage - mean) / (variance.sqrt() + 1e-8)


def optimise(
    objective: Objective,
    batch: Batch,
    places: Tensor,
    optimisers: Sequence[torch.optim.Adam],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Run all epochs of minibatches. Returns the means of the objective's figures over the steps that were taken."""
    settings, actor = objective.settings, objective.agent.actor(objective.actor)
    loss_of = compiled(objective.__call__, batch.rows.device) if settings.compile else objective
    names: list[str] = []
    total, taken = torch.zeros((), device=batch.rows.device), torch.zeros((), device=batch.rows.device)
    steps = settings.epochs * settings.minibatches
    for index in minibatches(places, settings.epochs, settings.minibatches, generator):
        loss, figures = loss_of(batch.take(index))
        skipped = descend(loss, optimisers, settings.max_grad_norm)
        actor.clamp_std()
        names = list(figures)
        total = total + torch.stack(list(figures.values())).masked_fill(skipped.bool(), 0.0)
        taken += 1.0 - skipped
    total = sum_over_ranks(total) / (num_ranks() * taken.clamp_min(1.0))
    report = dict(zip(names, total, strict=True))
    if _ACTION_SIZE in report:
        report["mirror/relative_error"] = report["mirror/error"] / report.pop(_ACTION_SIZE)
    report["policy/std"] = actor.std.detach().mean()
    report[SKIPPED] = (steps - taken) / steps
    return report


def numbers(figures: Mapping[str, Tensor]) -> dict[str, float]:
    """Bring scalars to the host, all at once."""
    return dict(zip(figures, torch.stack(list(figures.values())).tolist(), strict=True))
