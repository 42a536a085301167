"""Drives a robot with a policy: one action per control step, one command per physics step, and a stop if needed."""

from __future__ import annotations

import numpy as np

from mtrack_deploy.action import ActionDecoder
from mtrack_deploy.errors import DeployError
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.player import Player
from mtrack_deploy.policy import Policy
from mtrack_deploy.robot import Robot
from mtrack_deploy.rotations import Array
from mtrack_deploy.safety import JointCommand, Safety
from mtrack_deploy.sensors import Sensors, Window


class Controller:
    """The state of one robot under one policy. Once stopped, it stays in damping until the next `start`.

    `step` and `command` never raise: whatever goes wrong, also in a policy or a player, stops the robot.
    """

    def __init__(self, policy: Policy, player: Player) -> None:
        """Connect a policy with what it follows. Raises DeployError if policy.json contradicts itself."""
        self.policy, self.player = policy, player
        contract = policy.contract
        self.observations, self.actions = ObservationBuilder(contract), ActionDecoder(contract)
        self.safety = Safety(contract)
        self.stopped = "it has not been started"
        """Why the robot is in damping; empty while it follows the policy."""
        self._window: Window | None = None

    def start(self, sensors: Sensors) -> None:
        """Forget the past, and hold the present pose until the first action takes effect.

        Raises DeployError if a reading is unusable, or if a joint is far from where the motion starts.
        """
        self.stopped = "it could not be started"
        sensors = sensors.checked(len(self.policy.contract.robot.joints))
        window = self.player.window()
        self._require_near(sensors.joint_pos, window)
        self.observations.reset()
        self.actions.reset(sensors.joint_pos, window)
        self.safety.reset(sensors.joint_pos)
        self._window, self.stopped = None, ""

    def step(self, sensors: Sensors) -> None:
        """Observe, ask the policy, and go to the next frame."""
        if self.stopped:
            return
        try:
            self._step(sensors)
        except Exception as error:
            self.stopped = _reason(error)

    def command(self, sensors: Sensors) -> JointCommand:
        """Return the command of the next physics step; damping if the robot is stopped."""
        if not self.stopped:
            try:
                command = self._command(sensors)
            except Exception as error:
                self.stopped = _reason(error)
            else:
                return command
        return self.safety.damped()

    def run(self, robot: Robot, steps: int) -> None:
        """Drive a robot for some control steps; it stays in damping if it has to stop.

        If anything raises, the robot's own methods too, it gets a damping command before the exception goes on.
        """
        timing = self.policy.contract.timing
        try:
            for _ in range(steps):
                sensors = robot.read()
                self.step(sensors)
                for substep in range(timing.decimation):
                    if substep:
                        sensors = robot.read()
                    robot.write(self.command(sensors))
                    robot.wait(timing.physics_dt)
        except BaseException as error:
            self.stopped = _reason(error)
            robot.write(self.safety.damped())
            raise

    def _step(self, sensors: Sensors) -> None:
        window = self.player.window()
        observation = self.observations.observe(sensors.checked(len(self.policy.contract.robot.joints)), window)
        action = self.policy(observation)
        if not np.isfinite(action).all():
            raise DeployError("the policy's action is not finite")
        self.observations.add_action(self.actions.apply(action, window))
        self._window = window
        self.player.advance()

    def _command(self, sensors: Sensors) -> JointCommand:
        if self._window is None:
            raise DeployError("there has been no step since the start")
        sensors = sensors.checked(len(self.policy.contract.robot.joints))
        self.safety.require_upright(sensors, self._window)
        return self.safety.limit(self.actions.target(), sensors)

    def _require_near(self, joint_pos: Array, window: Window) -> None:
        """Raise DeployError if a joint is farther from the first frame than a policy can start from."""
        contract = self.policy.contract
        away = np.abs(joint_pos - window.joint_pos[0])
        worst = int(away.argmax())
        if away[worst] > contract.safety.start_distance_rad:
            raise DeployError(
                f"joint '{contract.robot.joints[worst].name}' is {away[worst]:.2f} rad from the first frame of the "
                f"motion; move the robot there first, to within {contract.safety.start_distance_rad} rad"
            )


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
