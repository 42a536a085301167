"""Metrics of an update on several ranks equal those of one process with all their data."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from ppo_bandit import Bandit, layout, make
from ppo_two_ranks import Ranks
from tensordict import TensorDict

from mtrack import Rollout
from mtrack.loop.learner import _numbers
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten
from mtrack_ppo.adapt import Adapt
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.finetune import Finetune
from mtrack_ppo.train import Train

Phase = Train | Adapt | Finetune
# one minibatch, so that the ranks and the single process draw the same samples
ONE = {"autocast": "none", "epochs": 1, "minibatches": 1}
PHASES = {
    "train": lambda: Train(**ONE, estimator_epochs=1, estimator_minibatches=1),
    "adapt": lambda: Adapt(**ONE),
    "finetune": lambda: Finetune(**ONE),
}
PREVIOUS = {"train": None, "adapt": "train", "finetune": "adapt"}
# two ranks with very different rewards: averaging each rank's variances or ratios would give other numbers
REWARDS = [(1.0, 0.0), (20.0, 3.0)]


def copy_of(agent: TeacherStudent) -> TeacherStudent:
    made, _ = make()
    tensors: dict[str, torch.Tensor] = {}
    tree = flatten({"agent": component_state(agent)}, tensors)
    load_component_state(
        made, unflatten(tree, {key: value.clone() for key, value in tensors.items()})["agent"], "agent"
    )
    return made


def entered(kind: str, agent: TeacherStudent) -> Phase:
    phase = PHASES[kind]()
    phase.enter(agent, layout(), PREVIOUS[kind])
    return phase


def rollouts(phase: Phase) -> list[Rollout]:
    made = []
    for seed, (scale, shift) in enumerate(REWARDS):
        rollout = Bandit(torch.Generator().manual_seed(seed)).roll(phase)
        rollout.data["next", "reward"] = rollout.data["next", "reward"] * scale + shift
        if "state_value" in rollout.data.keys():  # noqa: SIM118  a TensorDict needs it
            rollout.data["state_value"] += rollout.data["priv"][:, :, 0] * (1 + seed)
        rollout.data["network_inputs"] *= 1 + 3 * seed  # the ranks' mean actions differ in size too
        made.append(rollout)
    return made


def merged(parts: list[Rollout]) -> Rollout:
    """Return the rollouts of two ranks as the rollout of one process with all environments."""
    first, second = parts
    index = second.final_index + torch.tensor([len(first.data), 0])
    return Rollout(
        torch.cat([part.data.transpose(0, 1) for part in parts], dim=1).transpose(0, 1),
        first.reward_groups,
        TensorDict.cat([part.next_observations for part in parts]),
        torch.cat((first.final_index, index)),
        TensorDict.cat([part.final for part in parts]),
    )


def _metrics(phase: Phase, rollout: Rollout) -> dict[str, float]:
    return _numbers(phase.update(rollout, 0.5))


@pytest.mark.parametrize("kind", list(PHASES))
def test_every_metric_of_two_ranks_equals_that_of_one_process_with_all_data(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, teacher = make()
    teacher.update(Bandit().roll(teacher), 0.0)  # so that mean actions and features vary
    agent.actor_student.load_state_dict(agent.actor_teacher.state_dict())
    parts = rollouts(entered(kind, agent))
    alone = entered(kind, copy_of(agent))
    phases = [entered(kind, copy_of(agent)) for _ in parts]
    whole = _metrics(alone, merged(parts))
    ranks = Ranks(len(parts), monkeypatch)
    learn = [partial(_metrics, phase, part) for phase, part in zip(phases, parts, strict=True)]
    first, second = ranks.each(learn)
    assert ranks.sums > 0
    assert first == second
    assert first == pytest.approx(whole, rel=1e-4, abs=1e-6)
