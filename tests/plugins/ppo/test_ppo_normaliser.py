"""Running statistics, and the change to even and odd coordinates."""

from __future__ import annotations

import torch

from mtrack import Mirror
from mtrack_ppo.linear import Parity
from mtrack_ppo.normaliser import Normaliser

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


def test_data_that_is_not_finite_is_ignored():
    normaliser = Normaliser(4, MIRROR)
    normaliser.learn(data(10))
    before = {name: value.clone() for name, value in normaliser.state_dict().items()}
    broken = data(10)
    broken[3, 2, 1] = torch.nan
    normaliser.learn(broken)
    assert all(torch.equal(before[name], value) for name, value in normaliser.state_dict().items())


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
