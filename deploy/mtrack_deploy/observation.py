"""Builds the observation of a policy from sensors and reference, as policy.json describes it."""

from __future__ import annotations

from collections import deque

import numpy as np

from mtrack_deploy.contract import Contract, TermContract
from mtrack_deploy.errors import DeployError, brief
from mtrack_deploy.rotations import Array
from mtrack_deploy.sensors import Sensors, Window
from mtrack_deploy.terms import Moment, Term, find_term

_SENSED = {"root_pos": "root_position", "root_lin_vel": "root_velocity"}
_MEASURED = ("imu", "joint_encoders", *_SENSED.values())
NUM_ACTIONS = 3
"""Number of last actions that terms can read."""


class ObservationBuilder:
    """Keeps the histories of one robot. Call `reset` before the first observation."""

    def __init__(self, contract: Contract) -> None:
        """Find the function of each term. Raises DeployError if policy.json contradicts itself."""
        self._contract = contract
        joints = contract.robot.joints
        self._joint_index = {joint.name: index for index, joint in enumerate(joints)}
        self._terms: list[tuple[TermContract, Term]] = []
        self._histories: dict[str, deque[Array]] = {}
        self._constants: dict[str, Array] = {}
        start = 0
        for term in contract.observation.terms:
            _check(term, start)
            self._terms.append((term, find_term(term.kind)))
            start += term.width
        if start != contract.observation.width:
            width = contract.observation.width
            raise DeployError(f"observation.width is {width}, but the terms are {start} wide together")
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._steps = 0
        self._histories = {}
        self._actions = np.zeros((NUM_ACTIONS, len(self._contract.action.joints)), np.float32)

    def set_constant(self, name: str, values: Array) -> None:
        """Change the values of a term of kind `constant`, e.g. how compliant the arms are.

        Raises DeployError if there is no such term, or if it has another width.
        """
        known = {term.name: len(term.columns) for term, _ in self._terms if term.kind == "constant"}
        if known.get(name) != len(values):
            raise DeployError(f"no constant '{name}' of {len(values)} values; there are: {known or 'none'}")
        self._constants[name] = np.asarray(values, np.float32)

    def add_action(self, action: Array) -> None:
        """Add the newest action after clipping, [A]."""
        self._actions = np.concatenate((action[None], self._actions[:-1]))

    def observe(self, sensors: Sensors, window: Window) -> Array:
        """Return the observation of the next control step, [width] float32.

        Raises DeployError with the name of the term if a width differs from policy.json, or a value is not finite.
        """
        contract = self._contract
        moment = Moment(
            sensors,
            window,
            self._actions,
            self._steps * contract.timing.control_dt,
            self._joint_index,
            contract.robot.chains,
        )
        parts = [self._value(term, function, moment) for term, function in self._terms]
        self._steps += 1
        return np.concatenate(parts)

    def _value(self, term: TermContract, function: Term, moment: Moment) -> Array:
        try:
            value = self._constants[term.name] if term.name in self._constants else function(moment, term.parameters)
            value = np.asarray(value, np.float32)
        except DeployError:
            raise
        except Exception as error:  # of its parameters, which only the function knows, or of another distribution
            reason = f"{type(error).__name__}: {error}"
            raise DeployError(
                f"observation term '{term.name}' of kind '{term.kind}' cannot be computed with its parameters "
                f"{brief(term.parameters)}: {reason}; export the policy again"
            ) from error
        if value.shape != (len(term.columns),):
            raise DeployError(f"observation term '{term.name}' is {value.shape}, but policy.json has {term.columns}")
        if not np.isfinite(value).all():
            raise DeployError(f"observation term '{term.name}' is not finite: {value}")
        if not term.history_offsets:
            return value
        depth = max(term.history_offsets) + 1
        past = self._histories.setdefault(term.name, deque([value] * depth, maxlen=depth))
        if self._steps:
            past.appendleft(value)
        return np.concatenate([past[offset] for offset in term.history_offsets])


def _check(term: TermContract, start: int) -> None:
    """Raise DeployError if a term does not fit."""
    copies = max(1, len(term.history_offsets))
    if term.start != start or term.width != copies * len(term.columns):
        raise DeployError(
            f"observation term '{term.name}' has start {term.start} and width {term.width}, but it begins at column "
            f"{start} and has {copies} times {len(term.columns)} columns"
        )
    if term.fill_at_reset != "first":
        raise DeployError(f"observation term '{term.name}': fill_at_reset is {brief(term.fill_at_reset)}, not 'first'")
    unknown = [sensor for sensor in term.sensors if sensor not in _MEASURED]
    if unknown:
        raise DeployError(f"observation term '{term.name}' needs {', '.join(unknown)}, which no robot here measures")
