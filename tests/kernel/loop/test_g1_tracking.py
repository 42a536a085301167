"""The whole G1 tracking task of the shipped recipes: widths, mirror, randomness, resets, threads, resume."""

from __future__ import annotations

import copy
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

from mtrack.loop.assemble import assemble
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack_g1.robot import G1
from mtrack_motion.file import write_clip
from mtrack_procedural.source import Procedural
from mtrack_testing import small_recipe as recipe
from mtrack_testing import small_task as task

QUIET = (
    "command.start_noise=0.0",
    "action.max_delay=0",
    *(f"observations.policy.{slot}.noise=0.0" for slot in
      ("root_rot", "joint_difference", "root_ang_vel", "projected_gravity", "joint_pos")),
)  # fmt: skip


@pytest.fixture(scope="module")
def teacher():
    return task("g1_tracking_teacher", "num_envs=6")


def step_some(assembly, steps: int, seed: int = 0) -> list:
    shape = (steps, assembly.env.scene.num_envs, assembly.layout.num_actions)
    actions = 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return [assembly.env.step(action) for action in actions]


def test_observation_groups_have_the_widths_of_the_reference_task(teacher):
    assert dict(teacher.layout.observations) == {"policy": 623, "priv": 1938, "critic_priv": 3}
    assert teacher.layout.num_actions == 29


def test_observations_and_rewards_are_finite(teacher):
    for step in step_some(teacher, 20):
        assert torch.isfinite(step.reward).all()
        assert all(torch.isfinite(step.observations[group]).all() for group in ("policy", "priv", "critic_priv"))


def test_environments_draw_different_worlds_and_a_reset_draws_only_its_own():
    assembly = task("g1_tracking_teacher", "num_envs=4")
    backend = assembly.env.backend
    for name in ("body_mass", "body_ipos", "geom_friction", "actuator_gainprm", "dof_armature"):
        field = backend.field(name).flatten(1)
        assert not torch.equal(field[0], field[1]), name
    before = {name: backend.field(name).clone() for name in ("body_mass", "actuator_gainprm")}
    assembly.env.restart(torch.tensor([2]))
    for name, value in before.items():
        assert torch.equal(backend.field(name)[[0, 1, 3]], value[[0, 1, 3]])
    assert not torch.equal(backend.field("actuator_gainprm")[2], before["actuator_gainprm"][2])
    assert torch.equal(backend.field("body_mass")[2], before["body_mass"][2])  # drawn only once, at startup


def test_the_first_observation_after_a_reset_is_computed_from_the_new_state():
    assembly = task("g1_tracking_teacher", "num_envs=5", *QUIET)
    env = assembly.env
    step_some(assembly, 3)
    env.scene.episode_step[2] = env.max_episode_steps  # ends with the next step
    step = step_some(assembly, 1)[0]
    assert step.truncated[2]
    env_ids = torch.tensor([2])
    env.backend.refresh()  # clear everything cached
    fresh = env.scene.select(env_ids)
    for group, terms in env.observer.groups.items():
        values = [term.component(fresh).repeat(1, max(1, len(term.history))) for term in terms]
        torch.testing.assert_close(step.observations[group][env_ids], torch.cat(values, dim=-1), rtol=0, atol=2e-5)


def test_an_environment_that_starts_on_the_reference_earns_the_full_tracking_rewards():
    assembly = task("g1_tracking_teacher", "num_envs=8", *QUIET)
    for term in assembly.env.rewards:
        if term.group == "tracking":
            assert term.component(assembly.env.scene).min() > 0.97, term.path


def test_the_number_of_physics_threads_changes_no_numbers():
    one, two = (task("g1_tracking_quick", "num_envs=6", f"backend.threads={n}", "backend.use=mujoco") for n in (1, 2))
    for a, b in zip(step_some(one, 10), step_some(two, 10), strict=True):
        assert torch.equal(a.reward, b.reward)
        assert torch.equal(a.observations["priv"], b.observations["priv"])


def test_a_restored_environment_repeats_the_same_steps():
    assembly = task("g1_tracking_teacher", "num_envs=6", "max_episode_steps=7")
    step_some(assembly, 5)
    saved = copy.deepcopy(env_state(assembly))
    first = step_some(assembly, 10, seed=1)
    other = task("g1_tracking_teacher", "num_envs=6", "max_episode_steps=7", "seed=0")
    load_env_state(other, saved)
    for one, two in zip(first, step_some(other, 10, seed=1), strict=True):
        assert torch.equal(one.reward, two.reward)
        assert torch.equal(one.terminated, two.terminated)
        for group in ("policy", "priv", "critic_priv"):
            assert torch.equal(one.observations[group], two.observations[group])


RANDOM = ("body_com", "body_mass", "foot_material", "motor_gains", "joint_offset")


def write_twins(folder: Path) -> None:
    """Write a clip of the squat and its mirror image."""
    model = G1(symmetrise=True).model()
    clip = Procedural(motions=("squat",)).clips(model)[0]
    assert clip.joint_names == model.joint_names
    turn = np.float32([1.0, -1.0, 1.0, -1.0])  # a mirrored rotation: pitch keeps its sign, roll and yaw change
    twin = attrs.evolve(
        clip,
        name="twin",
        root_pos=clip.root_pos * np.float32([1.0, -1.0, 1.0]),
        root_quat_wxyz=clip.root_quat_wxyz * turn,
        joint_pos=model.joint_mirror(torch.from_numpy(clip.joint_pos)).numpy(),
    )
    for one in (clip, twin):
        write_clip(folder / f"{one.name}.npz", one)


def test_a_mirrored_simulation_gives_mirrored_observations_and_equal_rewards(tmp_path):
    """Compare step by step on the symmetrised robot, with the feet on the floor, so that forces count too."""
    write_twins(tmp_path)
    still = [f"randomizations.{name}.enabled=false" for name in RANDOM]
    twins = [
        "motions.builtin.enabled=false",
        "motions.twins.use=motion_files",
        f"motions.twins.path={tmp_path}",
        "num_envs=2",
    ]
    assembly = assemble(recipe("g1_tracking_teacher", "robot.symmetrise=true", *twins, *still, *QUIET))
    env, layout = assembly.env, assembly.layout
    assembly.components["command"].pin_clips(torch.tensor([0, 1]))
    env.start()
    actions = 0.2 * torch.randn(12, layout.num_actions, generator=torch.Generator().manual_seed(3))
    for action in actions:
        step = env.step(torch.stack((action, layout.action_mirror(action))))
        torch.testing.assert_close(step.reward[0], step.reward[1], rtol=0, atol=1e-4)
        for group, mirror in layout.mirrors.items():
            seen = step.observations[group]
            torch.testing.assert_close(
                seen[1], mirror(seen[0]), rtol=1e-4, atol=1e-3, msg=lambda m, g=group: f"{g}: {m}"
            )
    assert env.scene.robot.root_lin_vel[0, 1].abs() > 1e-3  # it moved sideways
