"""Mirrors follow the reflection in the x-z plane."""

import torch

from mtrack import Mirror
from mtrack.math import quat_from_rotation_vector, quat_to_matrix, rot6d

REFLECT = torch.diag(torch.tensor([1.0, -1.0, 1.0]))


def test_a_reflected_rotation_has_the_declared_signs():
    matrix = quat_to_matrix(quat_from_rotation_vector(torch.tensor([[0.3, -0.5, 0.9]])))
    torch.testing.assert_close(Mirror.rot6d()(rot6d(matrix)), rot6d(REFLECT @ matrix @ REFLECT))


def test_a_cross_product_of_vectors_mirrors_as_a_pseudovector():
    a, b = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(1))
    there = Mirror.pseudovector()(torch.linalg.cross(a, b))
    torch.testing.assert_close(there, torch.linalg.cross(Mirror.vector()(a), Mirror.vector()(b)))


def test_swap_exchanges_blocks_and_mirrors_each_of_them():
    mirror = Mirror.swap([1, 0, 2], Mirror.vector())
    assert mirror(torch.arange(1.0, 10.0)).tolist() == [4, -5, 6, 1, -2, 3, 7, -8, 9]


def test_a_mirror_applied_twice_is_the_identity():
    mirror = Mirror.cat([Mirror.scalar(), Mirror.swap([1, 0], Mirror.rot6d()), Mirror.pseudovector()]).repeat(3)
    value = torch.randn(2, mirror.width, generator=torch.Generator().manual_seed(2))
    assert torch.equal(mirror(mirror(value)), value)
