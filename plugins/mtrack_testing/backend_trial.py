"""Runs a backend from known states with known targets."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from mtrack import ContactSensor, PhysicsPlan, StartState
from mtrack_testing.promises import ComponentUnderTest
from mtrack_testing.scenes import feet_of
from mtrack_testing.watch import no_global_draws, own_tensors
from mtrack_testing.worlds import World

NUM_ENVS = 5
DECLARED_FIELD = "opt.gravity"
SUBSTEPS = 4
_STEPS = 6


class BackendTrial:
    """A built backend with its start states and targets; environment i is case `cases[i]`."""

    def __init__(
        self,
        subject: ComponentUnderTest,
        world: World,
        cases: tuple[int, ...] = tuple(range(NUM_ENVS)),
        *,
        fields: tuple[str, ...] = (DECLARED_FIELD,),
        forces: bool = False,
    ) -> None:
        """Build on the device of the subject. Raises MtrackError if the backend cannot simulate this robot."""
        self.world, self.model, self.cases = world, world.model, list(cases)
        self.backend = subject.make()
        is_physical = world.compiled is not None
        plan = PhysicsPlan(
            num_envs=len(cases),
            physics_dt=0.005,
            device=subject.device,
            contacts=tuple(ContactSensor(foot) for foot in feet_of(self.model)) if is_physical else (),
            model_fields=fields if is_physical else (),
            forces=forces,
        )
        with no_global_draws(subject), subject.guard("build"):
            self.backend.build(world.robot, plan)
            self.backend.refresh()
        self.device = self.backend.state.root_pos.device
        self.everything = self.envs(range(len(cases)))

    def envs(self, numbers: Iterable[int]) -> Tensor:
        """Return the env_ids of environments, int64, on the device of the backend."""
        return torch.tensor(list(numbers), device=self.device)

    def start(self, height: float = 0.0) -> StartState:
        """Return the start of every environment, away from the default pose; the root too, if it can move."""
        draw, cases = torch.Generator().manual_seed(0), 3 * NUM_ENVS
        joints, size = len(self.model.joint_names), 0.1 if self.world.compiled is not None else 0.0
        root_pos = self.model.default_root_pos + torch.tensor([0.0, 0.0, height]) + 0.0 * torch.zeros(cases, 3)
        turn = torch.tensor([1.0, 0.0, 0.0, 0.0]) + size * torch.randn(cases, 4, generator=draw)
        whole = StartState(
            root_pos=root_pos + size * torch.rand(cases, 3, generator=draw),
            root_quat_wxyz=torch.nn.functional.normalize(turn, dim=-1),
            root_lin_vel=size * torch.randn(cases, 3, generator=draw),
            root_ang_vel=size * torch.randn(cases, 3, generator=draw),
            joint_pos=self.model.default_joint_pos + 0.1 * torch.randn(cases, joints, generator=draw),
            joint_vel=0.1 * torch.randn(cases, joints, generator=draw),
        )
        return start_of(whole, self.cases, self.device)

    def put(self, env_ids: Tensor, height: float = 0.0) -> None:
        """Put environments into their start state, as a reset does."""
        start = start_of(self.start(height), env_ids.tolist())
        self.backend.set_state(env_ids, start)
        self.backend.forward(env_ids, start.joint_pos)
        self.backend.refresh(env_ids)

    def run(self, first: int = 0, last: int = _STEPS) -> dict[str, Tensor]:
        """Make control steps and return state and contacts after them."""
        joints = len(self.model.joint_names)
        for step in range(first, last):
            draw = torch.Generator().manual_seed(step)
            noise = torch.randn(3 * NUM_ENVS, joints, generator=draw)[self.cases]
            target = (self.model.default_joint_pos + 0.1 * noise).to(self.device)
            for substep in range(SUBSTEPS):
                self.backend.step(target, substep == SUBSTEPS - 1)
        self.backend.refresh()
        return self.seen()

    def stand(self, steps: int) -> None:
        """Make control steps with the default pose as target."""
        target = self.model.default_joint_pos.to(self.device).expand(len(self.cases), -1)
        for substep in range(steps * SUBSTEPS):
            self.backend.step(target, (substep + 1) % SUBSTEPS == 0)
        self.backend.refresh()

    def seen(self) -> dict[str, Tensor]:
        """Return copies of state and contacts, by name."""
        return {name: value.clone() for name, value in self.live().items()}

    def live(self) -> dict[str, Tensor]:
        """Return state and contacts, by name."""
        return {**own_tensors(self.backend.state), "contacts": self.backend.contacts}


def start_of(start: StartState, envs: list[int], device: torch.device | None = None) -> StartState:
    """Return the start of some environments, on a device if one is given."""
    own = {field.name: getattr(start, field.name)[envs] for field in attrs.fields(StartState)}
    return StartState(**{name: value.to(device or value.device) for name, value in own.items()})
