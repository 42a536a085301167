"""The recipe parameters that every phase with PPO has."""

from __future__ import annotations

from mtrack.fields import between, component, non_negative, param, positive
from mtrack.schedule import Schedule
from mtrack_ppo.precision import Autocast


@component
class PpoSettings:
    """How PPO learns, whoever acts."""

    gamma: float = param(default=0.99, validator=between(0.0, 1.0))
    """Discount of a reward one step later."""
    lam: float = param(default=0.95, validator=between(0.0, 1.0))
    """Decay of generalised advantage estimation."""
    clip: float = param(default=0.2, validator=positive)
    """Change of an action's probability ratio beyond which it earns no more."""
    epochs: int = param(default=5, validator=positive)
    """Times PPO goes over a rollout."""
    minibatches: int = param(default=8, validator=positive)
    """Parts it takes a rollout in."""
    lr: float = param(default=5e-4, validator=positive)
    """Learning rate of Adam; where it adapts, the one at the start."""
    max_grad_norm: float = param(default=1.0, validator=positive)
    """Bound on the gradient's norm, of each network by itself."""
    entropy: Schedule = param(default=Schedule(0.01, 0.0025, "exp"))
    """Coefficient of the entropy bonus."""
    value_coef: float = param(default=1.0, validator=non_negative)
    """Coefficient of the value loss."""
    mirror: bool = param(default=True)
    """Whether the losses also see every sample's mirror image."""
    mirror_mean_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient of the squared difference between the mean action and the mirrored one of the mirror image."""
    mirror_std_coef: float = param(default=10.0, validator=non_negative)
    """Coefficient of the squared difference between the deviations of mirrored actions."""
    clamp_reward_at_zero: bool = param(default=True)
    """Whether a step's total reward is never below 0."""
    kl_adaptive: bool = param(default=True)
    """Whether the learning rate of all but critic and estimator follows the KL divergence of the updates."""
    kl_start: float = param(default=0.1, validator=between(0.0, 1.0))
    """Progress from which it does."""
    kl_high: float = param(default=0.02, validator=positive)
    """KL divergence above which the rate is divided by `kl_factor`."""
    kl_low: float = param(default=0.005, validator=positive)
    """KL divergence below which it is multiplied by it."""
    kl_factor: float = param(default=1.1, validator=positive)
    """Step of the learning rate."""
    lr_min: float = param(default=1e-5, validator=positive)
    """Lowest learning rate it goes to."""
    lr_max: float = param(default=5e-3, validator=positive)
    """Highest learning rate it goes to."""
    autocast: Autocast = param(default="auto")
    """Matrix products in `bfloat16`, float32 (`none`), or `auto`: bfloat16 where the device multiplies it faster."""
    compile: bool = param(default=False)
    """Whether losses go through torch.compile, where there is a compiler: faster updates after up to a minute."""

    def observation_groups(self) -> dict[str, str]:
        """Return the groups it reads besides the agent's."""
        return {}

    def rollout_parts(self) -> dict[str, int]:
        """Return into how many parts it divides a rollout."""
        return {"minibatches": self.minibatches}
