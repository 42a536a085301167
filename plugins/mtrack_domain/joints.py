"""Randomizations of joints and motors: gains, strength, friction, damping, calibration. Drawn at each reset."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, component, param, scratch, state
from mtrack_domain.draws import Range, assign, ordered, ordered_non_negative, ordered_positive, uniform


@component
class MotorGains:
    """Scales stiffness, damping and rotor inertia of each joint's motor; at each reset."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints: names, sets or patterns."""
    stiffness: Range = param(default=(0.8, 1.2), validator=ordered_positive)
    """Range of the factor on the position gain."""
    damping: Range = param(default=(0.8, 1.2), validator=ordered_positive)
    """Range of the factor on the velocity gain."""
    armature: Range = param(default=(0.75, 1.25), validator=ordered_positive)
    """Range of the factor on the rotor inertia."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    motors: Tensor = scratch()
    dofs: Tensor = scratch()
    gain: Tensor = scratch()
    """[k] compiled position gains."""
    bias: Tensor = scratch()
    """[k, 2] compiled -position gain and -velocity gain."""
    inertia: Tensor = scratch()
    """[k] compiled rotor inertias."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request motor parameters per environment."""
        return Requirements(model_fields=("actuator_gainprm", "actuator_biasprm", "dof_armature"))

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and keep compiled values. Raises NameProblem."""
        self.scene, backend = scene, scene.backend
        names = _names(scene.model, self.joints)
        self.motors, self.dofs = backend.model_ids("actuator", names), backend.model_ids("dof", names)
        self.gain = backend.nominal("actuator_gainprm")[self.motors, 0]
        self.bias = backend.nominal("actuator_biasprm")[self.motors, 1:3]
        self.inertia = backend.nominal("dof_armature")[self.dofs]

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        backend, shape = self.scene.backend, (len(env_ids), len(self.motors))
        stiffness = uniform(self.rng, shape, self.stiffness).to(self.gain)
        damping = uniform(self.rng, shape, self.damping).to(self.gain)
        armature = uniform(self.rng, shape, self.armature).to(self.gain)
        assign(backend.field("actuator_gainprm"), env_ids, self.motors, self.gain * stiffness, entry=0)
        assign(backend.field("actuator_biasprm"), env_ids, self.motors, self.bias[:, 0] * stiffness, entry=1)
        assign(backend.field("actuator_biasprm"), env_ids, self.motors, self.bias[:, 1] * damping, entry=2)
        # no `update_constants`: it would change the softness of foot contacts by 3 %, and cost 0.2 ms per env
        assign(backend.field("dof_armature"), env_ids, self.dofs, self.inertia * armature)


@component
class MotorStrength:
    """Scales the effort limit of each joint; at each reset."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints: names, sets or patterns."""
    factor: Range = param(default=(0.9, 1.1), validator=ordered_positive)
    """Range of the factor."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    motors: Tensor = scratch()
    limits: Tensor = scratch()
    """[k, 2] compiled limits, N m."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request effort limits per environment."""
        return Requirements(model_fields=("actuator_forcerange",))

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and keep compiled values. Raises NameProblem."""
        self.scene = scene
        self.motors = scene.backend.model_ids("actuator", _names(scene.model, self.joints))
        self.limits = scene.backend.nominal("actuator_forcerange")[self.motors]

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        factor = uniform(self.rng, (len(env_ids), len(self.motors), 1), self.factor).to(self.limits)
        assign(self.scene.backend.field("actuator_forcerange"), env_ids, self.motors, self.limits * factor)


@component
class JointFriction:
    """Adds dry friction to each joint, proportional to its effort limit; at each reset."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints: names, sets or patterns."""
    share: Range = param(default=(0.0, 0.02), validator=ordered_non_negative)
    """Range of the friction added to the model's own [effort limit of the joint]."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    dofs: Tensor = scratch()
    friction: Tensor = scratch()
    """[k] compiled friction, N m."""
    effort: Tensor = scratch()
    """[k] effort limit, N m."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request joint friction per environment."""
        return Requirements(model_fields=("dof_frictionloss",))

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and keep compiled values. Raises NameProblem."""
        self.scene, model = scene, scene.model
        self.dofs = scene.backend.model_ids("dof", _names(model, self.joints))
        self.friction = scene.backend.nominal("dof_frictionloss")[self.dofs]
        self.effort = model.effort_limit[model.joints(self.joints)].to(self.friction)

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        share = uniform(self.rng, (len(env_ids), len(self.dofs)), self.share).to(self.friction)
        assign(self.scene.backend.field("dof_frictionloss"), env_ids, self.dofs, self.friction + share * self.effort)


@component
class JointDamping:
    """Adds viscous damping to each joint; at each reset."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints: names, sets or patterns."""
    damping: Range = param(default=(0.0, 0.05), validator=ordered_non_negative)
    """Range of the damping added to the model's own [N m s/rad]."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    dofs: Tensor = scratch()
    nominal: Tensor = scratch()
    """[k] compiled damping, N m s/rad."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Request joint damping per environment."""
        return Requirements(model_fields=("dof_damping",))

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and keep compiled values. Raises NameProblem."""
        self.scene = scene
        self.dofs = scene.backend.model_ids("dof", _names(scene.model, self.joints))
        self.nominal = scene.backend.nominal("dof_damping")[self.dofs]

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        damping = uniform(self.rng, (len(env_ids), len(self.dofs)), self.damping).to(self.nominal)
        assign(self.scene.backend.field("dof_damping"), env_ids, self.dofs, self.nominal + damping)


@component
class JointOffset:
    """Adds a calibration error to each joint's targets and encoder readings; at each reset."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints: names, sets or patterns."""
    offset: Range = param(default=(-0.01, 0.01), validator=ordered)
    """Range of the error [rad]."""
    rng: torch.Generator = state()
    drawn: Tensor = state()
    """[N, J] rad; the scene's own tensor, so that a resumed run restores its calibration errors."""
    columns: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.drawn = scene.robot.joint_offset
        self.columns = scene.model.joints(self.joints).to(scene.device)

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        assign(self.drawn, env_ids, self.columns, uniform(self.rng, (len(env_ids), len(self.columns)), self.offset))


def _names(model: RobotModel, joints: tuple[str, ...]) -> list[str]:
    """Return the names of joints. Raises NameProblem."""
    return [model.joint_names[i] for i in model.joints(joints).tolist()]
