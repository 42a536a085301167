"""The observation of dynamics returns what the randomizations have drawn."""

from __future__ import annotations

import pytest
import torch

from mtrack import NameProblem, Scene
from mtrack_domain.bodies import BodyCom, BodyMass, FootMaterial
from mtrack_domain.joints import MotorGains
from mtrack_domain.observations import Dynamics
from mtrack_testing import StillBackend, compiled_g1, random_scene

N = 6


def random_world() -> tuple[Dynamics, Scene]:
    scene = random_scene(N, backend=StillBackend(compiled_g1(), N))
    for number, cls in enumerate((BodyCom, BodyMass, FootMaterial, MotorGains)):
        term = cls()
        term.rng = torch.Generator().manual_seed(number)
        term.bind(scene)
        term.reset(torch.arange(N)) if cls is MotorGains else term.startup()
    dynamics = Dynamics()
    dynamics.bind(scene)
    return dynamics, scene


def test_dynamics_requests_every_field_that_it_reads() -> None:
    dynamics = Dynamics()
    scene = random_scene(N)
    scene.backend = StillBackend(compiled_g1(), N, dynamics.requires(scene.model).model_fields)
    dynamics.bind(scene)
    assert dynamics(scene).shape == (N, dynamics.mirror().width) == (N, 1 + 2 + 6 + 29 + 29)


def test_nominal_dynamics_are_ones_and_no_shift() -> None:
    scene = random_scene(N, backend=StillBackend(compiled_g1(), N))
    dynamics = Dynamics()
    dynamics.bind(scene)
    friction, mass, com, gains = dynamics(scene).split([1, 2, 6, 58], dim=-1)
    torch.testing.assert_close(friction, torch.full((N, 1), 0.6))
    assert (mass == 1.0).all() and (com == 0.0).all() and (gains == 1.0).all()


def test_dynamics_returns_the_drawn_values() -> None:
    dynamics, scene = random_world()
    friction, mass, com, stiffness, damping = dynamics(scene).split([1, 2, 6, 29, 29], dim=-1)
    backend = scene.backend
    pelvis, torso = backend.model_ids("body", ["pelvis", "torso_link"]).tolist()
    sole = backend.model_ids("geom", ["left_ankle_roll_link"])[0]
    knee = scene.model.joint_names.index("left_knee_joint")
    motor = backend.model_ids("actuator", ["left_knee_joint"])[0]
    nominal_bias = backend.nominal("actuator_biasprm")[motor]
    expected = {
        "friction": (friction[:, 0], backend.field("geom_friction")[:, sole, 0]),
        "mass": (mass[:, 1], backend.field("body_mass")[:, torso] / backend.nominal("body_mass")[torso]),
        "com": (com[:, :3], backend.field("body_ipos")[:, pelvis] - backend.nominal("body_ipos")[pelvis]),
        "stiffness": (stiffness[:, knee], backend.field("actuator_gainprm")[:, motor, 0] / -nominal_bias[1]),
        "damping": (damping[:, knee], backend.field("actuator_biasprm")[:, motor, 2] / nominal_bias[2]),
    }
    for seen, true in expected.values():
        torch.testing.assert_close(seen, true.float())


@pytest.mark.parametrize("env_ids", [[4, 1], []])
def test_a_part_of_the_scene_gives_the_dynamics_of_that_part(env_ids: list[int]) -> None:
    dynamics, scene = random_world()
    ids = torch.tensor(env_ids, dtype=torch.int64)
    assert torch.equal(dynamics(scene.select(ids)), dynamics(scene)[ids])


def test_mirrored_dynamics_swap_sides_and_reverse_the_lateral_shift() -> None:
    dynamics, scene = random_world()
    backend, model = scene.backend, scene.model
    value = dynamics(scene)
    links = backend.model_ids("body", ["pelvis", "torso_link"])
    shift = backend.field("body_ipos")[:, links] - backend.nominal("body_ipos")[links]
    backend.field("body_ipos")[:, links] = backend.nominal("body_ipos")[links] + shift * torch.tensor([1.0, -1.0, 1.0])
    bias, nominal = backend.field("actuator_biasprm"), backend.nominal("actuator_biasprm")
    ratio = bias[..., 1:3] / nominal[:, 1:3]
    bias[..., 1:3] = ratio[:, model.joint_mirror.perm] * nominal[:, 1:3]
    torch.testing.assert_close(dynamics.mirror()(value), dynamics(scene), atol=1e-4, rtol=0.0)


def test_one_sided_joints_have_no_mirror() -> None:
    with pytest.raises(NameProblem, match="right_knee_joint"):
        Dynamics(joints=("left_knee_joint",)).bind(random_scene(2, backend=StillBackend(compiled_g1(), 2)))
