"""A backend on trial: built, put into known states, and run under known targets."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

from mtrack.exchange import ContactSensor, PhysicsPlan, StartState
from mtrack_testing.promises import Subject
from mtrack_testing.scenes import feet_of
from mtrack_testing.watch import own_tensors, undrawn
from mtrack_testing.worlds import World

ROWS_SIMULATED = 5
DECLARED_FIELD = "opt.gravity"
SUBSTEPS = 4
_STEPS = 6


class Simulation:
    """A built backend, the states it is put into and the targets it gets; row i is case `cases[i]`."""

    def __init__(
        self,
        subject: Subject,
        world: World,
        cases: tuple[int, ...] = tuple(range(ROWS_SIMULATED)),
        *,
        fields: tuple[str, ...] = (DECLARED_FIELD,),
        forces: bool = False,
    ) -> None:
        """Build on the subject's device. Raises MtrackError where the backend cannot do with this robot."""
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
        with undrawn(subject), subject.explained("build"):
            self.backend.build(world.robot, plan)
            self.backend.refresh()
        self.device = self.backend.state.root_pos.device
        self.everything = self.rows(range(len(cases)))

    def rows(self, numbers: Iterable[int]) -> Tensor:
        """Return ids of rows, int64, where the backend wants them."""
        return torch.tensor(list(numbers), device=self.device)

    def start(self, height: float = 0.0) -> StartState:
        """Return the start of every row; joints away from the default pose, and all of a root that can move."""
        draw, rows = torch.Generator().manual_seed(0), 3 * ROWS_SIMULATED
        joints, size = len(self.model.joint_names), 0.1 if self.world.compiled is not None else 0.0
        root_pos = self.model.default_root_pos + torch.tensor([0.0, 0.0, height]) + 0.0 * torch.zeros(rows, 3)
        turn = torch.tensor([1.0, 0.0, 0.0, 0.0]) + size * torch.randn(rows, 4, generator=draw)
        whole = StartState(
            root_pos=root_pos + size * torch.rand(rows, 3, generator=draw),
            root_quat_wxyz=torch.nn.functional.normalize(turn, dim=-1),
            root_lin_vel=size * torch.randn(rows, 3, generator=draw),
            root_ang_vel=size * torch.randn(rows, 3, generator=draw),
            joint_pos=self.model.default_joint_pos + 0.1 * torch.randn(rows, joints, generator=draw),
            joint_vel=0.1 * torch.randn(rows, joints, generator=draw),
        )
        return rows_of(whole, self.cases, self.device)

    def put(self, ids: Tensor, height: float = 0.0) -> None:
        """Put rows into their start, as a reset does."""
        start = rows_of(self.start(height), ids.tolist())
        self.backend.set_state(ids, start)
        self.backend.forward(ids, start.joint_pos)
        self.backend.refresh(ids)

    def run(self, first: int = 0, last: int = _STEPS) -> dict[str, Tensor]:
        """Make control steps and return what is seen after them."""
        joints = len(self.model.joint_names)
        for step in range(first, last):
            draw = torch.Generator().manual_seed(step)
            noise = torch.randn(3 * ROWS_SIMULATED, joints, generator=draw)[self.cases]
            target = (self.model.default_joint_pos + 0.1 * noise).to(self.device)
            for substep in range(SUBSTEPS):
                self.backend.step(target, substep == SUBSTEPS - 1)
        self.backend.refresh()
        return self.seen()

    def stand(self, steps: int) -> None:
        """Make control steps under the default pose as target."""
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


def rows_of(start: StartState, rows: list[int], device: torch.device | None = None) -> StartState:
    """Return the start of some rows, on a device if one is given."""
    own = {field.name: getattr(start, field.name)[rows] for field in attrs.fields(StartState)}
    return StartState(**{name: value.to(device or value.device) for name, value in own.items()})
