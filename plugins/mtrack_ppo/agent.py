"""The agent `teacher_student`: encoder, adaptation module, two actors, a critic and their normalisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from attrs.validators import min_len
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack import Layout, Mirror, MtrackError, between, component, param, positive, scratch, state
from mtrack_ppo.agent_checks import (
    DEFAULT_STD,
    initial_std,
    positive_stds,
    require_even,
    require_groups,
    require_mirrors,
)
from mtrack_ppo.linear import Parity
from mtrack_ppo.networks import FEATURE_GAIN, HEAD_GAIN, Activation, Actor, Mlp, Norm, Style
from mtrack_ppo.normaliser import Normaliser, ReturnNormaliser, chunks
from mtrack_ppo.symmetry import halves


@component
class TeacherStudent:
    """A teacher that sees privileged observations, and a student that predicts features of what it cannot see.

    Its networks take inputs [n, W] from `network_inputs`: the even coordinates of the three normalised groups, then the
    odd ones. If `mirrored`, outputs are [2 n, ...]: each sample is followed by its mirror image.
    """

    policy_group: str = param(default="policy")
    """Observation group of what the robot itself can sense; the student sees nothing else."""
    priv_group: str = param(default="priv")
    """Observation group of what only a simulation knows; input of the encoder."""
    critic_group: str = param(default="critic_priv")
    """Observation group that the critic sees in addition to the other two."""
    actor_hidden: tuple[int, ...] = param(default=(256, 256, 256), validator=min_len(1))
    """Widths of the hidden layers of both actors."""
    critic_hidden: tuple[int, ...] = param(default=(256, 256, 256), validator=min_len(1))
    """Widths of the critic's hidden layers."""
    encoder_hidden: tuple[int, ...] = param(default=(256,), validator=min_len(1))
    """Widths of the privileged encoder's hidden layers."""
    adapt_hidden: tuple[int, ...] = param(default=(256, 128), validator=min_len(1))
    """Widths of the adaptation module's hidden layers."""
    feature_width: int = param(default=256, validator=positive)
    """Width of the privileged feature and of its prediction."""
    activation: Activation = param(default="elu")
    """Activation of hidden layers."""
    norm: Norm = param(default="none")
    """`layer` adds a LayerNorm before each activation."""
    symmetric: bool = param(default=False)
    """Whether all networks treat left and right exactly alike: a mirrored observation gives the mirrored action and the
    same value. It halves their weights, and phases need no mirror images, so updates take less than half the time."""
    init_std: float | dict[str, float] = param(factory=DEFAULT_STD.copy, validator=positive_stds)
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

    encoder_priv: Mlp = state()
    adapt_module: Mlp = state()
    actor_teacher: Actor = state()
    actor_student: Actor = state()
    critic: Mlp = state()
    normalisers: nn.ModuleDict = state()
    return_normaliser: ReturnNormaliser = state()

    groups: tuple[str, str, str] = scratch()
    parities: dict[str, Parity] = scratch()
    columns: dict[str, tuple[slice, slice]] = scratch()

    def robot_groups(self) -> tuple[str, ...]:
        """Return the group that the student's actor and the adaptation module read."""
        return (self.policy_group,)

    def observation_groups(self) -> dict[str, str]:
        """Return the groups that it reads, by parameter."""
        return {name: getattr(self, name) for name in ("policy_group", "priv_group", "critic_group")}

    def build(self, layout: Layout) -> None:
        """Create networks and normalisers. Raises MtrackError if a group is missing or a pattern matches no action."""
        self.groups = (self.policy_group, self.priv_group, self.critic_group)
        require_groups(self.groups, layout.observations)
        self._require_symmetric(layout)
        widths = {group: layout.observations[group] for group in self.groups}
        mirrors = {group: layout.mirrors.get(group) for group in self.groups}
        self.parities = {group: Parity(widths[group], mirrors[group], layout.device) for group in self.groups}
        self.columns = _columns(self.parities)
        style, feature, actions = Style(self.activation, self.norm, layout.seed), self.feature_width, layout.num_actions
        std = initial_std(self.init_std, layout.action_names)
        of_feature = halves(feature) if self.symmetric else None
        of_action, of_value = (layout.action_mirror, Mirror.scalar()) if self.symmetric else (None, None)

        def widths_of(*groups: str) -> tuple[int, int]:
            parities = [self.parities[group] for group in groups]
            return sum(parity.even for parity in parities), sum(parity.odd for parity in parities)

        def encoder(name: str, group: str, hidden: Sequence[int]) -> Mlp:
            inputs = widths_of(group)
            network = Mlp(name, inputs, hidden, feature, style=style, gain=FEATURE_GAIN, mirror=of_feature)
            return network.to(layout.device)

        def actor(name: str) -> Actor:
            sensed, hidden = widths_of(self.policy_group), self.actor_hidden
            mean = Mlp(name, sensed, hidden, actions, style=style, gain=HEAD_GAIN, feature=feature, mirror=of_action)
            return Actor(mean, std).to(layout.device)

        self.encoder_priv = encoder("encoder_priv", self.priv_group, self.encoder_hidden)
        self.adapt_module = encoder("adapt_module", self.policy_group, self.adapt_hidden)
        self.actor_teacher, self.actor_student = actor("actor_teacher"), actor("actor_student")
        seen, hidden = widths_of(*self.groups), self.critic_hidden
        critic = Mlp("critic", seen, hidden, 1, style=style, gain=HEAD_GAIN, mirror=of_value)
        self.critic = critic.to(layout.device)
        normalisers = {
            group: Normaliser(widths[group], mirror and mirror.to(layout.device), self.normaliser_decay, self.obs_clip)
            for group, mirror in mirrors.items()
        }
        self.normalisers = nn.ModuleDict(normalisers).to(layout.device)
        self.return_normaliser = ReturnNormaliser(self.value_decay).to(layout.device)

    @torch.no_grad()
    def policy(self, observations: TensorDict, actor: str) -> Tensor:
        """Return the mean action [n, A] of `teacher` or `student`; the student only needs the policy group."""
        sensed = self._coordinates(observations, self.policy_group)
        if actor == "teacher":
            feature = self.encoder_priv(*self._coordinates(observations, self.priv_group))
        else:
            feature = self.adapt_module(*sensed)
        return torch.as_tensor(self.actor(actor).mean(*sensed, feature))

    def actor(self, name: str) -> Actor:
        """Return the actor `teacher` or `student`. Raises MtrackError for another name."""
        actors = {"teacher": self.actor_teacher, "student": self.actor_student}
        if name not in actors:
            raise MtrackError(f"agent 'teacher_student' has no actor '{name}'; it has teacher and student")
        return actors[name]

    def network_inputs(self, observations: TensorDict, dtype: torch.dtype) -> Tensor:
        """Return the normalised coordinates of all groups side by side, [n, W]."""
        first = observations[self.groups[0]]
        inputs = torch.empty(len(first), sum(self.critic.widths), dtype=dtype, device=first.device)
        for group, (even, odd) in self.columns.items():
            parity, normaliser = self.parities[group], self.normalisers[group]
            for value, part in zip(chunks(observations[group]), chunks(inputs), strict=True):
                parity.write(normaliser(value), part[:, even], part[:, odd])
        return inputs

    def priv_feature(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the encoder's feature of the privileged observations, [n, feature_width]."""
        even, odd = self.columns[self.priv_group]
        return torch.as_tensor(self.encoder_priv(inputs[:, even], inputs[:, odd], mirrored=mirrored))

    def priv_pred(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the adaptation module's prediction of that feature, [n, feature_width]."""
        even, odd = self.columns[self.policy_group]
        return torch.as_tensor(self.adapt_module(inputs[:, even], inputs[:, odd], mirrored=mirrored))

    def feature(self, actor: str, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the feature that an actor gets besides the policy group: the student gets the prediction."""
        return self.priv_feature(inputs, mirrored) if actor == "teacher" else self.priv_pred(inputs, mirrored)

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

    def learn_normalisers(self, observations: TensorDict | Mapping[str, Tensor]) -> None:
        """Add observations [n, ...] and their mirror images to the statistics of every group."""
        for group in self.groups:
            self.normalisers[group].learn(torch.as_tensor(observations[group]))  # type: ignore[operator]

    def _require_symmetric(self, layout: Layout) -> None:
        """Raise MtrackError if the networks are to be symmetric and something has no mirror or a width is odd."""
        if not self.symmetric:
            return
        require_mirrors("agent 'teacher_student'", "symmetric = false in [agent]", self.groups, layout)
        names = ("actor_hidden", "critic_hidden", "encoder_hidden", "adapt_hidden", "feature_width")
        require_even({name: getattr(self, name) for name in names})

    def _coordinates(self, observations: TensorDict, group: str) -> tuple[Tensor, Tensor]:
        return self.parities[group](self.normalisers[group](observations[group]))


def _columns(parities: Mapping[str, Parity]) -> dict[str, tuple[slice, slice]]:
    """Return the columns of the even and the odd coordinates of each group in the network inputs."""
    evens, odds = [parity.even for parity in parities.values()], [parity.odd for parity in parities.values()]
    ends = list(accumulate(evens + odds))
    slices = [slice(end - width, end) for end, width in zip(ends, evens + odds, strict=True)]
    return dict(zip(parities, zip(slices, slices[len(evens) :], strict=False), strict=True))
