"""The matrix products that an update cannot avoid: `mtrack bench` compares the speed of training with their time."""

from __future__ import annotations

from mtrack import Phase
from mtrack_ppo.networks import Mlp
from mtrack_ppo.phases import PpoPhase
from mtrack_ppo.single_phase import Ppo
from mtrack_ppo.train import Train


def matrix_products(phase: Phase, samples: int) -> list[tuple[int, int, int, int]] | None:
    """Return (m, k, n, count) of the products [m, k] x [k, n] in one update on a number of samples.

    Counts samples and their mirror images, all epochs, and the estimator. None if the phase is not `train` or `ppo`.
    """
    if isinstance(phase, Ppo):
        return _ppo_passes(phase, [phase.agent.actor_policy.mean, phase.agent.critic], samples)
    if not isinstance(phase, Train):
        return None
    agent = phase.agent
    found = _ppo_passes(phase, [agent.encoder_priv, agent.actor_teacher.mean, agent.critic], samples)
    sides, steps = 2 if phase.mirrored else 1, phase.estimator_epochs * phase.estimator_minibatches
    return found + _passes([agent.adapt_module], sides * samples // phase.estimator_minibatches, steps)


def _ppo_passes(phase: PpoPhase, networks: list[Mlp], samples: int) -> list[tuple[int, int, int, int]]:
    sides = 2 if phase.mirrored else 1
    return _passes(networks, sides * samples // phase.minibatches, phase.epochs * phase.minibatches)


def _passes(networks: list[Mlp], samples: int, count: int) -> list[tuple[int, int, int, int]]:
    return [(*product, count) for network in networks for product in _products(network, samples)]


def _products(network: Mlp, samples: int) -> list[tuple[int, int, int]]:
    """Return (m, k, n) of the products of one plain pass, forward and backward.

    Each layer computes its output, the gradient of its weight and, if something below it learns, that of its input:
    the feature learns, observations do not.
    """
    found = []
    for layer in (network.first, *network.rest, network.head):
        n, k = (int(size) for size in layer.weight.shape)
        if network.symmetric and layer is network.first:
            n *= 2  # a plain layer has a weight for each unit
        learning = network.widths[2] if layer is network.first else k
        found += [(samples, k, n), (n, samples, k)]
        found += [(samples, n, learning)] if learning else []
    return found
