"""What every agent of PPO has: actors, a critic of returns, and normalised network inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import attrs
import torch
from attrs.validators import min_len
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack import Layout, MtrackError, NameProblem, between, component, param, positive, scratch, state
from mtrack.errors import did_you_mean
from mtrack_ppo.linear import Parity
from mtrack_ppo.networks import HEAD_GAIN, Activation, Actor, Mlp, Norm, Style
from mtrack_ppo.normaliser import Normaliser, ReturnNormaliser, chunks


def _stds(instance: object, attribute: attrs.Attribute[Any], value: float | Mapping[str, float]) -> None:
    """Raise ValueError unless every pattern is a regular expression and every number is greater than 0."""
    for pattern, std in ({".*": value} if isinstance(value, int | float) else value).items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
        if std <= 0:
            raise ValueError(f"a standard deviation must be greater than 0, not {std}")


_DEFAULT_STD = {".*(waist|knee|hip).*": 1.5, ".*(shoulder|elbow).*": 1.2}


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
    init_std: float | dict[str, float] = param(factory=_DEFAULT_STD.copy, validator=_stds)
    """Initial and largest standard deviation of the action: a number, or numbers by regular expression. An expression
    must match the whole name of an action; the last match counts, and an action without a match gets 1.0."""
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
    normalisers_started: bool = scratch()

    def observation_groups(self) -> dict[str, str]:
        """Return the groups that it reads, by parameter."""
        return {"policy_group": self.policy_group}

    def robot_groups(self) -> tuple[str, ...]:
        """Return the group that a policy on a robot reads."""
        return (self.policy_group,)

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
        if not self.normalisers_started:  # asks the device only once
            if self.normalisers[self.policy_group].count == 0:
                self.learn_normalisers(observations)
            self.normalisers_started = True

    def learn_normalisers(self, observations: TensorDict | Mapping[str, Tensor]) -> None:
        """Add observations [n, ...] and their mirror images to the statistics of every group."""
        for group in self.groups:
            self.normalisers[group].learn(torch.as_tensor(observations[group]))  # type: ignore[operator]

    def build_normalisers(self, layout: Layout) -> None:
        """Create the normalisers of all groups and of returns. Raises MtrackError if a group is missing."""
        parameters = self.observation_groups()
        self.groups = tuple(dict.fromkeys(parameters.values()))
        _require(self.groups, layout.observations, tuple(parameters))
        widths = {group: layout.observations[group] for group in self.groups}
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
        mean = Mlp(name, inputs, self.actor_hidden, outputs, style=style, gain=HEAD_GAIN, feature=feature)
        return Actor(mean, std).to(layout.device)

    def new_critic(self, layout: Layout, *groups: str) -> Mlp:
        """Return a new critic that sees some groups."""
        inputs = self.input_widths(*groups)
        critic = Mlp("critic", inputs, self.critic_hidden, 1, style=self.style(layout), gain=HEAD_GAIN)
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


def initial_std(setting: float | Mapping[str, float], names: Sequence[str]) -> Tensor:
    """Return the standard deviation of each action [A] for a value of `PpoAgent.init_std`.

    Raises NameProblem if a pattern matches no action, except a default one.
    """
    patterns = {".*": setting} if isinstance(setting, int | float) else setting
    std = torch.ones(len(names))
    for pattern, value in patterns.items():
        indices = [index for index, name in enumerate(names) if re.fullmatch(pattern, name)]
        if not indices and pattern not in _DEFAULT_STD:
            raise NameProblem(f"no action matches '{pattern}'; {_closest(pattern, names)}", parameter="init_std")
        std[indices] = value
    return std


def _closest(pattern: str, names: Sequence[str]) -> str:
    """Return a hint for a pattern that matches no whole name."""
    if any(re.search(pattern, name) for name in names):
        return f"it must match whole names: '.*{pattern}.*'"
    return did_you_mean(pattern, names) or f"actions are called {', '.join(names[:3])}, ..."


def _require(groups: Sequence[str], known: Mapping[str, int], parameters: Sequence[str]) -> None:
    """Raise MtrackError if the recipe does not have a group; `parameters` name the groups."""
    for group in groups:
        if group not in known:
            hint = did_you_mean(group, known) or f"the recipe has {', '.join(known) or 'none'}"
            raise MtrackError(
                f"the agent needs the observation group '{group}': {hint}\n"
                f"add [observations.{group}.*], or name another with agent.{' or agent.'.join(parameters)}"
            )


def _columns(parities: Mapping[str, Parity]) -> dict[str, tuple[slice, slice]]:
    """Return the columns of the even and the odd coordinates of each group in the network inputs."""
    evens, odds = [parity.even for parity in parities.values()], [parity.odd for parity in parities.values()]
    ends = list(accumulate(evens + odds))
    slices = [slice(end - width, end) for end, width in zip(ends, evens + odds, strict=True)]
    return dict(zip(parities, zip(slices, slices[len(evens) :], strict=False), strict=True))
