"""What every agent of PPO has: actors, a critic of returns, and normalised network inputs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import torch
from attrs.validators import min_len
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack import Layout, Mirror, between, component, param, positive, scratch, state
from mtrack_ppo.agent_checks import (
    DEFAULT_STD,
    initial_std,
    positive_stds,
    require_even,
    require_groups,
    require_mirrors,
)
from mtrack_ppo.linear import Parity
from mtrack_ppo.networks import HEAD_GAIN, Activation, Actor, Mlp, Norm, Style
from mtrack_ppo.normaliser import Normaliser, ReturnNormaliser, chunks


@component
class PpoAgent:
    """Gaussian actors that see one observation group, and a critic. An agent adds its own groups and networks.

    Networks take inputs [n, W] from `network_inputs`: the even coordinates of all normalised groups, then the odd ones.
    If `mirrored`, outputs are [2 n, ...]: each sample is followed by its mirror image.
    """

    policy_group: str = param(default="policy")
    """Observation group of what the robot itself can sense."""
    actor_hidden: tuple[int, ...] = param(default=(256, 256, 256), validator=min_len(1))
    """Widths of the hidden layers of each actor."""
    critic_hidden: tuple[int, ...] = param(default=(256, 256, 256), validator=min_len(1))
    """Widths of the critic's hidden layers."""
    activation: Activation = param(default="elu")
    """Activation of hidden layers."""
    norm: Norm = param(default="none")
    """`layer` adds a LayerNorm before each activation."""
    symmetric: bool = param(default=False)
    """Whether all networks treat left and right exactly alike: a mirrored observation gives the mirrored action and the
    same value. It halves the weights, and phases need no mirror images, so updates take 0.6 of the time."""
    init_std: float | dict[str, float] = param(factory=DEFAULT_STD.copy, validator=positive_stds)
    """Initial and largest standard deviation of the action, at most 100: a number, or numbers by regular expression. An
    expression must match the whole name of an action; the last match counts, and an action without a match gets 1.0."""
    normaliser_decay: float = param(default=1.0, validator=between(0.0, 1.0))
    """Share of its earlier sample count that an observation normaliser keeps in each update; 1 weights all alike."""
    obs_clip: float = param(default=10.0, validator=positive)
    """Normalised observations are clipped to plus or minus this number of standard deviations."""
    value_normalisation: bool = param(default=False)
    """Whether the critic learns returns normalised by their running mean and standard deviation."""
    value_decay: float = param(default=0.995, validator=between(0.0, 1.0))
    """Share of the past that the return normaliser keeps in each update."""

    critic: Mlp = state()
    normalisers: nn.ModuleDict = state()
    return_normaliser: ReturnNormaliser = state()

    groups: tuple[str, ...] = scratch()
    parities: dict[str, Parity] = scratch()
    columns: dict[str, tuple[slice, slice]] = scratch()

    def observation_groups(self) -> dict[str, str]:
        """Return the groups that it reads, by parameter."""
        return {"policy_group": self.policy_group}

    def robot_groups(self) -> tuple[str, ...]:
        """Return the group that a policy on a robot reads."""
        return (self.policy_group,)

    def inner_widths(self) -> dict[str, int | tuple[int, ...]]:
        """Return the widths of hidden layers and features, by parameter."""
        return {"actor_hidden": self.actor_hidden, "critic_hidden": self.critic_hidden}

    def actor(self, name: str) -> Actor:
        """Return an actor by name. Raises MtrackError if the agent has no such actor."""
        raise NotImplementedError

    def priv_feature(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return a feature of privileged observations that actors get too, [n, F]; F = 0 if an agent has none."""
        return _no_feature(inputs, mirrored)

    def priv_pred(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the prediction of that feature from the policy group, [n, F]."""
        return _no_feature(inputs, mirrored)

    def feature(self, actor: str, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the feature that an actor gets besides the policy group, [n, F]."""
        return self.priv_pred(inputs, mirrored)

    def network_inputs(self, observations: TensorDict, dtype: torch.dtype) -> Tensor:
        """Return the normalised coordinates of all groups side by side, [n, W]."""
        first = observations[self.groups[0]]
        width = sum(parity.even + parity.odd for parity in self.parities.values())
        inputs = torch.empty(len(first), width, dtype=dtype, device=first.device)
        for group, (even, odd) in self.columns.items():
            parity, normaliser = self.parities[group], self.normalisers[group]
            for value, part in zip(chunks(observations[group]), chunks(inputs), strict=True):
                parity.write(normaliser(value), part[:, even], part[:, odd])
        return inputs

    def mean_action(self, actor: str, inputs: Tensor, feature: Tensor, mirrored: bool = False) -> Tensor:
        """Return the mean action of an actor for inputs and a feature, [n, A] float32."""
        even, odd = self.columns[self.policy_group]
        return torch.as_tensor(self.actor(actor).mean(inputs[:, even], inputs[:, odd], feature, mirrored))

    def raw_value(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the critic's output, [n] float32: the value, normalised if `value_normalisation`."""
        even = self.critic.widths[0]
        return torch.as_tensor(self.critic(inputs[:, :even], inputs[:, even:], mirrored=mirrored)).squeeze(-1)

    def value(self, inputs: Tensor) -> Tensor:
        """Return the value in units of reward, [n] float32."""
        value = self.raw_value(inputs)
        if self.value_normalisation:
            mean, std = self.return_normaliser.moments()
            value = value * std + mean
        return value

    def value_target(self, returns: Tensor) -> Tensor:
        """Return the target of the critic's output for returns."""
        if self.value_normalisation:
            mean, std = self.return_normaliser.moments()
            returns = (returns - mean) / std
        return returns

    def start_normalisers(self, observations: TensorDict) -> None:
        """Learn the statistics of the very first observations that the agent ever sees.

        Later, statistics change only at the end of an update, so that a rollout and its update use the same ones and
        the probability ratio starts at 1.
        """
        if not self.normalisers[self.policy_group].has_learned():  # type: ignore[operator]
            self.learn_normalisers(observations)

    def learn_normalisers(self, observations: TensorDict | Mapping[str, Tensor]) -> Tensor:
        """Add observations [n, ...] and their mirror images to the statistics of every group.

        Returns how many values were left out because they are absurd, a scalar.
        """
        left_out = [
            self.normalisers[group].learn(torch.as_tensor(observations[group]))  # type: ignore[operator]
            for group in self.groups
        ]
        return torch.stack(left_out).sum()

    def build_normalisers(self, layout: Layout) -> None:
        """Create the normalisers of all groups and of returns. Raises MtrackError if a group is missing."""
        parameters = self.observation_groups()
        self.groups = tuple(dict.fromkeys(parameters.values()))
        require_groups(self.groups, layout.observations, tuple(parameters))
        widths = {group: layout.observations[group] for group in self.groups}
        if self.symmetric:
            require_mirrors("a symmetric agent", "symmetric = false in [agent]", self.groups, layout)
            require_even(self.inner_widths())
        mirrors = {group: layout.mirrors.get(group) for group in self.groups}
        self.parities = {group: Parity(widths[group], mirrors[group], layout.device) for group in self.groups}
        self.columns = _columns(self.parities)
        normalisers = {
            group: Normaliser(widths[group], mirror and mirror.to(layout.device), self.normaliser_decay, self.obs_clip)
            for group, mirror in mirrors.items()
        }
        self.normalisers = nn.ModuleDict(normalisers).to(layout.device)
        self.return_normaliser = ReturnNormaliser(self.value_decay).to(layout.device)

    def new_actor(self, name: str, layout: Layout, feature: int = 0) -> Actor:
        """Return a new actor; it gets a feature of this width. Raises MtrackError if a pattern matches no action."""
        std = initial_std(self.init_std, layout.action_names)
        inputs = self.input_widths(self.policy_group)
        style, outputs = self.style(layout), layout.num_actions
        mirror = layout.action_mirror if self.symmetric else None
        mean = Mlp(
            name, inputs, self.actor_hidden, outputs, style=style, gain=HEAD_GAIN, feature=feature, mirror=mirror
        )
        return Actor(mean, std).to(layout.device)

    def new_critic(self, layout: Layout, *groups: str) -> Mlp:
        """Return a new critic that sees some groups."""
        inputs = self.input_widths(*groups)
        mirror = Mirror.scalar() if self.symmetric else None
        critic = Mlp("critic", inputs, self.critic_hidden, 1, style=self.style(layout), gain=HEAD_GAIN, mirror=mirror)
        return critic.to(layout.device)

    def style(self, layout: Layout) -> Style:
        """Return the settings of all networks."""
        return Style(self.activation, self.norm, layout.seed)

    def input_widths(self, *groups: str) -> tuple[int, int]:
        """Return the number of even and of odd coordinates of some groups."""
        parities = [self.parities[group] for group in groups]
        return sum(parity.even for parity in parities), sum(parity.odd for parity in parities)

    def _coordinates(self, observations: TensorDict, group: str) -> tuple[Tensor, Tensor]:
        return self.parities[group](self.normalisers[group](observations[group]))


def _no_feature(inputs: Tensor, mirrored: bool) -> Tensor:
    return inputs.new_empty(len(inputs) * (2 if mirrored else 1), 0)


def _columns(parities: Mapping[str, Parity]) -> dict[str, tuple[slice, slice]]:
    """Return the columns of the even and the odd coordinates of each group in the network inputs."""
    evens, odds = [parity.even for parity in parities.values()], [parity.odd for parity in parities.values()]
    ends = list(accumulate(evens + odds))
    slices = [slice(end - width, end) for end, width in zip(ends, evens + odds, strict=True)]
    return dict(zip(parities, zip(slices, slices[len(evens) :], strict=False), strict=True))
