"""On real physics randomized environments differ, and a reset changes only the given envs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mtrack import ContactSensor, NameProblem, PhysicsPlan, Scene, StartState
from mtrack.api.lifecycle import Requires, Resets, Startup
from mtrack_domain.bodies import BaseMass, BodyCom, BodyMass, FootMaterial
from mtrack_domain.joints import JointDamping, JointFriction, JointOffset, MotorGains, MotorStrength
from mtrack_domain.observations import Dynamics
from mtrack_domain.world import Gravity, Push
from mtrack_g1.robot import G1
from mtrack_mujoco.backend import MujocoBackend
from mtrack_testing import random_scene

N = 4
PHYSICAL = [
    BodyCom,
    BodyMass,
    BaseMass,
    FootMaterial,
    MotorGains,
    MotorStrength,
    JointFriction,
    JointDamping,
    Gravity,
]


def world(*terms: Any) -> Scene:
    """Return a scene over real physics with bound terms, each with its own generator."""
    robot = G1()
    model = robot.model()
    fields = [name for term in terms if isinstance(term, Requires) for name in term.requires(model).model_fields]
    backend = MujocoBackend()
    feet = tuple(ContactSensor(foot) for foot in model.sets["feet"])
    backend.build(robot, PhysicsPlan(N, 0.005, "cpu", feet, tuple(dict.fromkeys(fields))))
    scene = random_scene(N, model=model, backend=backend)
    scene.robot = backend.state
    for seed, term in enumerate(terms):
        if hasattr(term, "rng"):
            term.rng = torch.Generator().manual_seed(seed)
        term.bind(scene)
    return scene


def draw(terms: list[Any]) -> None:
    for term in terms:
        if isinstance(term, Startup):
            term.startup()
        if isinstance(term, Resets):
            term.reset(torch.arange(N))


def drop(scene: Scene, steps: int = 60) -> torch.Tensor:
    """Drop the moving robots from one pose under strong commands; return the joint positions of each substep."""
    backend, model = scene.backend, scene.model
    everything, still = torch.arange(N), torch.zeros(N, 3)
    start = StartState(
        root_pos=(model.default_root_pos + torch.tensor([0.0, 0.0, 0.02])).expand(N, -1),
        root_quat_wxyz=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(N, -1),
        root_lin_vel=still + 0.3,
        root_ang_vel=still,
        joint_pos=model.default_joint_pos.expand(N, -1),
        joint_vel=torch.zeros(N, len(model.joint_names)),
    )
    target = (model.default_joint_pos + 0.8).expand(N, -1)
    backend.set_state(everything, start)
    backend.forward(everything, target)
    seen = []
    for _ in range(steps):
        backend.step(target, last=True)
        backend.refresh()
        seen.append(scene.robot.joint_pos.clone())
    return torch.stack(seen)


def test_environments_are_equal_without_randomization() -> None:
    path = drop(world())
    assert (path == path[:, :1]).all()


@pytest.mark.parametrize("cls", PHYSICAL, ids=lambda cls: cls.__name__)
def test_two_environments_differ(cls: type) -> None:
    term = cls()
    scene = world(term)
    draw([term])
    path = drop(scene)
    differences = (path[:, 0] - path[:, 1]).abs().amax()
    assert 1e-6 < differences < 3.0


@pytest.mark.parametrize("cls", [MotorGains, MotorStrength, JointFriction, JointDamping, Gravity])
def test_reset_of_one_env_changes_neither_draws_nor_motion_of_others(cls: type) -> None:
    term = cls()
    scene = world(term)
    draw([term])
    fields = term.requires(scene.model).model_fields
    before, path = {name: scene.backend.field(name).clone() for name in fields}, drop(scene)
    term.reset(torch.tensor([2]))
    after = drop(scene)
    others = [0, 1, 3]
    assert all(torch.equal(scene.backend.field(name)[others], before[name][others]) for name in fields)
    assert torch.equal(after[:, others], path[:, others])
    assert not torch.equal(after[:, 2], path[:, 2])


def test_derived_constants_follow_the_mass_of_each_environment() -> None:
    term = BodyMass()
    scene = world(term)
    weights = scene.backend.state_dict()
    draw([term])
    after = scene.backend.state_dict()
    assert "field.body_subtreemass" in after and "field.body_subtreemass" not in weights
    whole = after["field.body_subtreemass"][:, 1]
    torch.testing.assert_close(whole, scene.backend.field("body_mass").sum(-1))
    assert len(whole.unique()) == N


def test_a_checkpoint_restores_the_drawn_values() -> None:
    def build() -> tuple[list[Any], Scene]:
        terms = [cls() for cls in PHYSICAL] + [JointOffset()]
        return terms, world(*terms)

    terms, scene = build()
    draw(terms)
    saved = scene.backend.state_dict()
    path = drop(scene)
    _, other = build()
    other.backend.load_state_dict(saved)
    assert torch.equal(drop(other), path)
    assert torch.equal(other.robot.joint_offset, scene.robot.joint_offset)


def test_a_push_changes_only_the_velocity_of_envs_that_are_due() -> None:
    term = Push(interval=(0.02, 0.02))
    scene = world(term)
    drop(scene, steps=10)
    term.reset(torch.tensor([1, 3]))
    linear, angular = scene.robot.root_lin_vel.clone(), scene.robot.root_ang_vel.clone()
    term.before_step()
    scene.backend.refresh()  # link velocities are computed by the next `forward`
    scene.backend.forward(torch.arange(N), scene.robot.joint_target.clone())
    scene.backend.refresh()
    gained = torch.cat((scene.robot.root_lin_vel - linear, scene.robot.root_ang_vel - angular), dim=-1)
    assert gained[[0, 2]].abs().max() < 1e-6
    assert (gained[[1, 3]].abs() > 1e-4).all()
    assert (gained[[1, 3]].abs() <= torch.tensor([0.5, 0.5, 0.2, 0.5, 0.5, 0.78]) + 1e-5).all()


def test_dynamics_returns_what_was_drawn() -> None:
    dynamics, terms = Dynamics(), [BodyMass(), FootMaterial(), MotorGains()]
    scene = world(*terms, dynamics)
    draw(terms)
    friction, mass, com, gains = dynamics(scene).split([1, 2, 6, 58], dim=-1)
    assert len(friction.unique()) == N and ((friction > 0.5) & (friction < 1.5)).all()
    assert ((mass - 1.0).abs() < 0.1).all() and mass.unique().numel() == 2 * N
    assert (com == 0.0).all()
    assert ((gains - 1.0).abs() <= 0.2).all() and gains.std() > 0.05


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (BodyMass(bodies=("torsoo",)), "torso"),
        (MotorGains(joints=("left_nee_joint",)), "did you mean 'left_knee_joint'"),
    ],
)
def test_unknown_names_are_rejected(term: Any, message: str) -> None:
    with pytest.raises(NameProblem, match=message):
        world(term)
