"""The learner loop: roll out, update, report, save, until the phase has its frames, has learned or is stopped."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.distributed import num_ranks, sum_over_ranks
from mtrack.api.metrics import DIVERGED, ROLLBACKS, SKIPPED, Metrics
from mtrack.api.protocols import Phase
from mtrack.api.rollout import Rollout
from mtrack.api.until import HELD
from mtrack.errors import RunError
from mtrack.loop.early_end import EarlyEnd
from mtrack.loop.env import Env, Step
from mtrack.loop.outputs import require_numbers
from mtrack.loop.rollbacks import Futility, Rollbacks

_RATE_WINDOW = 20  # frames/s is the median over so many iterations: the first one may have compiled something
_ENVS_WORTH_A_THREAD = 2048  # with fewer, waking torch's threads for each small operation costs more than they save


def _stop(learner: Learner, futility: Futility) -> None:
    raise RunError(f"{learner.describe_futility(futility)}\n{futility.remedy}")


@attrs.frozen
class Earlier:
    """The part of a phase before it was resumed with another number of processes, whose iterations had other frames."""

    iterations: int = 0
    frames: int = 0
    """Of all processes."""


@attrs.define(eq=False)
class Learner:
    """One phase of a run."""

    env: Env
    phase: Phase
    name: str
    train_every: int
    """Control steps in a rollout, T."""
    total_frames: int
    """Frames of this phase, all processes."""
    report: Callable[[Metrics], None]
    save: Callable[[Learner], None]
    """Called after each iteration that learned something; it decides by `iteration` whether a checkpoint is due."""
    should_stop: Callable[[], bool]
    roll_back: Callable[[Learner, Futility], None] = _stop
    """Called if nothing was learned for some iterations in a row: returns to an earlier state, or raises RunError."""
    iteration: int = 0
    frames_before: int = 0
    """Frames of the phases before this one."""
    earlier: Earlier = Earlier()
    """The part of this phase whose iterations had another number of frames."""
    early_end: EarlyEnd | None = None
    """Ends the phase before its frames; None if nothing does."""
    rollbacks: Rollbacks = attrs.field(factory=Rollbacks)
    _buffer: TensorDict | None = None
    _durations: deque[float] = attrs.field(factory=lambda: deque(maxlen=_RATE_WINDOW))

    @property
    def frames_per_iteration(self) -> int:
        """Frames of one iteration, all processes."""
        return self.env.scene.num_envs * self.train_every * num_ranks()

    @property
    def iterations(self) -> int:
        """Iterations of the whole phase."""
        left = -(-(self.total_frames - self.earlier.frames) // self.frames_per_iteration)
        return max(1, self.earlier.iterations + left)

    @property
    def phase_frames(self) -> int:
        """Frames of this phase so far."""
        return self._frames_at(self.iteration)

    @property
    def frames(self) -> int:
        """Frames of the run so far."""
        return self.frames_before + self.phase_frames

    @property
    def progress(self) -> float:
        """Share of the phase's frames that are done."""
        return self.phase_frames / self._frames_at(self.iterations)

    def _frames_at(self, iteration: int) -> int:
        return self.earlier.frames + (iteration - self.earlier.iterations) * self.frames_per_iteration

    def resume(self, iteration: int, frames: int, earlier: Earlier) -> None:
        """Continue after an iteration, with so many frames of the run, and after an earlier part of the phase.

        Iterations that had another number of frames than they have now become that part, so that frames and progress
        continue from what they were.
        """
        self.iteration, self.earlier = iteration, earlier
        if self.frames != frames:
            self.earlier = Earlier(iteration, frames - self.frames_before)

    @property
    def is_finished(self) -> bool:
        """Whether the phase has all its frames, or its metrics have been past their bounds for long enough."""
        return self.iteration >= self.iterations or (self.early_end is not None and self.early_end.is_due)

    def learn(self) -> bool:
        """Run the phase to its end. Return False if it was asked to stop before.

        Raises RunError if nothing was learned for some iterations in a row and `roll_back` cannot help.
        """
        while not self.is_finished:
            if self.should_stop():
                return False
            started = time.perf_counter()
            progress = self.progress
            self.env.set_progress(progress)
            rollout = self.collect()
            collected = time.perf_counter()
            losses = self.phase.update(rollout, progress)
            require_numbers(f"phases.{self.name} ({type(self.phase).__qualname__})", losses, "its update")
            self.iteration += 1
            values = {**self.env.statistics.read(), **_numbers(losses), **_numbers(self.env.metrics())}
            if self.early_end:
                self.early_end.count(values, self.frames_per_iteration)
                values[HELD] = self.early_end.held_frames
            if self.rollbacks.done:
                values[ROLLBACKS] = float(len(self.rollbacks.done))
            ended = time.perf_counter()
            self._durations.append(ended - started)
            self.report(self._metrics(values, {"rollout": collected - started, "update": ended - collected}))
            futility = _futility(values, self.frames_per_iteration)
            if futility is None:  # a checkpoint of a futile iteration would push out one that is worth more
                self.rollbacks.futile = 0
                self.save(self)
            elif self.rollbacks.count_futile(self.iterations):
                self.roll_back(self, futility)
        return True

    def collect(self) -> Rollout:
        """Act and step for T control steps. The returned rollout is valid until the next call."""
        env, steps, finals = self.env, self.train_every, []
        for t in range(steps):
            observations = env.observations
            with rollout_mode(env.scene.num_envs):
                policy_output = self.phase.act(observations)
                step = env.step(policy_output["action"])
            sample = _sample(observations, policy_output, step)
            if self._buffer is None:  # time-major, so that writing a step is one copy of adjacent memory
                self._buffer = sample.expand(steps, *sample.batch_size).clone()
            self._buffer[t] = sample
            finals.append((step.final_env_ids, step.final))
        assert self._buffer is not None
        index = [torch.stack((env_ids, torch.full_like(env_ids, t)), dim=-1) for t, (env_ids, _) in enumerate(finals)]
        return Rollout(
            data=self._buffer.transpose(0, 1),
            reward_groups=tuple(env.group_scales),
            next_observations=env.observations,
            final_index=torch.cat(index),
            final=TensorDict.cat([env.observations[:0], *(final for _, final in finals if final is not None)]),
        )

    def describe_end(self) -> str:
        """Return when and, if it could end early, why the phase has ended, in words."""
        reason = f", {self.early_end}" if self.early_end else ""
        return f"phase '{self.name}' ended after {self.phase_frames:,} of {self.total_frames:,} frames{reason}"

    def describe_futility(self, futility: Futility) -> str:
        """Return after which iteration a run stops that has not learned anything for too long, and why, in words."""
        during = f"iteration {self.iteration} of phase '{self.name}'"
        row = f"nothing was learned in {self.rollbacks.futile} iterations in a row"
        return f"the run stopped after {during}: {row}. {futility.reason}."

    def _metrics(self, values: Mapping[str, float], timings: Mapping[str, float]) -> Metrics:
        typical = statistics.median(self._durations)
        return Metrics(
            phase=self.name,
            iteration=self.iteration,
            iterations=self.iterations,
            frames=self.frames,
            frames_per_s=self.frames_per_iteration / typical,
            eta_s=(self.iterations - self.iteration) * typical,
            values=values,
            timings=timings,
            until=self.early_end.until if self.early_end else None,
        )


def _futility(values: Mapping[str, float], frames: int) -> Futility | None:
    """Return why nothing can be learned from an iteration of so many frames; None if something can."""
    if values[DIVERGED] >= 0.999 * frames:  # a float32 count, which may be rounded
        return Futility(
            f"Every environment diverged in every step ({DIVERGED} {values[DIVERGED]:.0f} of {frames})",
            "replay one of them (mtrack doctor --replay FILE, files in the folder diverged/), look for NaN in the "
            "rewards and observations (metrics.jsonl), and check physics_dt, gains and masses",
        )
    if values.get(SKIPPED, 0.0) >= 1.0:
        return Futility(
            f"Every update was skipped, because a loss or a gradient was not finite ({SKIPPED} 1)",
            "check the size of each reward and its weight (metrics.jsonl), and the learning rate of the phase",
        )
    return None


@contextmanager
def rollout_mode(num_envs: int) -> Iterator[None]:
    """Act and step without gradients, with the number of torch threads that is fastest for so many envs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if num_envs < _ENVS_WORTH_A_THREAD else threads)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def _sample(observations: TensorDict, policy_output: TensorDict, step: Step) -> TensorDict:
    """Return what one step adds to a rollout, [N]."""
    sample = TensorDict(
        {**dict(observations.items()), **dict(policy_output.items()), "_weight": step.weight},
        batch_size=observations.batch_size,
    )
    sample["next"] = TensorDict(
        {"reward": step.reward, "terminated": step.terminated, "truncated": step.truncated},
        batch_size=observations.batch_size,
    )
    return sample


def _numbers(values: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Copy metrics to the host at once, as means over all processes."""
    tensors = {name: value.float().mean() for name, value in values.items() if isinstance(value, Tensor)}
    read = torch.stack(list(tensors.values())).tolist() if tensors else []
    numbers = dict(values) | dict(zip(tensors, read, strict=True))
    means = sum_over_ranks(torch.tensor(list(numbers.values()))) / num_ranks()
    return dict(zip(numbers, means.tolist(), strict=True))
