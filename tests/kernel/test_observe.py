"""The kernel's share of an observation: noise, history, previews."""

import attrs
import torch
from torch import Tensor

from mtrack import Mirror
from mtrack.loop.observe import Observer, Term

NONE = torch.zeros(0, dtype=torch.int64)


@attrs.define
class Rows:
    """A scene reduced to one number a row."""

    value: Tensor

    @property
    def num_envs(self) -> int:
        return len(self.value)

    def select(self, ids: Tensor) -> "Rows":
        return Rows(self.value[ids])


class Value:
    def __call__(self, scene: Rows) -> Tensor:
        return scene.value.unsqueeze(-1)

    def mirror(self) -> Mirror:
        return Mirror.of([-1.0])


def term(noise: float = 0.0, history: tuple[int, ...] = (), component: object | None = None) -> Term:
    return Term("observations.a.b", component or Value(), noise, history, torch.Generator().manual_seed(0))


def test_history_counts_control_steps_back_and_begins_with_the_true_value():
    one = term(history=(0, 1, 3))
    everything = torch.tensor([0])
    seen = [one.observe(Rows(torch.tensor([float(t)])), everything if t == 1 else NONE).tolist() for t in range(1, 6)]
    assert seen == [[[1, 1, 1]], [[2, 1, 1]], [[3, 2, 1]], [[4, 3, 1]], [[5, 4, 2]]]


def test_a_reset_row_fills_its_history_and_leaves_the_others():
    one = term(history=(0, 1))
    one.observe(Rows(torch.tensor([1.0, 1.0])), torch.tensor([0, 1]))
    seen = one.observe(Rows(torch.tensor([2.0, 9.0])), torch.tensor([1]))
    assert seen.tolist() == [[2.0, 1.0], [9.0, 9.0]]


def test_a_preview_is_what_observing_would_have_given_and_changes_nothing():
    one, scene, later = term(history=(0, 1, 2)), Rows(torch.tensor([1.0, 5.0])), Rows(torch.tensor([2.0, 6.0]))
    one.observe(scene, torch.tensor([0, 1]))
    ids = torch.tensor([1])
    before = one.past.clone()
    preview = one.final_observations(later.select(ids), ids)
    assert torch.equal(one.past, before)
    assert torch.equal(preview, one.observe(later, NONE)[ids])


def test_noise_is_bounded_at_three_deviations_and_drawn_for_each_row():
    value = term(noise=0.1).observe(Rows(torch.zeros(5000)), NONE)
    assert 0.25 < value.abs().max() <= 0.3 + 1e-6
    assert value.unique().numel() > 4000


def test_a_component_may_disturb_its_value_itself():
    class Doubled(Value):
        def disturb(self, value: Tensor, scene: Rows, noise) -> Tensor:
            return value * 2 + 0 * noise(value.shape)

    assert term(noise=0.1, component=Doubled()).observe(Rows(torch.ones(2)), NONE).tolist() == [[2.0], [2.0]]


def test_history_keeps_the_noise_each_value_was_seen_with():
    one = term(noise=0.1, history=(0, 1))
    first = one.observe(Rows(torch.zeros(3)), torch.arange(3))[:, 0]
    assert torch.equal(one.observe(Rows(torch.zeros(3)), NONE)[:, 1], first)


def test_groups_stand_side_by_side():
    observer = Observer({"a": [term(), term(history=(0, 1))], "b": [term()]})
    seen = observer.observe(Rows(torch.tensor([3.0])), torch.tensor([0]))
    assert seen["a"].tolist() == [[3.0, 3.0, 3.0]]
    assert seen["b"].tolist() == [[3.0]]
    assert observer.groups["a"][1].mirror().width == 2
