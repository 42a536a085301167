"""Drives a robot with a policy: one action per control step, one command per physics step, and a stop if needed."""

from __future__ import annotations

from mtrack_deploy.action import ActionDecoder
from mtrack_deploy.errors import DeployError
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.player import Player
from mtrack_deploy.policy import Policy
from mtrack_deploy.robot import Robot
from mtrack_deploy.safety import JointCommand, Safety
from mtrack_deploy.sensors import Sensors


class Controller:
    """The state of one robot under one policy. Once stopped it stays in damping until the next `start`."""

    def __init__(self, policy: Policy, player: Player) -> None:
        """Connect a policy with what it follows. Raises DeployError if policy.json contradicts itself."""
        self.policy, self.player = policy, player
        contract = policy.contract
        self.observations, self.actions = ObservationBuilder(contract), ActionDecoder(contract)
        self.safety = Safety(contract)
        self._joints = len(contract.robot.joints)
        self.stopped = ""
        """Why the robot was stopped; empty while it moves."""

    def start(self, sensors: Sensors) -> None:
        """Forget the past, and hold the present pose until the first action takes effect."""
        sensors = sensors.checked(self._joints)
        self._window = self.player.window()
        self.observations.reset()
        self.actions.reset(sensors.joint_pos, self._window)
        self.safety.reset(sensors.joint_pos)
        self.stopped = ""

    def step(self, sensors: Sensors) -> None:
        """Observe, ask the policy, and go to the next frame. Bad readings stop the robot."""
        if self.stopped:
            return
        window = self.player.window()
        try:
            observation = self.observations.observe(sensors.checked(self._joints), window)
        except DeployError as error:
            self.stopped = str(error)
            return
        action = self.policy(observation)
        self.observations.add_action(self.actions.apply(action, window))
        self._window = window
        self.player.advance()

    def command(self, sensors: Sensors) -> JointCommand:
        """Return the command of the next physics step."""
        if not self.stopped:
            target = self.actions.target()
            self.stopped = self.safety.problem(target, sensors, self._window)
            if not self.stopped:
                return self.safety.limit(target, sensors)
        return self.safety.damped(sensors)

    def run(self, robot: Robot, steps: int) -> None:
        """Drive a robot for some control steps; it goes on in damping if it has to stop."""
        timing = self.policy.contract.timing
        for _ in range(steps):
            sensors = robot.read()
            self.step(sensors)
            for substep in range(timing.decimation):
                if substep:
                    sensors = robot.read()
                robot.write(self.command(sensors))
                robot.wait(timing.physics_dt)
