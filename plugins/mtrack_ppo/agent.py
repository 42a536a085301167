"""The agent `teacher_student`: encoder, adaptation module, two actors, a critic and their normalisers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs.validators import min_len
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, MtrackError, component, param, positive, state
from mtrack_ppo.networks import FEATURE_GAIN, Actor, Mlp
from mtrack_ppo.ppo_agent import PpoAgent
from mtrack_ppo.symmetry import halves


@component
class TeacherStudent(PpoAgent):
    """A teacher that sees privileged observations, and a student that predicts features of what it cannot see.

    The critic sees all three groups.
    """

    priv_group: str = param(default="priv")
    """Observation group of what only a simulation knows; input of the encoder."""
    critic_group: str = param(default="critic_priv")
    """Observation group that the critic sees in addition to the other two."""
    encoder_hidden: tuple[int, ...] = param(default=(256,), validator=min_len(1))
    """Widths of the privileged encoder's hidden layers."""
    adapt_hidden: tuple[int, ...] = param(default=(256, 128), validator=min_len(1))
    """Widths of the adaptation module's hidden layers."""
    feature_width: int = param(default=256, validator=positive)
    """Width of the privileged feature and of its prediction."""

    encoder_priv: Mlp = state()
    adapt_module: Mlp = state()
    actor_teacher: Actor = state()
    actor_student: Actor = state()

    def observation_groups(self) -> dict[str, str]:
        """Return the groups that it reads, by parameter."""
        return {name: getattr(self, name) for name in ("policy_group", "priv_group", "critic_group")}

    def inner_widths(self) -> dict[str, int | tuple[int, ...]]:
        """Return the widths of hidden layers and features, by parameter."""
        own = ("encoder_hidden", "adapt_hidden", "feature_width")
        return super().inner_widths() | {name: getattr(self, name) for name in own}

    def build(self, layout: Layout) -> None:
        """Create networks and normalisers. Raises MtrackError if a group is missing or a pattern matches no action."""
        self.build_normalisers(layout)
        style, feature = self.style(layout), self.feature_width
        mirror = halves(feature) if self.symmetric else None

        def encoder(name: str, group: str, hidden: Sequence[int]) -> Mlp:
            inputs = self.input_widths(group)
            network = Mlp(name, inputs, hidden, feature, style=style, gain=FEATURE_GAIN, mirror=mirror)
            return network.to(layout.device)

        self.encoder_priv = encoder("encoder_priv", self.priv_group, self.encoder_hidden)
        self.adapt_module = encoder("adapt_module", self.policy_group, self.adapt_hidden)
        self.actor_teacher = self.new_actor("actor_teacher", layout, feature)
        self.actor_student = self.new_actor("actor_student", layout, feature)
        self.critic = self.new_critic(layout, *self.groups)

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
