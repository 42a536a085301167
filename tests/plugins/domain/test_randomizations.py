"""Randomizations keep their ranges, draw independently per env and combine; on model fields without physics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mtrack import MtrackError, Scene
from mtrack.api.lifecycle import Requires, Resets, Startup
from mtrack_domain.bodies import BaseMass, BodyCom, BodyMass, FootMaterial
from mtrack_domain.joints import JointDamping, JointFriction, JointOffset, MotorGains, MotorStrength
from mtrack_domain.world import Gravity, Push
from mtrack_testing import StillBackend, compiled_g1, g1_model, random_scene

N = 400
AT_STARTUP = [BodyCom, BodyMass, BaseMass, FootMaterial]
AT_RESET = [MotorGains, MotorStrength, JointFriction, JointDamping, Gravity]


def bound(cls: type, num_envs: int = N, seed: int = 0, **params: Any) -> tuple[Any, Scene]:
    """Return a bound component, and a scene whose backend has only the fields that it declared."""
    term = cls(**params)
    fields = term.requires(g1_model()).model_fields if isinstance(term, Requires) else ()
    scene = random_scene(num_envs, backend=StillBackend(compiled_g1(), num_envs, fields))
    term.rng = torch.Generator().manual_seed(seed)
    term.bind(scene)
    return term, scene


def drawn(cls: type, num_envs: int = N, **params: Any) -> StillBackend:
    term, scene = bound(cls, num_envs, **params)
    if isinstance(term, Startup):
        term.startup()
    else:
        term.reset(torch.arange(num_envs))
    return scene.backend  # type: ignore[return-value]


def spans(values: torch.Tensor, low: float, high: float) -> bool:
    """Return whether values lie in a range and nearly fill it."""
    reach = 0.05 * (high - low)
    within = low - 1e-6 <= values.min() and values.max() <= high + 1e-6
    return bool(within and values.min() < low + reach and values.max() > high - reach)


@pytest.mark.parametrize("cls", AT_STARTUP)
def test_startup_draws_values_per_environment(cls: type) -> None:
    for field in drawn(cls, 8).fields.values():
        assert not torch.equal(field[0], field[1])


@pytest.mark.parametrize("cls", AT_RESET)
def test_reset_of_one_env_changes_no_other_env(cls: type) -> None:
    term, scene = bound(cls, 8)
    term.reset(torch.arange(8))
    before = {name: value.clone() for name, value in scene.backend.fields.items()}
    term.reset(torch.tensor([5]))
    others = [0, 1, 2, 3, 4, 6, 7]
    for name, value in scene.backend.fields.items():
        assert torch.equal(value[others], before[name][others])
        assert not torch.equal(value[5], before[name][5])


@pytest.mark.parametrize("cls", AT_RESET)
def test_a_reset_does_not_depend_on_earlier_resets(cls: type) -> None:
    term, scene = bound(cls, 2)
    everything, generator = torch.arange(2), term.rng.get_state()
    term.reset(everything)
    first = {name: value.clone() for name, value in scene.backend.fields.items()}
    term.reset(everything)
    term.rng.set_state(generator)
    term.reset(everything)
    assert all(torch.equal(value, first[name]) for name, value in scene.backend.fields.items())


def test_centres_of_mass_move_by_at_most_two_centimetres_per_axis() -> None:
    backend = drawn(BodyCom)
    nominal = backend.nominal("body_ipos")
    elements = backend.model_ids("body", ["pelvis", "torso_link"])
    shift = (backend.fields["body_ipos"] - nominal)[:, elements].flatten(1)
    assert all(spans(column, -0.02, 0.02) for column in shift.T)
    assert torch.corrcoef(shift.T).fill_diagonal_(0.0).abs().max() < 0.2  # each axis of each body is independent
    rest = [i for i in range(len(nominal)) if i not in elements]
    assert torch.equal(backend.fields["body_ipos"][:, rest], nominal[rest].expand(N, -1, -1))


def test_inertia_scales_with_the_mass() -> None:
    backend = drawn(BodyMass)
    elements = backend.model_ids("body", ["pelvis", "torso_link"])
    mass = backend.fields["body_mass"][:, elements] / backend.nominal("body_mass")[elements]
    inertia = backend.fields["body_inertia"][:, elements] / backend.nominal("body_inertia")[elements]
    assert all(spans(column, 0.9, 1.1) for column in mass.T)
    torch.testing.assert_close(inertia, mass.unsqueeze(-1).expand_as(inertia))


@pytest.mark.parametrize("cls", [BodyCom, BodyMass, BaseMass])
def test_a_change_of_mass_updates_derived_constants_once(cls: type) -> None:
    assert drawn(cls, 8).constants_updated.eq(1).all()


def test_load_adds_to_a_mass_that_was_scaled_before() -> None:
    scene = random_scene(N, backend=StillBackend(compiled_g1(), N))
    scaling, load = BodyMass(factor=(1.1, 1.1)), BaseMass()
    for number, term in enumerate((scaling, load)):
        term.rng = torch.Generator().manual_seed(number)
        term.bind(scene)
        term.startup()
    pelvis = scene.backend.model_ids("body", ["pelvis"])
    mass, nominal = scene.backend.field("body_mass")[:, pelvis], scene.backend.nominal("body_mass")[pelvis]
    assert spans(mass - 1.1 * nominal, -1.0, 3.0)
    inertia = scene.backend.field("body_inertia")[:, pelvis] / scene.backend.nominal("body_inertia")[pelvis]
    torch.testing.assert_close(inertia, (mass / nominal).unsqueeze(-1).expand_as(inertia))


def test_a_load_that_leaves_no_mass_is_rejected() -> None:
    with pytest.raises(MtrackError, match="leaves no mass of a body of 3"):
        bound(BaseMass, load=(-4.0, 0.0))


def test_all_soles_of_an_environment_have_the_same_material() -> None:
    backend = drawn(FootMaterial)
    soles = backend.model_ids("geom", ["left_ankle_roll_link", "right_ankle_roll_link"])
    friction = backend.fields["geom_friction"][:, soles]
    solref = backend.fields["geom_solref"][:, soles]
    assert len(soles) == 8
    assert (friction[:, :, 0] == friction[:, :1, 0]).all()
    assert (solref == solref[:, :1]).all()
    assert spans(friction[:, 0, 0], 0.5, 1.5)
    assert spans(solref[:, 0, 0], 0.015, 0.03)
    assert spans(solref[:, 0, 1].log(), -math.log(2.0), math.log(2.0))
    assert torch.equal(friction[:, :, 1:], backend.nominal("geom_friction")[soles, 1:].expand(N, -1, -1))


def test_gains_of_each_joint_are_drawn_independently() -> None:
    backend = drawn(MotorGains)
    motors = backend.model_ids("actuator", g1_model().joint_names)
    dofs = backend.model_ids("dof", g1_model().joint_names)
    gain = backend.fields["actuator_gainprm"][:, motors, 0] / backend.nominal("actuator_gainprm")[motors, 0]
    bias = backend.fields["actuator_biasprm"][:, motors, 1:3] / backend.nominal("actuator_biasprm")[motors, 1:3]
    armature = backend.fields["dof_armature"][:, dofs] / backend.nominal("dof_armature")[dofs]
    torch.testing.assert_close(gain, bias[..., 0])  # torque = stiffness (target - angle): one stiffness
    for factor, low, high in ((gain, 0.8, 1.2), (bias[..., 1], 0.8, 1.2), (armature, 0.75, 1.25)):
        assert all(spans(column, low, high) for column in factor.T)
    every = torch.cat((gain, bias[..., 1], armature), dim=1)
    assert torch.corrcoef(every.T).fill_diagonal_(0.0).abs().max() < 0.25


def test_effort_limits_stay_symmetric() -> None:
    backend = drawn(MotorStrength)
    limits, nominal = backend.fields["actuator_forcerange"], backend.nominal("actuator_forcerange")
    assert torch.equal(limits[..., 0], -limits[..., 1])
    assert spans(limits[..., 1] / nominal[..., 1], 0.9, 1.1)


def test_friction_is_a_share_of_the_effort_limit_and_damping_is_absolute() -> None:
    model = g1_model()
    friction = drawn(JointFriction)
    dofs = friction.model_ids("dof", model.joint_names)
    assert spans(friction.fields["dof_frictionloss"][:, dofs] / model.effort_limit, 0.0, 0.02)
    damping = drawn(JointDamping)
    assert spans(damping.fields["dof_damping"][:, dofs] - damping.nominal("dof_damping")[dofs], 0.0, 0.05)
    assert torch.equal(damping.fields["dof_damping"][:, :6], damping.nominal("dof_damping")[:6].expand(N, -1))


def test_gravity_changes_by_at_most_a_tenth_per_axis() -> None:
    backend = drawn(Gravity)
    assert all(
        spans(column, -0.1, 0.1) for column in (backend.fields["opt.gravity"] - backend.nominal("opt.gravity")).T
    )


def test_offsets_are_written_to_the_given_envs_of_the_scene() -> None:
    term, scene = bound(JointOffset)
    before = scene.robot.joint_offset.clone()
    term.reset(torch.tensor([3, 7]))
    rest = [i for i in range(N) if i not in (3, 7)]
    assert torch.equal(scene.robot.joint_offset[rest], before[rest])
    term.reset(torch.arange(N))
    assert all(spans(column, -0.01, 0.01) for column in scene.robot.joint_offset.T)


def test_a_checkpoint_restores_offsets() -> None:
    from mtrack.loop.state import component_state, load_component_state

    term, scene = bound(JointOffset, 4)
    term.reset(torch.arange(4))
    saved = {name: value.clone() for name, value in component_state(term).items()}
    other, scene_after = bound(JointOffset, 4, seed=9)
    other.reset(torch.arange(4))
    load_component_state(other, saved, "randomizations.joint_offset")
    assert torch.equal(scene_after.robot.joint_offset, scene.robot.joint_offset)


def test_each_env_is_pushed_every_one_to_three_seconds_at_its_own_times() -> None:
    term, scene = bound(Push, 32)
    term.reset(torch.arange(32))
    pushed = torch.zeros(1000, 32, dtype=torch.bool)
    pushes = []
    for step in range(1000):
        term.before_step()
        pushed[step] = scene.backend.pushed.ne(0.0).any(-1)
        pushes.append(scene.backend.pushed[pushed[step]])
    for times_of_env in pushed.T:
        times = times_of_env.nonzero().squeeze(-1) * scene.dt
        gaps = times.diff()
        assert gaps.min() >= 1.0 - 1e-6 and gaps.max() <= 3.0 + 1e-6
    assert not torch.equal(pushed[:, 0], pushed[:, 1])
    sizes = torch.tensor([0.5, 0.5, 0.2, 0.5, 0.5, 0.78])
    assert all(spans(column, -s, s) for column, s in zip(torch.cat(pushes).T, sizes.tolist(), strict=True))


def test_a_reset_restarts_the_countdown_of_the_given_env_only() -> None:
    term, _ = bound(Push, 8)
    term.reset(torch.arange(8))
    before = term.countdown.clone()
    term.reset(torch.tensor([1]))
    others = [0, 2, 3, 4, 5, 6, 7]
    assert torch.equal(term.countdown[others], before[others])
    assert term.countdown[1] != before[1]


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (BodyCom, {"shift": (0.1, -0.1)}),
        (BodyMass, {"factor": (0.0, 1.0)}),
        (FootMaterial, {"friction": (1.0, 0.5)}),
        (JointFriction, {"share": (-0.1, 0.1)}),
        (Push, {"interval": (0.0, 1.0)}),
        (Push, {"lin_vel": (0.1, 0.1, -0.1)}),
    ],
)
def test_invalid_ranges_are_rejected(cls: type, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        cls(**params)


@pytest.mark.parametrize("cls", [*AT_STARTUP, *AT_RESET, JointOffset])
def test_equal_generators_draw_equal_worlds(cls: type) -> None:
    def world() -> list[torch.Tensor]:
        term, scene = bound(cls, 4)
        if isinstance(term, Startup):
            term.startup()
        if isinstance(term, Resets):
            term.reset(torch.arange(4))
        return [*scene.backend.fields.values(), scene.robot.joint_offset]

    assert all(torch.equal(a, b) for a, b in zip(world(), world(), strict=True))
