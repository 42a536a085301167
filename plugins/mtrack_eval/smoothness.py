"""Metrics of motion quality: velocity and acceleration errors, foot contacts, action changes, torques, power.

Every metric is a mean over the frames before the first failure.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from mtrack import ContactSensor, Requirements, RobotModel, Scene, component, param, scratch
from mtrack_eval.frame_mean import FrameMean

_MM = 1e3


_UNITS = {(1, False): "m/s", (2, False): "m/s^2", (1, True): "mm/frame", (2, True): "mm/frame^2"}


@component
class KeypointDifferenceError(FrameMean):
    """Mean error of the keypoints' world velocities or accelerations, by central differences of positions."""

    order: Literal[1, 2] = param(default=1)
    """1: velocities, 2: accelerations."""
    per_frame: bool = param(default=False)
    """Whether the unit is mm and control steps, as in some papers, instead of m and s."""
    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies: names or sets."""
    indices: Tensor = scratch()
    offsets: list[Tensor] = scratch()
    """Keypoint positions minus the reference's in the last three frames, each [N, K, 3] m."""

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The unit of its values."""
        return _UNITS[self.order, self.per_frame]

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def begin(self, scene: Scene) -> None:
        """Start a new rollout; its start frame is the first of the differences."""
        FrameMean.begin(self, scene)
        self.offsets = [self._offset(scene)]

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add the present frame of the active envs, bool [N]."""
        self.offsets = [*self.offsets[-2:], self._offset(scene)]
        if len(self.offsets) < 3:
            return
        # velocity and acceleration are linear in the positions: the error's derivative is the derivatives' error
        before, middle, after = self.offsets
        rate = (after - before) / 2 if self.order == 1 else after - 2 * middle + before
        scale = _MM if self.per_frame else scene.dt**-self.order
        self.tally(rate.norm(dim=-1).mean(-1) * scale, active)

    def _offset(self, scene: Scene) -> Tensor:
        """Return [N, K, 3] m; a copy, because the scene's tensors change in place."""
        return (scene.robot.body_pos - scene.reference.body_pos).index_select(1, self.indices)


@component
class FootContactAgreement(FrameMean):
    """Share of feet and frames in which the robot's ground contact agrees with the reference's."""

    unit: ClassVar[str] = "share"
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the contacts of the feet."""
        return Requirements(contacts=(ContactSensor("feet"),))

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        feet = [scene.model.body_names[i] for i in scene.model.bodies("feet").tolist()]
        self.columns = scene.contacts.columns(feet)

    def frame(self, scene: Scene) -> Tensor:
        """Return [N], in [0, 1]."""
        touching = scene.contacts.in_contact.index_select(1, self.columns)
        return (touching == scene.reference.contact.bool()).float().mean(-1)


@component
class ActionRate(FrameMean):
    """Mean absolute change of the raw action from one control step to the next."""

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add one step; the first step of an episode has no previous action."""
        self.tally(self.frame(scene), active & (scene.episode_step > 1))

    def frame(self, scene: Scene) -> Tensor:
        """Return [N]."""
        return (scene.action - scene.previous_actions[:, 0]).abs().mean(-1)


@component
class TorqueUse(FrameMean):
    """Mean ratio of joint torque to effort limit, at the last substep of each control step."""

    unit: ClassVar[str] = "share"
    limits: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Keep the effort limits, [J] N m."""
        self.limits = scene.model.effort_limit.to(scene.device)

    def frame(self, scene: Scene) -> Tensor:
        """Return [N], in [0, 1]."""
        return (scene.robot.joint_torque.abs() / self.limits).mean(-1)


@component
class Energy(FrameMean):
    """Mean mechanical power, the sum over joints of |torque x velocity|; comparable between clips of any length."""

    unit: ClassVar[str] = "W"

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] W."""
        return (scene.robot.joint_torque * scene.robot.joint_vel).abs().sum(-1)
