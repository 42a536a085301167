"""Plots of an evaluation, as PNG files: errors over time of each clip, and learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from mtrack import Metrics
from mtrack_eval.rollouts import Rollouts

_PANELS = 12  # clips in one plot, the worst first
_ACROSS = 3
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:purple")
_SMOOTHED = 20  # iterations in the moving average that is drawn over the raw curve
CURVES = (
    ("episode/completed", "episodes completed"),
    ("episode/length", "episode length [steps]"),
    ("episode/return", "return"),
    ("tracking/keypoint_pos_m", "keypoint error [m]"),
    ("tracking/joint_pos_rad", "joint error [rad]"),
    ("value/explained_variance", "explained variance"),
    ("policy/entropy", "entropy"),
    ("policy/kl", "KL divergence"),
    ("policy/learning_rate", "learning rate"),
)
"""Training metrics that are drawn if a run has them, with their labels."""


def draw_errors(
    path: Path, clips: Sequence[tuple[int, str]], policy: Rollouts, statue: Rollouts, slots: Sequence[str], dt: float
) -> None:
    """Draw errors over time, one panel per clip (index and name): mean and range of the rollouts, and the statue's."""
    figure, panels = _panels(min(len(clips), _PANELS))
    for panel, (index, name) in zip(panels, clips, strict=False):
        for slot, colour in zip(slots, _COLOURS, strict=False):
            low, middle, high = _range(policy.curves[slot][:, index])
            still = _range(statue.curves[slot][:, index])[1]
            time = dt * np.arange(1, len(still) + 1)
            panel.fill_between(time[: len(middle)], low, high, color=colour, alpha=0.2, linewidth=0)
            panel.plot(time[: len(middle)], middle, color=colour, label=slot)
            panel.plot(time, still, color=colour, linestyle=":", label=f"{slot}, statue")
        failures = f", {policy.failed[index].float().mean():.0%} failed" if policy.failed[index].any() else ""
        panel.set_title(f"{name}{failures}", fontsize=10)
        panel.set_xlabel("time [s]")
        panel.set_ylabel("error [mm]")
        panel.set_ylim(bottom=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * len(_COLOURS), fontsize=9, frameon=False)
    _save(figure, path)


def draw_learning(path: Path, history: Sequence[Metrics]) -> bool:
    """Draw learning curves over the frames of a run; return False if it has none of the metrics."""
    curves = [(key, label) for key, label in CURVES if any(key in metrics.values for metrics in history)]
    if not curves:
        return False
    figure, panels = _panels(len(curves))
    frames = np.array([metrics.frames for metrics in history]) / 1e6
    starts = [f for f, (a, b) in zip(frames[1:], pairwise(history), strict=True) if a.phase != b.phase]
    for panel, (key, label) in zip(panels, curves, strict=True):
        values = np.array([metrics.values.get(key, np.nan) for metrics in history])
        panel.plot(frames, values, color=_COLOURS[0], alpha=0.3, linewidth=0.8)
        panel.plot(frames, _smooth(values), color=_COLOURS[0])
        for start in starts:
            panel.axvline(start, color="0.6", linewidth=0.8, linestyle="--")
        panel.set_xlabel("frames [million]")
        panel.set_title(label, fontsize=10)
    _save(figure, path)
    return True


def _panels(count: int) -> tuple[Figure, list[Any]]:
    across = min(count, _ACROSS)
    down = -(-count // across)
    figure = Figure(figsize=(4.2 * across, 2.9 * down + 0.6), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(down, across, index + 1) for index in range(count)]
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Software": None})  # equal evaluations give equal files


def _range(curve: Tensor) -> tuple[Any, Any, Any]:
    """Return minimum, mean and maximum over the rollouts that still run, each [t], for the frames that have any."""
    curve = curve[: int((~curve.isnan()).any(1).sum())]
    is_running = ~curve.isnan()
    low = torch.where(is_running, curve, torch.inf).amin(1)
    high = torch.where(is_running, curve, -torch.inf).amax(1)
    return low.numpy(), curve.nanmean(1).numpy(), high.numpy()


def _smooth(values: Any) -> Any:
    """Return the moving average over the last iterations, without NaN."""
    windows: Iterable[Any] = (values[max(0, i + 1 - _SMOOTHED) : i + 1] for i in range(len(values)))
    return np.array([np.nan if np.isnan(window).all() else np.nanmean(window) for window in windows])
