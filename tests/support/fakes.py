"""A distribution of components that fulfil the contract of their kind and do nothing, and a recipe of them."""

from __future__ import annotations

from pathlib import Path

from mtrack_testing import install

PARTS = '''
"""Components that fulfil the contract of their kind and do nothing."""

import inspect
from pathlib import Path
from typing import Literal

import attrs

from mtrack.api import protocols
from mtrack import between, component, one_of, param, positive
from mtrack import Schedule


def fulfil(protocol):
    """Add every missing member of a protocol to a class."""

    def fill(cls):
        for name, member in vars(protocol).items():
            wanted = name == "__call__" or not name.startswith("_")
            if inspect.isfunction(member) and wanted and name not in vars(cls):
                setattr(cls, name, lambda self, *arguments: None)
        for name in inspect.get_annotations(protocol):
            if name not in vars(cls) and name not in inspect.get_annotations(cls):
                setattr(cls, name, False)
        return cls

    return fill


@attrs.frozen
class Point:
    x: float
    y: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))


@component
@fulfil(protocols.Robot)
class FakeRobot:
    """A robot."""


@component
@fulfil(protocols.Backend)
class FakeBackend:
    """A backend."""


@component
@fulfil(protocols.Command)
class FakeCommand:
    """A command."""

    target: str = param(default="fixed", validator=one_of("fixed", "sliding"))


@component
@fulfil(protocols.Action)
class FakeAction:
    """An action."""


@component
@fulfil(protocols.Agent)
class FakeAgent:
    """An agent."""


@component
@fulfil(protocols.Phase)
class FakePhase:
    """A phase."""

    lr: Schedule = param(default=Schedule.constant(1e-3))


@component
@fulfil(protocols.Motion)
class FakeMotion:
    """Clips of a file."""

    path: Path = param()
    """Folder of the clips."""


@component
@fulfil(protocols.Observation)
class FakeObservation:
    """An observation."""


@component
@fulfil(protocols.Reward)
class FakeReward:
    """A reward; the first line is its help.

    The second line is not.
    """

    sigma: float = param(default=0.3, validator=positive)
    """Error at which the reward has fallen to 1/e [m]."""
    low: float = param(default=0.0)
    high: float = param(default=1.0)
    count: int = param(default=8)
    on: bool = param(default=True)
    name: str = param(default="")
    file: Path | None = param(default=None)
    mode: Literal["near", "far"] = param(default="near")
    level: Literal[1, 2] = param(default=1)
    names: tuple[str, ...] = param(default=())
    pair: tuple[int, float] = param(default=(1, 2.0))
    gains: dict[str, float] = param(factory=dict)
    scale: float | Literal["effort"] | dict[str, float] = param(default=1.0)
    share: Schedule = param(default=Schedule.constant(1.0))
    point: Point = param(default=Point(0.0))
    weights: list[float] = param(factory=list, validator=attrs.validators.max_len(2))

    def __attrs_post_init__(self):
        if self.low >= self.high:
            raise ValueError("low must be below high")


@component
@fulfil(protocols.Reward)
class FakeSlip:
    """A reward with a parameter that must be given."""

    bodies: tuple[str, ...] = param()


@component
@fulfil(protocols.Termination)
class FakeFall:
    """A termination."""


@component
@fulfil(protocols.Randomization)
class FakePush:
    """A randomization."""

    def reset(self, ids):
        """Do nothing."""
'''

ENTRY_POINTS = {
    "mtrack.robots": {"fake_robot": "fake_parts:FakeRobot"},
    "mtrack.backends": {"fake_backend": "fake_parts:FakeBackend"},
    "mtrack.commands": {"fake_command": "fake_parts:FakeCommand"},
    "mtrack.actions": {"fake_action": "fake_parts:FakeAction"},
    "mtrack.agents": {"fake_agent": "fake_parts:FakeAgent"},
    "mtrack.phases": {"fake_phase": "fake_parts:FakePhase"},
    "mtrack.motions": {"fake_motion": "fake_parts:FakeMotion"},
    "mtrack.observations": {"fake_observation": "fake_parts:FakeObservation"},
    "mtrack.rewards": {"fake_reward": "fake_parts:FakeReward", "fake_slip": "fake_parts:FakeSlip"},
    "mtrack.terminations": {"fake_fall": "fake_parts:FakeFall"},
    "mtrack.randomizations": {"fake_push": "fake_parts:FakePush"},
}

RECIPE = """\
seed = 3
[robot]
use = "fake_robot"
[backend]
use = "fake_backend"
[command]
use = "fake_command"
[action]
use = "fake_action"
[agent]
use = "fake_agent"
[motions.clips]
use = "fake_motion"
path = "clips"
[observations.policy.one]
use = "fake_observation"
[rewards.task.near]
use = "fake_reward"
weight = 0.5
sigma = 0.2
[terminations.fall]
use = "fake_fall"
[phases.train]
use = "fake_phase"
frames = 1000
"""


def install_parts(site: Path) -> None:
    """Install a distribution with the components that a recipe needs."""
    install(site, "fake-parts", ENTRY_POINTS, {"fake_parts.py": PARTS})
