"""What the phases share: parameters and state of PPO, the checks on entering, acting, and means over all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack import (
    Layout,
    MtrackError,
    Schedule,
    between,
    component,
    non_negative,
    num_ranks,
    param,
    positive,
    require_order,
    scratch,
    state,
    sum_over_ranks,
)
from mtrack.api.fields import fields_of
from mtrack.api.metrics import LEFT_OUT, SKIPPED
from mtrack_ppo.agent_checks import require_mirrors
from mtrack_ppo.networks import gaussian_log_prob
from mtrack_ppo.ppo_agent import PpoAgent

Autocast = Literal["auto", "bfloat16", "none"]


def _positive_range(_: object, attribute: attrs.Attribute[Any], value: tuple[float, float]) -> None:
    """Raise ValueError unless 0 < low <= high."""
    low, high = value
    if not 0.0 < low <= high:
        raise ValueError(f"{attribute.name} must be [low, high] with 0 < low <= high, not [{low}, {high}]")


@component
class PpoPhase:
    """Parameters and state of a phase that trains one of the actors with PPO."""

    gamma: float = param(default=0.99, validator=between(0.0, 1.0))
    """Discount factor per control step."""
    gae_lambda: float = param(default=0.95, validator=between(0.0, 1.0))
    """Decay of generalised advantage estimation (GAE)."""
    clip_range: float = param(default=0.2, validator=positive)
    """The surrogate loss clips the probability ratio to [1 - clip_range, 1 + clip_range]."""
    epochs: int = param(default=5, validator=positive)
    """Passes of PPO over each rollout."""
    minibatches: int = param(default=8, validator=positive)
    """Minibatches in each epoch."""
    lr: float = param(default=5e-4, validator=between(1e-12, 1.0))
    """Learning rate of Adam; if it is adaptive, the initial one."""
    max_grad_norm: float = param(default=1.0, validator=positive)
    """Largest norm of the gradient of each network; larger gradients are scaled down."""
    entropy: Schedule = param(default=Schedule(0.01, 0.0025, "exp"))
    """Coefficient of the entropy bonus."""
    value_coef: float = param(default=1.0, validator=non_negative)
    """Coefficient of the value loss."""
    mirror: bool = param(default=True)
    """Whether the losses also use the mirror image of every sample; a symmetric agent does not need it."""
    mirror_mean_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient of the squared difference between the mean action and the mirrored one of the mirror image."""
    mirror_std_coef: float = param(default=10.0, validator=non_negative)
    """Coefficient of the squared difference between the standard deviations of mirrored actions."""
    clamp_reward_at_zero: bool = param(default=True)
    """Whether to replace negative total rewards of a step by 0."""
    kl_adaptive: bool = param(default=True)
    """Whether to adapt the learning rate of actor and encoder to the KL divergence of the updates."""
    kl_start: float = param(default=0.1, validator=between(0.0, 1.0))
    """Progress at which the adaptation starts."""
    kl_range: tuple[float, float] = param(default=(0.005, 0.02), validator=_positive_range)
    """[low, high]: a KL divergence above it divides the learning rate by `kl_factor`, one below multiplies it."""
    kl_factor: float = param(default=1.1, validator=positive)
    """Factor by which one update changes the learning rate."""
    lr_min: float = param(default=1e-5, validator=between(1e-12, 1.0))
    """Lowest adaptive learning rate."""
    lr_max: float = param(default=5e-3, validator=between(1e-12, 1.0))
    """Highest adaptive learning rate."""
    autocast: Autocast = param(default="auto")
    """Matrix products in `bfloat16`, in float32 (`none`), or `auto`: bfloat16 if the device has instructions for it."""
    compile: bool = param(default=False)
    """Whether to compile the losses (torch.compile) if there is a compiler; the first update takes a minute longer."""

    rng: torch.Generator = state()
    learning_rate: float = state()
    actor_adam: torch.optim.Adam = state()
    critic_adam: torch.optim.Adam = state()

    agent: PpoAgent = scratch()
    layout: Layout = scratch()
    dtype: torch.dtype = scratch()
    mirrored: bool = scratch()
    rate_factor: float = scratch()
    """Factor on all learning rates, see `scale_learning_rate`."""

    actor: ClassVar[str]
    trains: ClassVar[tuple[type[PpoAgent], str]]
    """Kind of agent that it trains, and what recipes call it."""
    follows: ClassVar[tuple[str | None, ...]]

    def start(self, name: str, agent: PpoAgent, layout: Layout, previous: str | None) -> None:
        """Take the agent that a phase enters with.

        Raises MtrackError after a wrong phase, for another kind of agent, or if something has no mirror.
        """
        require_order(name, self.follows, previous)
        require_agent(name, agent, *self.trains)
        self.mirrored = self.mirror and not agent.symmetric
        require_same_shapes(name, agent, layout, self.mirrored)
        self.rng = seeded_default(self.rng)
        self.agent, self.layout, self.dtype = agent, layout, compute_dtype(self.autocast, layout.device)
        self.learning_rate, self.rate_factor = self.lr, 1.0

    @property
    def present_rate(self) -> float:
        """Learning rate of the next update."""
        return self.learning_rate * self.rate_factor

    def scale_learning_rate(self, factor: float) -> None:
        """Use `factor` times all learning rates, also their bounds, from the next update on."""
        self.rate_factor = factor
        for field in fields_of(type(self), "state"):
            optimiser = getattr(self, field.name)
            if isinstance(optimiser, torch.optim.Adam):  # those with an adaptive rate get it in each update
                set_learning_rate(optimiser, factor * self.lr)

    def observation_groups(self) -> dict[str, str]:
        """Return the observation groups that it reads besides the agent's."""
        return {}

    def rollout_parts(self) -> dict[str, int]:
        """Return the parameters that say into how many parts a rollout is divided."""
        return {"minibatches": self.minibatches}

    def next_learning_rate(self, metrics: Mapping[str, float], progress: float) -> float:
        """Return the learning rate of the next update; it only changes if the whole update trained the actor."""
        rate, (low, high) = self.learning_rate, self.kl_range
        is_adaptive = self.kl_adaptive and progress >= self.kl_start and metrics[SKIPPED] == 0.0
        if not is_adaptive or "policy/kl" not in metrics:
            return rate
        if metrics["policy/kl"] > high:
            return max(self.lr_min, rate / self.kl_factor)
        if metrics["policy/kl"] < low:
            return min(self.lr_max, rate * self.kl_factor)
        return rate


def require_agent(phase: str, agent: object, kind: type[PpoAgent], name: str) -> None:
    """Raise MtrackError unless an agent is of a kind, which recipes call `name`."""
    if not isinstance(agent, kind):
        raise MtrackError(
            f"phase '{phase}' trains the agent '{name}', but the recipe's agent is a {type(agent).__name__}: "
            f'set [agent] use = "{name}", or use a phase that trains your agent'
        )


def require_same_shapes(phase: str, agent: PpoAgent, layout: Layout, mirror: bool) -> None:
    """Raise MtrackError if the agent was built for other widths, or if `mirror` is set and something has no mirror."""
    for group, parity in agent.parities.items():
        built, width = parity.even + parity.odd, layout.observations.get(group, 0)
        if width != built:
            raise MtrackError(
                f"phase '{phase}' has {width} columns in observation group '{group}', but the agent was built for "
                f"{built}; the `set` of a phase cannot change observations or their history"
            )
    if mirror:
        require_mirrors(f"phase '{phase}'", "mirror = false in that phase", agent.groups, layout)


def seeded_default(generator: torch.Generator | None) -> torch.Generator:
    """Return the generator that the kernel assigned, or one with seed 0 if the phase is used on its own."""
    return generator or torch.Generator().manual_seed(0)


def compute_dtype(autocast: Autocast, device: torch.device | str) -> torch.dtype:
    """Return the dtype of matrix products: bfloat16, or float32 without TensorFloat-32.

    TensorFloat-32 stays off because heads, rotations and positions, which are always float32, need full precision.
    """
    if autocast != "auto":
        return torch.bfloat16 if autocast == "bfloat16" else torch.float32
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def make_adam(network: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Return Adam on the parameters of a network."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)


def set_learning_rate(adam: torch.optim.Adam, learning_rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in adam.param_groups:
        group["lr"] = learning_rate


def sample_action(agent: PpoAgent, actor: str, inputs: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a random action of an actor for inputs [n, W], and its mean, both [n, A]."""
    mean = agent.mean_action(actor, inputs, agent.feature(actor, inputs))
    noise = torch.randn(mean.shape, generator=rng, device=rng.device).to(mean.device)
    return mean + agent.actor(actor).std * noise, mean


def policy_output(phase: PpoPhase, observations: TensorDict) -> TensorDict:
    """Return `action` [n, A], its `mean` and `log_prob`, `state_value` [n] and the `network_inputs` [n, W]."""
    agent = phase.agent
    inputs = agent.network_inputs(observations, phase.dtype)
    action, mean = sample_action(agent, phase.actor, inputs, phase.rng)
    output = {
        "action": action,
        "mean": mean,
        "log_prob": gaussian_log_prob(action, mean, agent.actor(phase.actor).std),
        "state_value": agent.value(inputs),
        "network_inputs": inputs,
    }
    return TensorDict(output, batch_size=inputs.shape[:1])


def moments_over_ranks(value: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance [...] over the first dimension of the values [n, ...] of all ranks."""
    number = sum_over_ranks(value.new_full((), len(value)))
    mean = sum_over_ranks(value.sum(0)) / number
    return mean, sum_over_ranks((value - mean).square().sum(0)) / number


def average_over_ranks(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over ranks, in one message, because many small ones take several times as long."""
    if num_ranks() == 1:
        return
    mean = sum_over_ranks(torch.cat([tensor.flatten() for tensor in tensors])) / num_ranks()
    for tensor, part in zip(tensors, mean.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def to_host(metrics: Mapping[str, Tensor]) -> dict[str, float]:
    """Copy scalars to the host, all at once: the only time in an update that the host waits for a GPU."""
    numbers: dict[str, float] = dict(zip(metrics, torch.stack(list(metrics.values())).tolist(), strict=True))
    return {name: value for name, value in numbers.items() if value or name != LEFT_OUT}  # which is reported if not 0
