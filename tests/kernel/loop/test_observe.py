"""What the kernel adds to an observation: noise, history, final observations."""

import attrs
import torch
from torch import Tensor

from mtrack import Mirror
from mtrack.loop.observe import Observer, Term

NONE = torch.zeros(0, dtype=torch.int64)


@attrs.define
class OneValue:
    """A scene reduced to one number per environment."""

    value: Tensor

    @property
    def num_envs(self) -> int:
        return len(self.value)

    def select(self, ids: Tensor) -> "OneValue":
        return OneValue(self.value[ids])


class Value:
    def __call__(self, scene: OneValue) -> Tensor:
        return scene.value.unsqueeze(-1)

    def mirror(self) -> Mirror:
        return Mirror.of([-1.0])


def term(noise: float = 0.0, history: tuple[int, ...] = (), component: object | None = None) -> Term:
    return Term("observations.a.b", component or Value(), noise, history, torch.Generator().manual_seed(0))


def test_history_counts_control_steps_back_and_starts_with_the_first_value():
    one = term(history=(0, 1, 3))
    everything = torch.tensor([0])
    seen = [
        one.observe(OneValue(torch.tensor([float(t)])), everything if t == 1 else NONE).tolist() for t in range(1, 6)
    ]
    assert seen == [[[1, 1, 1]], [[2, 1, 1]], [[3, 2, 1]], [[4, 3, 1]], [[5, 4, 2]]]


def test_a_reset_environment_fills_its_history_and_leaves_the_others():
    one = term(history=(0, 1))
    one.observe(OneValue(torch.tensor([1.0, 1.0])), torch.tensor([0, 1]))
    seen = one.observe(OneValue(torch.tensor([2.0, 9.0])), torch.tensor([1]))
    assert seen.tolist() == [[2.0, 1.0], [9.0, 9.0]]


def test_a_restart_between_steps_fills_the_history_of_its_environments_and_pushes_no_other():
    observer, ids = Observer({"a": [term(history=(0, 2)), term()]}), torch.tensor([1])
    scenes = [OneValue(torch.tensor([float(t), 10.0 * t])) for t in range(1, 5)]
    for t, scene in enumerate(scenes[:2]):
        observer.observe(scene, torch.arange(2) if t == 0 else NONE)
    seen = observer.restart(OneValue(torch.tensor([70.0])), ids)
    assert seen["a"].tolist() == [[70.0, 70.0, 70.0]]
    later = [observer.observe(scene, NONE)["a"].tolist() for scene in scenes[2:]]
    assert later == [[[3, 1, 3], [30, 70, 30]], [[4, 2, 4], [40, 70, 40]]]


def test_final_observations_equal_observing_and_change_nothing():
    one, scene, later = term(history=(0, 1, 2)), OneValue(torch.tensor([1.0, 5.0])), OneValue(torch.tensor([2.0, 6.0]))
    one.observe(scene, torch.tensor([0, 1]))
    ids = torch.tensor([1])
    before = one.past.clone()
    final = one.final_observations(later.select(ids), ids)
    assert torch.equal(one.past, before)
    assert torch.equal(final, one.observe(later, NONE)[ids])


def test_noise_is_bounded_at_three_deviations_and_drawn_for_each_environment():
    value = term(noise=0.1).observe(OneValue(torch.zeros(5000)), NONE)
    assert 0.25 < value.abs().max() <= 0.3 + 1e-6
    assert value.unique().numel() > 4000


def test_a_component_may_add_its_own_noise():
    class Doubled(Value):
        def disturb(self, value: Tensor, scene: OneValue, noise) -> Tensor:
            return value * 2 + 0 * noise(value.shape)

    assert term(noise=0.1, component=Doubled()).observe(OneValue(torch.ones(2)), NONE).tolist() == [[2.0], [2.0]]


def test_history_keeps_the_noise_of_each_value():
    one = term(noise=0.1, history=(0, 1))
    first = one.observe(OneValue(torch.zeros(3)), torch.arange(3))[:, 0]
    assert torch.equal(one.observe(OneValue(torch.zeros(3)), NONE)[:, 1], first)


def test_the_terms_of_a_group_are_concatenated():
    observer = Observer({"a": [term(), term(history=(0, 1))], "b": [term()]})
    seen = observer.observe(OneValue(torch.tensor([3.0])), torch.tensor([0]))
    assert seen["a"].tolist() == [[3.0, 3.0, 3.0]]
    assert seen["b"].tolist() == [[3.0]]
    assert observer.groups["a"][1].mirror().width == 2
