"""A robot that contradicts itself is named with slot, component, distribution and line, not the backend."""

from __future__ import annotations

import attrs
import mujoco
import pytest
import torch

from mtrack import ComponentError, Mirror, RecipeError, RobotModel, SlotError
from mtrack.loop.assemble import assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_testing import BrokenPromise, check_robot, install

MJCF = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <body name="root"><freejoint/><geom size="0.1"/>
      <body name="arm"><joint name="{names[0]}" {joint} range="-1 1"/><geom size="0.1" contype="0"/>
        <body name="hand"><joint name="{names[1]}" range="-2 2"/>{more}<geom size="0.1"/></body>
      </body>
    </body>
  </worldbody>
  <actuator>{actuators}</actuator>
</mujoco>
"""
SERVOS = '<position joint="a" kp="20" kv="1"/><position joint="b" kp="30" kv="1"/>'


class Robot:
    """A robot of two joints whose description or numbers may be changed."""

    def __init__(self, text=MJCF, *, actuators=SERVOS, joint="", more="", names="ab", **numbers):
        self.text = text.format(actuators=actuators, joint=joint, more=more, names=names)
        self.numbers = numbers

    def spec(self):
        return mujoco.MjSpec.from_string(self.text)

    def model(self):
        facts = {
            "name": "pair",
            "joint_names": ("a", "b"),
            "body_names": ("root", "hand"),
            "sets": {},
            "default_root_pos": torch.zeros(3),
            "default_joint_pos": torch.zeros(2),
            "joint_range": torch.deg2rad(torch.tensor([[-1.0, 1.0], [-2.0, 2.0]])),
            "velocity_limit": torch.ones(2),
            "effort_limit": torch.ones(2),
            "stiffness": torch.tensor([20.0, 30.0]),
            "damping": torch.ones(2),
            "mass": 1.0,
            "joint_mirror": Mirror.of([1.0, 1.0]),
            "mirrored_name": {},
        }
        return RobotModel(**facts | self.numbers)


def built(robot):
    model = robot.model()
    return compiled(described(robot, model), model)


def test_a_robot_whose_description_matches_its_constants_is_accepted():
    assert built(Robot()).nu == 2


PAIRED = MJCF.replace('type="plane"', 'type="plane" contype="0" conaffinity="0"').replace(
    "<actuator>", '<contact><pair geom1="floor" geom2="tip"/></contact><actuator>'
)


@pytest.mark.parametrize(
    "robot",
    [
        Robot(PAIRED, more='<geom name="tip" size="0.1"/>'),
        Robot(actuators=SERVOS + '<general site="t" gainprm="7"/>', more='<site name="s"/><site name="t"/>'),
    ],
    ids=["a floor that pairs name", "an actuator on a site with the number of a joint"],
)
def test_an_unusual_but_matching_description_is_accepted(robot):
    assert built(robot).nu >= 2


WITHOUT_FLOOR = MJCF.replace('<geom name="floor" type="plane" size="0 0 1"/>', "")
FAULTS = {
    "torque motors": (Robot(actuators='<motor joint="a"/><motor joint="b"/>'), "'a', 'b' is not a position servo"),
    "one velocity servo": (Robot(actuators=SERVOS.replace('position joint="b" kp="30"', 'velocity joint="b"')), "'b'"),
    "an integrator": (Robot(actuators=SERVOS.replace('position joint="a"', 'intvelocity joint="a"')), "'a' is not"),
    "a geared servo": (Robot(actuators=SERVOS.replace('joint="a"', 'joint="a" gear="5"')), "'a' is not a position"),
    "no actuator": (Robot(actuators='<position joint="a" kp="20"/>'), "no actuator on 'b'"),
    "two actuators": (Robot(actuators=SERVOS + '<motor joint="a"/>'), "2 actuators on 'a'"),
    "an actuator on a tendon only": (Robot(actuators='<position joint="a" kp="20"/>' '<position site="s" kp="3"/>',
        more='<site name="s"/>'), "no actuator on 'b'"),
    "a slide": (Robot(joint='type="slide"'), "'a' is not a hinge"),
    "no floor": (Robot(WITHOUT_FLOOR), "no floor"),
    "a floor that touches nothing": (Robot(MJCF.replace('type="plane"', 'type="plane" contype="4" conaffinity="0"')),
        "no floor"),
    "another name": (Robot(names=("a_joint", "b")), "no joint 'a', which"),
    "another body": (Robot(body_names=("root", "hands")), "no body 'hands'.*did you mean 'hand'"),
    "numbers of another order": (Robot(stiffness=torch.tensor([30.0, 20.0])), "stiffness of 'a' is 30 .* but 20"),
    "a range beyond the stops": (Robot(joint_range=torch.tensor([[-1.0, 1.0]] * 2)), "'a' ranges from -1 to 1 rad"),
    "a link without mass": (Robot(MJCF.replace('<geom size="0.1"/></body>', "</body>")), "does not compile: .*mass"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_description_that_does_not_match_is_rejected(fault):
    robot, words = FAULTS[fault]
    with pytest.raises(SlotError, match=words):
        built(robot)


@pytest.mark.parametrize("returned", [Robot().spec().compile(), None, "robot.xml"])
def test_a_description_that_is_not_a_spec_is_rejected(returned):
    robot = Robot()
    robot.spec = lambda: returned
    with pytest.raises(SlotError, match=rf"returned {type(returned).__name__}; return a new mujoco\.MjSpec"):
        built(robot)


NUMBERS = {
    "effort_limit": (torch.ones(3), r"float32 of shape \(3,\)"),
    "joint_range": (torch.ones(2), r"expected a float32 tensor \(2, 2\)"),
    "damping": (torch.ones(2, dtype=torch.float64), "float64"),
    "stiffness": ([1.0, 2.0], "is a list"),
    "default_joint_pos": (torch.tensor([0.0, torch.nan]), "has a NaN"),
    "joint_names": (("a", "a"), "'a' more than once"),
    "body_names": ((), "empty"),
    "joint_mirror": (Mirror.of([1.0]), "1 wide, but there are 2"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_constants_of_a_robot_that_do_not_match_its_names_are_rejected(name):
    value, words = NUMBERS[name]
    with pytest.raises(SlotError, match=rf"^robot: {name} of its model\(\).*{words}"):
        attrs.evolve(Robot().model(), **{name: value})


BROKEN = '''
from mtrack import component
from mtrack_g1.robot import G1

@component
class Motors(G1):
    """A G1 with torque motors."""

    def spec(self):
        spec = G1.spec(self)
        for actuator in spec.actuators:
            actuator.set_to_motor()
        return spec

@component
class NoFloor(G1):
    """A G1 in the air."""

    def spec(self):
        spec = G1.spec(self)
        spec.delete(spec.geom("floor"))
        return spec

@component
class Raises(G1):
    """A G1 without a description."""

    def spec(self):
        return {}["meshes"]

    def model(self):
        return G1().model()
'''


@pytest.fixture
def broken(site):
    parts = {"motors": "acme_broken:Motors", "no_floor": "acme_broken:NoFloor", "raises": "acme_broken:Raises"}
    install(site, "acme", {"mtrack.robots": parts}, {"acme_broken.py": BROKEN}, "2.1")


def assembled(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    recipe = check_recipe(read_recipe(str(path)), Registry.scan())
    return assemble(recipe.for_phase("train"), num_envs=2)


@pytest.mark.parametrize(
    ("use", "words"),
    [("motors", "is not a position servo"), ("no_floor", "has no floor"), ("raises", "raised KeyError: 'meshes'")],
)
def test_the_robot_is_blamed_with_component_distribution_and_line(broken, tmp_path, use, words):
    with pytest.raises(ComponentError) as caught:
        assembled(tmp_path, f'extends = "g1_tracking_quick.toml"\n\n[robot]\nuse = "{use}"\n')
    assert str(caught.value).startswith(f"robot '{use}' (acme 2.1) at robot ({tmp_path / 'mine.toml'}:3): ")
    assert words in str(caught.value)


def test_the_conformance_kit_rejects_what_assembly_rejects(broken):
    import acme_broken

    with pytest.raises(BrokenPromise, match=r"no floor.*\n  fix: add one to the worldbody"):
        check_robot(acme_broken.NoFloor)
    with pytest.raises(BrokenPromise, match=r"'left_hip_pitch_joint'.* not a position servo\n  fix: .*set_to_position"):
        check_robot(acme_broken.Motors)


SLIDING_HAND = '''
import mujoco
from mtrack import component
from mtrack_g1.robot import G1

@component
class Wobbly(G1):
    """A G1 with two hinges in a hip, which are allowed, and a hand that slides."""

    def spec(self):
        spec = G1.spec(self)
        spec.body("left_hip_pitch_link").add_joint(name="wobble", axis=(0, 0, 1))
        hand = spec.body("right_hand_mimic")
        hand.add_joint(name="reach", type=mujoco.mjtJoint.mjJNT_SLIDE)
        hand.explicitinertial, hand.mass, hand.inertia = True, 0.1, (1e-4, 1e-4, 1e-4)
        return spec
'''


def test_bodies_that_motion_tracking_cannot_use_are_listed_at_the_line_of_the_command(site, tmp_path):
    install(site, "acme", {"mtrack.robots": {"wobbly": "acme_wobbly:Wobbly"}}, {"acme_wobbly.py": SLIDING_HAND})
    import acme_wobbly

    listed = "'right_hand_mimic' has a joint that is not a hinge (reach)"
    assert listed in str(check_robot(acme_wobbly.Wobbly))
    with pytest.raises(RecipeError) as caught:
        text = 'extends = "g1_tracking_quick.toml"\n[robot]\nuse = "wobbly"\n\n[command]\nsampling = "failure_aware"\n'
        assembled(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("command", 5)
    assert listed in problem.message
    assert "left_hip_pitch_link" not in problem.message
