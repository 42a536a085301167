"""Rotations agree with their definitions and with each other."""

import pytest
import torch

from mtrack import math as m

TORCH_SEED = torch.Generator().manual_seed(0)
ROTATIONS = torch.randn(50, 3, generator=TORCH_SEED)
QUATS = m.quat_from_rotation_vector(ROTATIONS)
VECTORS = torch.randn(50, 3, generator=TORCH_SEED)


def test_quat_to_matrix_is_differentiable_after_a_first_call_in_inference_mode():
    m._entries.cache_clear()
    with torch.inference_mode():
        m.quat_to_matrix(torch.randn(5, 4))
    quat = torch.randn(5, 4, requires_grad=True)
    m.quat_to_matrix(quat).sum().backward()
    assert quat.grad is not None


def test_rotating_by_a_quaternion_equals_rotating_by_its_matrix():
    by_matrix = (m.quat_to_matrix(QUATS) @ VECTORS.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(m.quat_rotate(QUATS, VECTORS), by_matrix, atol=1e-5, rtol=1e-5)


def test_the_matrix_of_a_quarter_turn_about_z_takes_x_to_y():
    matrix = m.quat_to_matrix(m.quat_from_rotation_vector(torch.tensor([0.0, 0.0, torch.pi / 2])))
    torch.testing.assert_close(matrix[:, 0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_a_product_rotates_by_the_right_factor_first():
    a, b = QUATS[:25], QUATS[25:]
    both = m.quat_rotate(m.quat_multiply(a, b), VECTORS[:25])
    torch.testing.assert_close(both, m.quat_rotate(a, m.quat_rotate(b, VECTORS[:25])), atol=1e-5, rtol=1e-5)


def test_inverse_rotation_undoes_rotation():
    there = m.quat_rotate(QUATS, VECTORS)
    torch.testing.assert_close(m.quat_rotate_inverse(QUATS, there), VECTORS, atol=1e-5, rtol=1e-5)


def test_rotation_vectors_survive_a_round_trip_through_quaternions():
    small = ROTATIONS / ROTATIONS.norm(dim=-1, keepdim=True)
    back = m.quat_to_rotation_vector(m.quat_from_rotation_vector(small))
    torch.testing.assert_close(back, small, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.3, 2.0, 3.0])
def test_rotation_angle_is_accurate_for_small_and_large_angles(angle):
    turn = m.quat_to_matrix(m.quat_from_rotation_vector(torch.tensor([0.0, angle, 0.0])))
    assert m.rotation_angle(turn, torch.eye(3)).item() == pytest.approx(angle, abs=2e-6, rel=1e-3)


def test_slerp_at_one_half_is_half_the_rotation():
    whole = torch.tensor([0.4, -0.2, 0.6])
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0])
    half = m.quat_slerp(identity, m.quat_from_rotation_vector(whole), torch.tensor([0.5]))
    torch.testing.assert_close(m.quat_to_rotation_vector(half), whole / 2, atol=1e-6, rtol=1e-5)


def test_rot6d_is_the_first_column_then_the_second():
    matrix = torch.arange(9.0).reshape(3, 3)
    assert m.rot6d(matrix).tolist() == [0.0, 3.0, 6.0, 1.0, 4.0, 7.0]


def test_quat_yaw_keeps_only_the_heading():
    yaw = m.quat_from_rotation_vector(torch.tensor([0.0, 0.0, 0.7]))
    pitch = m.quat_from_rotation_vector(torch.tensor([0.0, 0.3, 0.0]))
    torch.testing.assert_close(m.quat_yaw(m.quat_multiply(yaw, pitch)), yaw, atol=1e-6, rtol=1e-5)
