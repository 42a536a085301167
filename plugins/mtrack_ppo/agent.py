"""The agent `teacher_student`: encoder, adaptation module, two actors, a critic and their normalisers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from attrs.validators import min_len
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack.errors import MtrackError, did_you_mean
from mtrack.fields import between, component, param, positive, scratch, state
from mtrack.mirror import Mirror
from mtrack.protocols import Layout
from mtrack_ppo.networks import FEATURE_GAIN, HEAD_GAIN, Activation, Actor, Mlp, Norm, Style
from mtrack_ppo.normaliser import Normaliser, ReturnNormaliser

_DEFAULT_STD = {".*(waist|knee|hip).*": 1.5, ".*(shoulder|elbow).*": 1.2}


@component
class TeacherStudent:
    """A teacher that sees privileged observations, and a student that estimates what it cannot see.

    Phases work on rows [n, W]: the three normalised groups side by side, made by `rows` in the dtype to compute in.
    Where `mirrored`, outputs are [2 n, ...]: those of a row and of its mirror image, side by side.
    """

    policy_group: str = param(default="policy")
    """Observation group of what the robot itself can sense: all that the student sees."""
    priv_group: str = param(default="priv")
    """Observation group of what only a simulation knows: the encoder's input."""
    critic_group: str = param(default="critic_priv")
    """Observation group that the critic sees beside the other two."""
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
    """`layer` puts a LayerNorm before each activation."""
    init_std: float | dict[str, float] = param(factory=_DEFAULT_STD.copy)
    """Initial and largest standard deviation of the action: a number, or regular expression of whole action names to
    number; the last that matches counts, 1.0 where none does."""
    normaliser_decay: float = param(default=1.0, validator=between(0.0, 1.0))
    """Share of the earlier sample count an observation normaliser keeps at each update; 1 counts all samples alike."""
    obs_clip: float = param(default=10.0, validator=positive)
    """Largest magnitude of a normalised observation [standard deviations]."""
    value_normalisation: bool = param(default=False)
    """Whether the critic learns returns normalised by their running mean and deviation."""
    value_decay: float = param(default=0.995, validator=between(0.0, 1.0))
    """Share of the past the return normaliser keeps at each update."""

    encoder_priv: Mlp = state()
    adapt_module: Mlp = state()
    actor_teacher: Actor = state()
    actor_student: Actor = state()
    critic: Mlp = state()
    normalisers: nn.ModuleDict = state()
    return_normaliser: ReturnNormaliser = state()

    groups: tuple[str, str, str] = scratch()
    widths: tuple[int, int, int] = scratch()
    mirrors: tuple[Mirror | None, Mirror | None, Mirror | None] = scratch()
    row_mirror: Mirror | None = scratch()

    def build(self, layout: Layout) -> None:
        """Create networks and normalisers. Raises MtrackError where the layout lacks a group or a name is unknown."""
        self.groups = (self.policy_group, self.priv_group, self.critic_group)
        _require(self.groups, layout.observations)
        policy, priv, extra = (layout.observations[group] for group in self.groups)
        self.widths = (policy, priv, extra)
        mirrors = [layout.mirrors.get(group) for group in self.groups]
        found = [mirror.to(layout.device) for mirror in mirrors if mirror is not None]
        self.row_mirror = Mirror.cat(found).to(layout.device) if len(found) == len(mirrors) else None
        policy_mirror, priv_mirror, extra_mirror = (mirror and mirror.to(layout.device) for mirror in mirrors)
        self.mirrors = (policy_mirror, priv_mirror, extra_mirror)

        style, feature, actions = Style(self.activation, self.norm, layout.seed), self.feature_width, layout.num_actions
        std = initial_std(self.init_std, layout.action_names)

        def encoder(name: str, inputs: int, hidden: Sequence[int]) -> Mlp:
            return Mlp(name, inputs, hidden, feature, style=style, gain=FEATURE_GAIN).to(layout.device)

        def actor(name: str) -> Actor:
            mean = Mlp(name, policy, self.actor_hidden, actions, style=style, gain=HEAD_GAIN, feature=feature)
            return Actor(mean, std).to(layout.device)

        self.encoder_priv = encoder("encoder_priv", priv, self.encoder_hidden)
        self.adapt_module = encoder("adapt_module", policy, self.adapt_hidden)
        self.actor_teacher, self.actor_student = actor("actor_teacher"), actor("actor_student")
        critic = Mlp("critic", sum(self.widths), self.critic_hidden, 1, style=style, gain=HEAD_GAIN)
        self.critic = critic.to(layout.device)
        normalisers = {
            group: Normaliser(width, mirror, decay=self.normaliser_decay, clip=self.obs_clip)
            for group, width, mirror in zip(self.groups, self.widths, self.mirrors, strict=True)
        }
        self.normalisers = nn.ModuleDict(normalisers).to(layout.device)
        self.return_normaliser = ReturnNormaliser(self.value_decay).to(layout.device)

    @torch.no_grad()
    def policy(self, observations: TensorDict, actor: str) -> Tensor:
        """Return the mean action [n, A] of `teacher` or `student`; the student's needs the policy group only."""
        sensed = self._normalised(observations, self.policy_group)
        if actor == "teacher":
            feature = self.encoder_priv(self._normalised(observations, self.priv_group))
        else:
            feature = self.adapt_module(sensed)
        return torch.as_tensor(self.actor(actor).mean(sensed, feature))

    def actor(self, name: str) -> Actor:
        """Return the actor `teacher` or `student`. Raises MtrackError for another name."""
        actors = {"teacher": self.actor_teacher, "student": self.actor_student}
        if name not in actors:
            raise MtrackError(f"agent 'teacher_student' has no actor '{name}'; it has teacher and student")
        return actors[name]

    def rows(self, observations: TensorDict, dtype: torch.dtype) -> Tensor:
        """Return the normalised groups side by side, [n, W]."""
        return torch.cat([self._normalised(observations, group).to(dtype) for group in self.groups], dim=-1)

    def priv_feature(self, rows: Tensor, mirrored: bool = False) -> Tensor:
        """Return what the encoder makes of the privileged observations, [n, feature_width]."""
        start = self.widths[0]
        return self._run(self.encoder_priv, rows[:, start : start + self.widths[1]], self.mirrors[1], mirrored)

    def priv_pred(self, rows: Tensor, mirrored: bool = False) -> Tensor:
        """Return what the adaptation module takes it to be, [n, feature_width]."""
        return self._run(self.adapt_module, rows[:, : self.widths[0]], self.mirrors[0], mirrored)

    def mean_action(self, actor: str, rows: Tensor, feature: Tensor, mirrored: bool = False) -> Tensor:
        """Return the mean action of an actor that is given a feature, [n, A] float32."""
        return self._run(self.actor(actor).mean, rows[:, : self.widths[0]], self.mirrors[0], mirrored, feature)

    def raw_value(self, rows: Tensor, mirrored: bool = False) -> Tensor:
        """Return the critic's output, [n] float32: the value, normalised where `value_normalisation`."""
        return self._run(self.critic, rows, self.row_mirror, mirrored).squeeze(-1)

    def value(self, rows: Tensor) -> Tensor:
        """Return the value in units of reward, [n] float32."""
        value = self.raw_value(rows)
        if self.value_normalisation:
            mean, std = self.return_normaliser.moments()
            value = value * std + mean
        return value

    def value_target(self, returns: Tensor) -> Tensor:
        """Return what the critic's output should be for returns."""
        if self.value_normalisation:
            mean, std = self.return_normaliser.moments()
            returns = (returns - mean) / std
        return returns

    def learn_normalisers(self, observations: TensorDict) -> None:
        """Take observations [n, ...] and their mirror images into the statistics of every group."""
        for group in self.groups:
            self.normalisers[group].learn(torch.as_tensor(observations[group]))  # type: ignore[operator]

    def _normalised(self, observations: TensorDict, group: str) -> Tensor:
        return torch.as_tensor(self.normalisers[group](observations[group]))

    @staticmethod
    def _run(
        network: Mlp, rows: Tensor, mirror: Mirror | None, mirrored: bool, feature: Tensor | None = None
    ) -> Tensor:
        return torch.as_tensor(network(rows, feature, mirror if mirrored else None))


def initial_std(setting: float | Mapping[str, float], names: Sequence[str]) -> Tensor:
    """Return the standard deviation of each action, [A], as `TeacherStudent.init_std` says.

    Raises MtrackError for a number that is not positive and for a pattern of the recipe's own that matches nothing.
    """
    patterns = {".*": setting} if isinstance(setting, int | float) else setting
    std = torch.ones(len(names))
    for pattern, value in patterns.items():
        places = [place for place, name in enumerate(names) if re.fullmatch(pattern, name)]
        if value <= 0:
            raise MtrackError(f"agent.init_std: '{pattern}' is {value}; a standard deviation is above 0")
        if not places and pattern not in _DEFAULT_STD:
            hint = did_you_mean(pattern, names) or f"actions are called {', '.join(names[:3])}, ..."
            raise MtrackError(f"agent.init_std: no action matches '{pattern}'; {hint}")
        std[places] = value
    return std


def _require(groups: Sequence[str], known: Mapping[str, int]) -> None:
    for group in groups:
        if group not in known:
            hint = did_you_mean(group, known) or f"the recipe has {', '.join(known) or 'none'}"
            raise MtrackError(
                f"agent 'teacher_student' needs an observation group '{group}': {hint}\n"
                f"add [observations.{group}.*], or name another with agent.policy_group, priv_group or critic_group"
            )
