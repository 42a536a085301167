"""Randomizations of bodies: mass, centre of mass, soles. Each environment draws them once, at startup."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import MtrackError, Requirements, RobotModel, Scene, component, param, scratch, state
from mtrack_domain.draws import Range, assign, log_uniform, ordered, ordered_positive, uniform


@component
class BodyCom:
    """Shifts the centres of mass of bodies, independently along each axis; at startup."""

    bodies: tuple[str, ...] = param(default=("root", "torso"))
    """Bodies: names or sets."""
    shift: Range = param(default=(-0.02, 0.02), validator=ordered)
    """Range of the shift along each axis [m]."""
    axes: tuple[float, float, float] = param(default=(1.0, 1.0, 1.0))
    """Factors on the shift along x, y and z."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    elements: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request centres of mass per environment."""
        return Requirements(model_fields=("body_ipos",))

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.scene = scene
        self.elements = scene.backend.model_ids("body", scene.model.expand(self.bodies))

    def startup(self) -> None:
        """Draw for every environment."""
        backend, everything = self.scene.backend, self.scene.env_ids
        nominal = backend.nominal("body_ipos")[self.elements]
        shift = uniform(self.rng, (len(everything), *nominal.shape), self.shift).to(nominal)
        shift *= torch.tensor(self.axes).to(shift)
        assign(backend.field("body_ipos"), everything, self.elements, nominal + shift)
        backend.update_constants(everything)


@component
class BodyMass:
    """Scales the masses of bodies, and their inertia with them; at startup."""

    bodies: tuple[str, ...] = param(default=("root", "torso"))
    """Bodies: names or sets."""
    factor: Range = param(default=(0.9, 1.1), validator=ordered_positive)
    """Range of the factor, one draw per body."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    elements: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request masses and inertias per environment."""
        return Requirements(model_fields=("body_mass", "body_inertia"))

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.scene = scene
        self.elements = scene.backend.model_ids("body", scene.model.expand(self.bodies))

    def startup(self) -> None:
        """Draw for every environment."""
        factor = uniform(self.rng, (self.scene.num_envs, len(self.elements)), self.factor)
        _scale_mass(self.scene, self.elements, factor)


@component
class BaseMass:
    """Adds a load to a body, distributed like the body's own mass; at startup."""

    bodies: tuple[str, ...] = param(default=("root",))
    """Bodies: names or sets."""
    load: Range = param(default=(-1.0, 3.0), validator=ordered)
    """Range of the load, one draw per body [kg]; every body must keep a positive mass."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    elements: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request masses and inertias per environment."""
        return Requirements(model_fields=("body_mass", "body_inertia"))

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem; MtrackError if a body would have no mass."""
        self.scene = scene
        self.elements = scene.backend.model_ids("body", scene.model.expand(self.bodies))
        lightest = float(scene.backend.nominal("body_mass")[self.elements].min())
        if lightest + self.load[0] <= 0.0:
            raise MtrackError(f"base_mass: load {self.load[0]} kg leaves no mass of a body of {lightest:.3g} kg")

    def startup(self) -> None:
        """Draw for every environment."""
        mass = self.scene.backend.field("body_mass")[:, self.elements]
        load = uniform(self.rng, mass.shape, self.load).to(mass)
        _scale_mass(self.scene, self.elements, 1.0 + load / mass)


@component
class FootMaterial:
    """Friction and softness of the soles, one material for all feet of an environment; at startup."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies: names or sets; all their colliding geoms."""
    friction: Range = param(default=(0.5, 1.5), validator=ordered_positive)
    """Range of the sliding friction coefficient."""
    time_constant: Range = param(default=(0.015, 0.03), validator=ordered_positive)
    """Range of the time constant of contacts [s]."""
    damping_ratio: Range = param(default=(0.5, 2.0), validator=ordered_positive)
    """Range of the damping ratio of contacts, drawn log-uniformly."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    elements: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request contact parameters per environment."""
        return Requirements(model_fields=("geom_friction", "geom_solref"))

    def bind(self, scene: Scene) -> None:
        """Resolve the feet's geoms. Raises NameProblem."""
        self.scene = scene
        self.elements = scene.backend.model_ids("geom", scene.model.expand(self.feet))

    def startup(self) -> None:
        """Draw for every environment."""
        backend, everything, shape = self.scene.backend, self.scene.env_ids, (self.scene.num_envs, 1)
        friction = uniform(self.rng, shape, self.friction)
        time_constant = uniform(self.rng, shape, self.time_constant)
        damping_ratio = log_uniform(self.rng, shape, self.damping_ratio)
        assign(backend.field("geom_friction"), everything, self.elements, friction, entry=0)
        assign(backend.field("geom_solref"), everything, self.elements, time_constant, entry=0)
        assign(backend.field("geom_solref"), everything, self.elements, damping_ratio, entry=1)


def _scale_mass(scene: Scene, elements: Tensor, factor: Tensor) -> None:
    """Multiply the present masses by [N, k], so that several randomizations of one body combine."""
    backend = scene.backend
    mass, inertia = backend.field("body_mass"), backend.field("body_inertia")
    factor = factor.to(mass)
    mass[:, elements] *= factor
    inertia[:, elements] *= factor.unsqueeze(-1).to(inertia)
    backend.update_constants(scene.env_ids)
