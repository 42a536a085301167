"""Forces on compliant arms: their limits, compensation on the torso, the whole task and its mirror image."""

from __future__ import annotations

import copy

import attrs
import numpy as np
import pytest
import torch

from mtrack import Mirror
from mtrack.loop.assemble import assemble
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack_compliance.spring import Springs, clamp_norm
from mtrack_g1.robot import G1
from mtrack_motion.file import write_clip
from mtrack_procedural.source import Procedural
from mtrack_testing import small_recipe as recipe
from mtrack_testing import small_task as task

SLOT = "randomizations.compliance"
ALWAYS = (f"{SLOT}.probability=1.0", f"{SLOT}.limb_probability=1.0")
STILL = [
    "command.start_noise=0.0",
    "action.max_delay=0",
    *(f"randomizations.{name}.enabled=false"
      for name in ("body_com", "body_mass", "foot_material", "motor_gains", "joint_offset")),
    *(f"observations.policy.{slot}.noise=0.0"
      for slot in ("root_rot", "joint_difference", "root_ang_vel", "projected_gravity", "joint_pos")),
]  # fmt: skip


def springs(num_envs=500, limits=(20.0, 10.0), pull=100.0, seed=0):
    """Return springs of random bodies, with positions and velocities of the bodies."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, num_envs, generator=draw)

    push = clamp_norm(30.0 * normal(3, 4), torch.tensor(20.0))
    spring = Springs(
        goal_and_push=torch.cat((0.3 * normal(3, 4), push), dim=1),
        pull_stiffness=torch.full((4, 1, num_envs), pull),
        pull_force=5.0,
        limits=torch.tensor(limits).view(2, 1, 1),
        times=torch.tensor([[0.0], [0.005], [0.01], [0.015]]),
    )
    rot = torch.linalg.qr(normal(3, 3).movedim(-1, 0)).Q.movedim(0, -1).contiguous()
    moving = {"pos": 0.3 * normal(3, 5), "lin_vel": normal(3, 5), "rot": rot, "ang_vel": normal(3)}
    return spring, moving


def about_base(spring, moving, wrench):
    """Return force and torque of a whole wrench about the base's origin, [3, D, N] each."""
    lever = (moving["pos"][:, 1:] - moving["pos"][:, :1]).unsqueeze(2)
    lever = lever + (moving["lin_vel"][:, 1:] - moving["lin_vel"][:, :1]).unsqueeze(2) * spring.times
    forces = wrench[:, 2:]
    torque = torch.linalg.cross(lever, forces, dim=0).sum(1) + wrench[:, 1]
    return forces.sum(1) + wrench[:, 0], torque


@pytest.mark.parametrize("limits", [(20.0, 10.0), (4.0, 1.0), (0.0, 0.0)])
def test_force_and_torque_on_the_whole_robot_stay_within_their_limits_in_every_substep(limits):
    spring, moving = springs(limits=limits)
    force, torque = about_base(spring, moving, spring.wrenches(**moving))
    assert force.norm(dim=0).max() <= limits[0] + 1e-4
    assert torque.norm(dim=0).max() <= limits[1] + 1e-4
    if limits[0]:
        assert force.norm(dim=0).max() > 0.99 * limits[0]


def test_within_the_limits_no_force_acts_on_the_base():
    spring, moving = springs(limits=(1e4, 1e4))
    wrench = spring.wrenches(**moving)
    assert not wrench[:, :2].any()
    assert wrench[:, 2:].norm(dim=0).max() <= 25.1
    assert wrench[:, 2:].norm(dim=0).max() > 20.0


def test_a_body_is_pulled_towards_its_goal_by_no_more_than_the_largest_pull():
    spring, moving = springs(limits=(1e4, 1e4))
    spring = attrs.evolve(spring, goal_and_push=torch.cat((spring.goal_and_push[:, :4], torch.zeros(3, 4, 500)), dim=1))
    forces = spring.wrenches(**moving)[:, 2:, 0]
    goal = torch.einsum("ijn,jpn->ipn", moving["rot"], spring.goal_and_push[:, :4])
    way = goal - (moving["pos"][:, 1:] - moving["pos"][:, :1])
    wanted = way * torch.minimum(torch.tensor(100.0), 5.0 / way.norm(dim=0))
    torch.testing.assert_close(forces, wanted, rtol=0, atol=1e-4)


def test_without_push_and_pull_the_forces_are_exactly_0():
    spring, moving = springs(pull=0.0, limits=(0.0, 0.0))
    spring = attrs.evolve(spring, goal_and_push=torch.zeros(3, 8, 500))
    assert not spring.wrenches(**moving).any()


def stepped(assembly, steps, seed=0):
    shape = (steps, assembly.env.scene.num_envs, assembly.layout.num_actions)
    actions = 0.2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return [assembly.env.step(action) for action in actions]


def test_only_hands_and_wrists_are_pushed_and_only_in_their_intervals():
    assembly = task("g1_tracking_teacher", "num_envs=32", f"{SLOT}.limit_growth=0.0")
    env, compliance = assembly.env, assembly.components[SLOT]
    pushed = 0
    for _ in range(10):
        acting = compliance.present.moves.clone()
        limbs = compliance.spans.limbs.clone()
        step = stepped(assembly, 1)[0]
        wrench = env.backend.wrench[~(step.terminated | step.truncated)]
        acting, limbs = (x[~(step.terminated | step.truncated)] for x in (acting, limbs))
        assert not wrench[~acting].any()
        names = {env.scene.model.body_names[i] for i in wrench.abs().sum((0, 2)).nonzero().flatten().tolist()}
        sides = {"left_hand_mimic", "left_wrist_roll_link", "right_hand_mimic", "right_wrist_roll_link"}
        assert names <= sides | {"torso_link"}
        left = env.scene.model.bodies(["left_hand_mimic", "left_wrist_roll_link"])
        assert not wrench[limbs[:, 0] == 0][:, left].any()
        pushed += int(acting.sum())
    assert pushed > 20


def test_extrapolated_positions_agree_with_those_that_the_engine_reaches():
    """The differences are too small to matter."""
    assembly = task("g1_tracking_teacher", "num_envs=32", f"{SLOT}.limit_growth=0.0", *ALWAYS)
    env, compliance = assembly.env, assembly.components[SLOT]
    stepped(assembly, 5)
    compliance.before_step()
    robot, columns = env.scene.robot, compliance.pushed.bodies
    seen = robot.body_pos[:, columns] - robot.body_pos[:, columns[:1]]
    moving = robot.body_lin_vel[:, columns] - robot.body_lin_vel[:, columns[:1]]
    extrapolated = (seen + 0.015 * moving).clone()
    for substep in range(3):
        env.backend.step(env.action.target(substep), last=substep == 2)
    env.backend.refresh()
    reached = robot.body_pos[:, columns] - robot.body_pos[:, columns[:1]]
    error = (extrapolated - reached).norm(dim=-1)
    assert error.mean() < 0.002  # a fifth of a newton
    assert error.mean() < 0.5 * (reached - seen).norm(dim=-1).mean()


def test_the_limits_grow_over_three_quarters_of_the_train_phase_and_are_full_for_students():
    whole = recipe("g1_tracking", "num_envs=2")
    compliance = assemble(whole, "train").components[SLOT]
    for progress, share in ((0.0, 0.0), (0.375, 0.5), (0.75, 1.0), (0.9, 1.0)):
        compliance.set_progress(progress)
        torch.testing.assert_close(compliance.limits.flatten(), share * torch.tensor([20.0, 10.0]))
    student = assemble(recipe("g1_tracking_adapt", "num_envs=2"), "adapt").components[SLOT]
    student.set_progress(0.0)
    assert student.limits.flatten().tolist() == [20.0, 10.0]


def test_without_compliance_there_are_no_forces_and_the_goal_is_the_motion():
    env = task("g1_tracking_quick", "num_envs=4").env
    assert len(env.backend.wrench) == 0
    reference = env.scene.reference
    assert env.command.change is None
    assert torch.equal(reference.joint_pos, reference.future.joint_pos[:, 0])
    assert env.scene.extras == {}


def test_a_compliance_that_never_acts_changes_no_number():
    never = task("g1_tracking_teacher", "num_envs=6", f"{SLOT}.probability=0.0", "max_episode_steps=7")
    off = task("g1_tracking_teacher", "num_envs=6", f"{SLOT}.enabled=false", "max_episode_steps=7")
    for one, two in zip(stepped(never, 12), stepped(off, 12), strict=True):
        assert torch.equal(one.reward, two.reward)
        for group in ("policy", "priv", "critic_priv"):
            assert torch.equal(one.observations[group], two.observations[group])


def test_a_restored_environment_continues_exactly_as_before():
    recipe_of = ("g1_tracking_teacher", "num_envs=8", "max_episode_steps=7", f"{SLOT}.interval=5", *ALWAYS)
    assembly = task(*recipe_of)
    stepped(assembly, 6)
    saved = copy.deepcopy(env_state(assembly))
    first = stepped(assembly, 12, seed=1)
    other = task(*recipe_of)
    load_env_state(other, saved)
    for one, two in zip(first, stepped(other, 12, seed=1), strict=True):
        assert torch.equal(one.reward, two.reward)
        for group in ("policy", "priv", "critic_priv"):
            assert torch.equal(one.observations[group], two.observations[group])
    assert torch.equal(assembly.env.backend.wrench, other.env.backend.wrench)
    assert assembly.env.backend.wrench.any()


def test_a_mirrored_simulation_with_mirrored_intervals_is_pushed_as_its_mirror_image(tmp_path):
    model = G1(symmetrise=True).model()
    clip = Procedural(motions=("reach",)).clips(model)[0]
    twin = attrs.evolve(
        clip,
        name="twin",
        root_pos=clip.root_pos * np.float32([1.0, -1.0, 1.0]),
        root_quat_wxyz=clip.root_quat_wxyz * np.float32([1.0, -1.0, 1.0, -1.0]),
        joint_pos=model.joint_mirror(torch.from_numpy(clip.joint_pos)).numpy(),
    )
    for one in (clip, twin):
        write_clip(tmp_path / f"{one.name}.npz", one)
    motions = [
        "motions.builtin.enabled=false",
        "motions.twins.use=motion_files",
        f"motions.twins.path={tmp_path}",
        "num_envs=2",
    ]
    growth = f"{SLOT}.limit_growth=0.0"
    assembly = assemble(recipe("g1_tracking_teacher", "robot.symmetrise=true", growth, *ALWAYS, *motions, *STILL))
    env, layout, compliance = assembly.env, assembly.layout, assembly.components[SLOT]
    assembly.components["command"].pin_clips(torch.tensor([0, 1]))
    env.start()
    spans, library = compliance.spans, compliance.command.library
    spans.begin.copy_(library.start - 40)  # both environments start within the interval
    spans.frames.fill_(200.0)
    spans.breaks.copy_(spans.breaks[:1].expand(2, 2).clone())
    spans.limbs.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    pose = model.default_joint_pos.clone()
    pose[compliance.limbs.joints] = compliance.bank[7]
    spans.pose[0], spans.pose[1] = pose[compliance.limbs.joints], model.joint_mirror(pose)[compliance.limbs.joints]
    compliance.strength.fill_(15.0)
    compliance.flags.copy_(compliance.flags[:1].expand(2, 3).clone())
    env.command.publish()
    bodies = model.body_mirror(
        torch.arange(len(model.body_names)), Mirror.cat([Mirror.vector(), Mirror.pseudovector()])
    )
    actions = 0.2 * torch.randn(12, layout.num_actions, generator=torch.Generator().manual_seed(3))
    for action in actions:
        step = env.step(torch.stack((action, layout.action_mirror(action))))
        wrench = env.backend.wrench.flatten(1)
        torch.testing.assert_close(wrench[1], bodies(wrench[0]), rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(step.reward[0], step.reward[1], rtol=0, atol=1e-4)
        for group, mirror in layout.mirrors.items():
            seen = step.observations[group]
            torch.testing.assert_close(seen[1], mirror(seen[0]), rtol=1e-4, atol=1e-3)
    assert env.backend.wrench.abs().max() > 1.0
    assert env.scene.robot.root_lin_vel[0, 1].abs() > 1e-3  # it did move sideways
