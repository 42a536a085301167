"""Picture strips of an evaluation: the worst rollouts in a few frames, with the reference and the errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mtrack import Robot
from mtrack_eval.clip_report import ClipReport
from mtrack_eval.episodes import Episodes
from mtrack_eval.rollouts import Rollouts
from mtrack_eval.snapshots import spaced
from mtrack_view.animation import Animation
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.strip import Panel, draw_strip

_NOTED = ("mpkpe_local", "mpkpe_world")


def draw_strips(
    folder: Path,
    robot: Robot,
    clips: Sequence[tuple[int, str]],
    policy: Rollouts,
    lengths: Tensor,
    report: ClipReport,
    dt: float,
) -> Iterator[Path]:
    """Draw one strip per clip (index and name) into a folder, delete older ones, and yield its path.

    Raises MtrackError, OSError. `lengths` int64 [C] are the scored frames of each clip.
    """
    if policy.poses is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()  # a strip of another evaluation
    posed = PosedRobot(robot)
    frames = spaced(lengths, policy.poses.shape[1])
    for index, name in clips:
        rollout = worst_rollout(policy, index, report.distance)
        poses = policy.poses[..., index, rollout]
        finite = poses.isfinite().all(-1).all(0)  # until the simulation diverged
        shown, ghost = poses[:, finite].double().numpy()
        panels = [_panel(policy, frame, index, rollout, dt) for frame in frames[finite, index].tolist()]
        subtitle = f"{report.actor}, {fate(policy, index, rollout, dt)}; blue: the reference"
        path = folder / f"{_file_name(name)}.png"
        if panels:
            draw_strip(path, posed, Animation(shown, ghost), panels, name, subtitle)
            yield path


def draw_episodes(
    folder: Path, robot: Robot, episodes: Episodes, actor: str, dt: float, count: int, num_panels: int
) -> Iterator[Path]:
    """Draw the `count` worst of the filmed episodes, delete older strips, and yield their paths.

    Episodes that failed come first, the earliest failure first, then those with the lowest return. Raises MtrackError,
    OSError.
    """
    posed = PosedRobot(robot)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()  # a strip of another evaluation
    lengths, returned = episodes.lengths.tolist(), episodes.values["return"].tolist()

    def badness(episode: int) -> tuple[bool, int, float]:
        failed = bool(episodes.failed[episode])
        return not failed, lengths[episode] if failed else 0, returned[episode]

    for episode in sorted(range(episodes.poses.shape[1]), key=badness)[:count]:
        failures = episodes.failures_of(episode) if episodes.failed[episode] else []
        frames = torch.linspace(0, lengths[episode], min(num_panels, lengths[episode] + 1)).round().long()
        poses = episodes.poses[frames, episode]
        finite = poses.isfinite().all(-1)  # until the simulation diverged
        times = (frames[finite] * dt).tolist()
        panels = [Panel(time, ("",)) for time in times[:-1]]
        panels += [Panel(time, (", ".join(failures),), is_bad=bool(failures)) for time in times[-1:]]
        fate = f"failed: {', '.join(failures)}" if failures else "completed"
        path = folder / f"episode_{episode}.png"
        subtitle = f"{actor}, return {returned[episode]:.3g}, {fate} after {lengths[episode] * dt:.2f} s"
        draw_strip(path, posed, Animation(poses[finite].double().numpy()), panels, f"episode {episode}", subtitle)
        yield path


def worst_rollout(policy: Rollouts, clip: int, distance: str) -> int:
    """Return the rollout of a clip that ends first, or has the largest distance if all reach the end."""
    frames, values = policy.frames[clip], policy.values.get(distance, policy.frames)[clip]
    early = frames == frames.min()
    return int(torch.where(early, values.nan_to_num(torch.inf).float(), -torch.inf).argmax())


def _panel(policy: Rollouts, frame: int, clip: int, rollout: int, dt: float) -> Panel:
    if frame > policy.frames[clip, rollout]:
        return Panel(frame * dt, ("failed", ""), is_bad=True)
    slots = [slot for slot in _NOTED if slot in policy.curves] or list(policy.curves)[:2]
    notes = [f"{slot} {policy.curves[slot][frame - 1, clip, rollout]:.0f} mm" for slot in slots]
    return Panel(frame * dt, (*notes, "", "")[:2])


def fate(policy: Rollouts, clip: int, rollout: int, dt: float) -> str:
    """Return in words how a rollout ends."""
    count = policy.frames.shape[1]
    which = f"the worst of {count} rollouts" if count > 1 else "the rollout"
    if not policy.failed[clip, rollout]:
        return f"{which} reaches the end"
    return f"{which} fails at {float(policy.frames[clip, rollout] + 1) * dt:.2f} s"


def _file_name(clip: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:120] or "clip"
