"""The matrix products that an update cannot avoid: `mtrack bench` compares the speed of training with their time."""

from __future__ import annotations

from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.networks import Mlp
from mtrack_ppo.train import Train


def matrix_products(agent: TeacherStudent, phase: Train, samples: int) -> list[tuple[int, int, int, int]]:
    """Return (m, k, n, count) of the products [m, k] x [k, n] in one update on a number of samples.

    Counts samples and their mirror images, all epochs, and the estimator.
    """
    sides = 2 if phase.mirrored else 1
    policy = [agent.encoder_priv, agent.actor_teacher.mean, agent.critic]
    found = _passes(policy, sides * samples // phase.minibatches, phase.epochs * phase.minibatches)
    steps = phase.estimator_epochs * phase.estimator_minibatches
    return found + _passes([agent.adapt_module], sides * samples // phase.estimator_minibatches, steps)


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
