"""Third-party components can change the goal of the robot and publish named tensors for other components."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from mtrack import MtrackError, RecipeError
from mtrack.loop.assemble import assemble
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.trial.first_step import try_phases

MINE = '''
"""Components of a third party."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from mtrack import StartState
from mtrack import component, param, scratch, state
from mtrack import Mirror
from mtrack import Kinematics, Reference, Scene


@component
class Crouch:
    """Lower the goal of each episode by a random depth; the policy does not observe it."""

    depth: float = param(default=0.1)
    """Largest depth [m]."""
    rng: Generator = state()
    drawn: Tensor = state()
    """[N, 1] m."""

    def bind(self, scene: Scene) -> None:
        self.drawn = torch.zeros(scene.num_envs, 1, device=scene.device)

    def reset(self, ids: Tensor) -> None:
        drawn = torch.rand(len(ids), 1, generator=self.rng, device=self.rng.device)
        self.drawn.index_copy_(0, ids, self.depth * drawn)

    def goal(self, motion: Kinematics, started: Tensor | None) -> Kinematics:
        depth = self.drawn if started is None else self.drawn.index_select(0, started)
        down = torch.nn.functional.pad(-depth, (2, 0))
        return motion.replace(root_pos=motion.root_pos + down, body_pos=motion.body_pos + down.unsqueeze(1))


@component
class Lighthouse:
    """Keep the joints at zero, and publish the direction of a light."""

    turn: Tensor = state()
    scene: Scene = scratch()

    def bind(self, scene, robot, motions) -> None:
        self.scene, self.turn = scene, torch.zeros(scene.num_envs, 1, device=scene.device)
        self.publish()

    def reset(self, ids: Tensor, failed: Tensor) -> StartState:
        self.turn.index_fill_(0, ids, 0.0)
        self.publish()
        zero, root = self.turn.new_zeros(len(ids), 2), self.turn.new_zeros(len(ids), 3)
        upright = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(len(ids), 1)
        return StartState(root, upright, root, root, zero, zero)

    def advance(self) -> None:
        self.turn.add_(0.1)
        self.publish()

    def publish(self) -> None:
        robot = self.scene.robot
        still = robot.replace(joint_pos=torch.zeros_like(robot.joint_pos))
        values = {name: value for name, value in vars(still).items() if name != "cache"}
        future = Kinematics(**{name: value.unsqueeze(1) for name, value in values.items()})
        self.scene.reference = Reference(**values, contact=self.turn.new_zeros(len(self.turn), 0), future=future)
        self.scene.extras["light"] = torch.cat((self.turn.cos(), self.turn.sin()), dim=1)

    def finished(self) -> Tensor:
        return self.scene.episode_step >= 5


@component
class Light:
    """The direction of the light."""

    def bind(self, scene: Scene) -> None:
        scene.extra("light")

    def __call__(self, scene: Scene) -> Tensor:
        return scene.extra("light")

    def mirror(self) -> Mirror:
        return Mirror.scalar(2)
'''
QUICK = ("num_envs=6", "command.start_noise=0.0", "max_episode_steps=4")
LIGHT = ("observations.policy.light.use=light",)


@pytest.fixture(autouse=True)
def _third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE, "utf-8")
    monkeypatch.chdir(tmp_path)


def checked(name, *overrides):
    recipe = check_recipe(read_recipe(name, overrides), Registry.scan(files=["mine.py"]))
    return recipe.for_phase(next(iter(recipe.phases)))


def started(name, *overrides):
    assembly = assemble(checked(name, *overrides))
    assembly.env.start()
    return assembly


def stepped(assembly, steps):
    for _ in range(steps):
        assembly.env.step(torch.zeros(assembly.env.scene.num_envs, assembly.layout.num_actions))


CROUCH = "randomizations.crouch.use=crouch"


def test_a_randomization_changes_the_goal_but_not_the_future_frames():
    low, plain = started("g1_tracking_quick", *QUICK, CROUCH), started("g1_tracking_quick", *QUICK)
    for steps in (0, 3, 2):  # the fourth step resets every environment
        for assembly in (low, plain):
            stepped(assembly, steps)
        depth = low.components["randomizations.crouch"].drawn
        assert 0.0 < depth.min() < depth.max() <= 0.1
        goal, motion = low.env.scene.reference, plain.env.scene.reference
        torch.testing.assert_close(goal.root_pos[:, 2], motion.root_pos[:, 2] - depth[:, 0])
        torch.testing.assert_close(goal.body_pos[..., 2], motion.body_pos[..., 2] - depth)
        assert torch.equal(goal.joint_vel, motion.joint_vel)
        assert torch.equal(goal.future.body_pos, motion.future.body_pos)
        assert torch.equal(goal.contact, motion.contact)
        some = low.env.scene.select(torch.tensor([4, 1])).reference
        assert torch.equal(some.body_pos, goal.body_pos[[4, 1]])


def test_an_episode_starts_at_the_changed_goal():
    low, plain = started("g1_tracking_quick", *QUICK, CROUCH), started("g1_tracking_quick", *QUICK)
    env_ids, failed = torch.arange(6), torch.zeros(6, dtype=torch.bool)
    high = low.env.command.reset(env_ids, failed).root_pos
    assert (low.env.scene.reference.root_pos[:, 2] < plain.env.command.reset(env_ids, failed).root_pos[:, 2]).all()
    assert (high[:, 2] >= low.env.scene.reference.root_pos[:, 2]).all()  # lifted if a sole would be below the floor


def test_rewards_compare_the_robot_with_the_changed_goal():
    low, plain = started("g1_tracking_quick", *QUICK, CROUCH), started("g1_tracking_quick", *QUICK)
    for assembly in (low, plain):
        assembly.env.scene.robot.root_pos.copy_(low.env.scene.reference.root_pos)
    reward = "rewards.tracking.root_pos"
    torch.testing.assert_close(low.components[reward](low.env.scene), torch.ones(6))
    assert (plain.components[reward](plain.env.scene) < 1.0).all()


def test_an_environment_with_a_changed_goal_resumes_exactly():
    first, other = started("g1_tracking_quick", *QUICK, CROUCH), started("g1_tracking_quick", *QUICK, CROUCH)
    stepped(first, 3)
    load_env_state(other, copy.deepcopy(env_state(first)))
    for assembly in (first, other):
        stepped(assembly, 6)
    assert torch.equal(first.env.scene.reference.body_pos, other.env.scene.reference.body_pos)
    assert torch.equal(first.env.observations["critic_priv"], other.env.observations["critic_priv"])


def test_the_first_step_accepts_a_randomization_that_changes_the_goal():
    recipe = check_recipe(read_recipe("g1_tracking_quick", [*QUICK, CROUCH]), Registry.scan(files=["mine.py"]))
    try_phases(recipe, "cpu")


def test_a_command_that_cannot_change_its_goal_is_named():
    with pytest.raises(RecipeError, match=r"randomizations\.crouch") as caught:
        started("toy", CROUCH)
    assert "ToyTarget has no change_goal()" in str(caught.value)


def test_only_one_randomization_may_change_the_goal():
    with pytest.raises(RecipeError, match=r"randomizations\.crouch .*\n +it changes the goal, and so does Compl"):
        started("g1_tracking_quick", *QUICK, CROUCH, "randomizations.compliance.enabled=true")


def test_an_observation_reads_an_extra_that_a_command_publishes():
    assembly = started("toy", "command.use=lighthouse", "num_envs=3", *LIGHT)
    stepped(assembly, 2)
    light = assembly.env.observer.groups["policy"][-1].component
    expected = torch.tensor([0.2]).cos().item()
    torch.testing.assert_close(light(assembly.env.scene)[:, 0], torch.full((3,), expected))
    assert light(assembly.env.scene.select(torch.tensor([2]))).shape == (1, 2)


def test_a_missing_extra_names_the_command_the_observation_and_what_is_published():
    with pytest.raises(RecipeError, match=r"observations\.policy\.light") as caught:
        started("toy", *LIGHT)
    assert "the command ToyTarget does not publish 'light'" in str(caught.value)
    assert "published: nothing" in str(caught.value)
    scene = started("toy", "command.use=lighthouse", *LIGHT).env.scene
    with pytest.raises(MtrackError, match=r"Lighthouse does not publish 'ligth'.*published: 'light'"):
        scene.extra("ligth")
