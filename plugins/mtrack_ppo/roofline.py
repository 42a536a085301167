"""The matrix products an update cannot do without: what the speed of training is measured against."""

from __future__ import annotations

from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.networks import Mlp
from mtrack_ppo.train import Train


def matrix_products(agent: TeacherStudent, phase: Train, rows: int) -> list[tuple[int, int, int, int]]:
    """Return (m, k, n, count) of the products [m, k] x [k, n] in one update of `rows` samples.

    Per layer forward, weight gradient and, where something below learns, input gradient; original and mirrored rows,
    all epochs, the estimator.
    """
    sides = 2 if phase.mirror else 1
    policy = [agent.encoder_priv, agent.actor_teacher.mean, agent.critic]
    found = _passes(policy, sides * rows // phase.minibatches, phase.epochs * phase.minibatches)
    steps = phase.estimator_epochs * phase.estimator_minibatches
    return found + _passes([agent.adapt_module], sides * rows // phase.estimator_minibatches, steps)


def _passes(networks: list[Mlp], rows: int, count: int) -> list[tuple[int, int, int, int]]:
    return [(*product, count) for network in networks for product in network.products(rows)]
