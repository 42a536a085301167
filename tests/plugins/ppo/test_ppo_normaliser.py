"""Running statistics, and the change to even and odd coordinates."""

from __future__ import annotations

import pytest
import torch

import mtrack_ppo.normaliser as normaliser_module
from mtrack import Mirror
from mtrack_ppo.linear import Parity
from mtrack_ppo.normaliser import Normaliser, ReturnNormaliser

MIRROR = Mirror(torch.tensor([1, 0, 2, 3]), torch.tensor([-1.0, -1.0, 1.0, -1.0]))


def data(samples: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, 5, 4, generator=generator) * torch.tensor([1.0, 3.0, 0.1, 2.0]) + 2.0


def test_statistics_cover_all_data_and_its_mirror_images():
    normaliser = Normaliser(4, MIRROR)
    for seed, samples in enumerate((10, 700, 3)):
        normaliser.learn(data(samples, seed))
    seen = torch.cat([data(samples, seed) for seed, samples in enumerate((10, 700, 3))]).flatten(0, 1)
    both = torch.cat((seen, MIRROR(seen)))
    torch.testing.assert_close(normaliser.mean, both.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(normaliser.variance, both.var(0, correction=0), atol=1e-5, rtol=1e-4)
    assert torch.equal(MIRROR(normaliser.mean), normaliser.mean)


def test_normalised_data_has_mean_zero_and_standard_deviation_one():
    normaliser = Normaliser(4, None)
    normaliser.learn(data(2000))
    value = normaliser(data(2000)).flatten(0, 1)
    torch.testing.assert_close(value.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(value.std(0), torch.ones(4), atol=1e-3, rtol=0)


def test_the_variance_of_a_column_far_from_zero_is_accurate():
    normaliser = Normaliser(4, None)
    for seed in range(2):
        normaliser.learn(data(1000, seed) + 10_000.0)
    torch.testing.assert_close(normaliser.variance.sqrt(), torch.tensor([1.0, 3.0, 0.1, 2.0]), rtol=0.05, atol=0)


def test_a_decay_forgets_old_data():
    normaliser = Normaliser(4, None, decay=0.5)
    normaliser.learn(data(100))
    for seed in range(20):
        normaliser.learn(data(100, seed) + 5.0)
    torch.testing.assert_close(normaliser.mean, torch.full((4,), 7.0), atol=0.2, rtol=0)


@pytest.mark.parametrize("value", [1e8, -1e30, torch.inf, torch.nan], ids=str)
@pytest.mark.parametrize("before", [0, 2], ids=["in the first data", "later"])
@pytest.mark.parametrize("asks_first", [True, False], ids=["cpu", "gpu"])
def test_an_absurd_value_counts_as_the_mean(monkeypatch, value, before, asks_first):
    monkeypatch.setattr(normaliser_module, "asks_first", lambda device: asks_first)
    faulty, sound = Normaliser(4, MIRROR), Normaliser(4, MIRROR)
    for seed in range(before):
        faulty.learn(data(300, seed))
        sound.learn(data(300, seed))
    broken = data(300, 5)
    broken[3, 2, 1] = value
    assert faulty.learn(broken).item() == 1.0
    assert sound.learn(data(300, 5)).item() == 0.0
    torch.testing.assert_close(faulty.mean, sound.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(faulty.variance, sound.variance, atol=0, rtol=0.01)


def test_values_that_are_mostly_far_away_are_the_new_normal():
    normaliser = Normaliser(4, None)
    normaliser.learn(torch.zeros(100, 4))
    assert normaliser.learn(1e7 + data(900)).item() == 0.0
    torch.testing.assert_close(normaliser.mean, torch.full((4,), 1e7 * 45 / 46), rtol=1e-3, atol=0)


def test_loaded_statistics_of_an_agent_that_has_not_learned_count_as_none():
    normaliser = Normaliser(4, None)
    untrained = {name: value.clone() for name, value in normaliser.state_dict().items()}
    normaliser.learn(data(10))
    normaliser.load_state_dict(untrained)
    assert not normaliser.has_learned()


def test_an_absurd_return_counts_as_the_mean():
    faulty, sound = ReturnNormaliser(0.9), ReturnNormaliser(0.9)
    for normaliser in (faulty, sound):
        normaliser.learn(data(50)[..., 0])
    broken = data(50, 1)[..., 0]
    broken[3, 2] = 1e20
    assert (faulty.learn(broken).item(), sound.learn(data(50, 1)[..., 0]).item()) == (1.0, 0.0)
    torch.testing.assert_close(faulty.moments(), sound.moments(), rtol=0.01, atol=0)


def test_a_column_that_never_moved_is_centred_but_not_scaled():
    normaliser = Normaliser(1, None)
    normaliser.learn(torch.full((10, 1), 3.0))
    torch.testing.assert_close(normaliser(torch.tensor([[3.5]])), torch.tensor([[0.5]]))


def test_outliers_are_clipped():
    normaliser = Normaliser(1, None, clip=4.0)
    assert normaliser(torch.tensor([[1e6], [-1e6]])).flatten().tolist() == [4.0, -4.0]


def test_the_mirror_keeps_even_coordinates_and_negates_odd_ones():
    parity, value = Parity(4, MIRROR, "cpu"), data(20)[:, 0]
    even, odd = parity(value)
    mirrored_even, mirrored_odd = parity(MIRROR(value))
    assert (parity.even, parity.odd) == (2, 2)
    torch.testing.assert_close(mirrored_even, even)
    torch.testing.assert_close(mirrored_odd, -odd)


def test_the_change_of_coordinates_preserves_lengths():
    value = data(20)[:, 0]
    rotated = torch.cat(Parity(4, MIRROR, "cpu")(value), dim=-1)
    torch.testing.assert_close(rotated.norm(dim=-1), value.norm(dim=-1))


def test_without_a_mirror_all_coordinates_are_even():
    even, odd = Parity(4, None, "cpu")(data(20)[:, 0])
    assert torch.equal(even, data(20)[:, 0])
    assert odd.shape == (20, 0)
