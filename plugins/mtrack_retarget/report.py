"""Prints the results of repairs and of retargeting: one row per clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from mtrack_quality.report import clip_table
from mtrack_retarget.measures import MotionMeasures
from mtrack_retarget.repairing import RepairResult
from mtrack_retarget.retargeting import RetargetResult

_COLUMNS = {
    "hover\nmm": ("hover_mm", ".1f"),
    "penetration\nmm": ("penetration_mm", ".1f"),
    "skate\nmm/s": ("skate_mm_per_s", ".0f"),
    "overlap\nmm": ("overlap_mm", ".0f"),
    "beyond range\n%": ("beyond_range", ".0%"),
    "jerk\nrad/s^3": ("jerk", ".0f"),
}
_LEGEND = (
    "before and after; hover, penetration (95th percentiles) and skate (mean) are those of the soles in the frames in "
    "which they stood before; overlap: deepest of two links; beyond range: frames with a joint outside of its range"
)

_RETARGET_LEGEND = (
    "scale: the robot's legs, divided by the person's; keypoints: mean distance of knees, ankles, elbows and wrists "
    "from the scaled person's; hover, penetration (95th percentiles) and skate (mean) of the standing soles; overlap: "
    "deepest of two links; beyond range: frames with a joint outside of its range"
)


def show_repairs(results: Sequence[RepairResult], console: Console) -> None:
    """Print the table and totals."""
    table = clip_table(console, ("s", "lowered\ncm", "root\ncm", "joints\nrad", *_COLUMNS), _LEGEND)
    repaired = [one for one in results if not one.problem and not one.done_before]
    for result in repaired:
        table.add_row(
            Text(result.clip),
            f"{result.seconds:.1f}",
            f"{result.lowered_m * 100:.1f}",
            f"{result.root_moved_m * 100:.0f}",
            f"{result.joint_change_rad:.3f}",
            *map(" → ".join, zip(_values(result.before), _values(result.after), strict=True)),
        )
    if repaired:
        console.print(table)
    _print_totals(console, results, repaired, "repaired", "already repaired")


def show_retargets(results: Sequence[RetargetResult], console: Console) -> None:
    """Print the table and totals."""
    table = clip_table(console, ("s", "scale", "keypoints\nmm", *_COLUMNS), _RETARGET_LEGEND)
    table.add_column("notes", overflow="fold")
    made = [one for one in results if not one.problem and not one.done_before and not one.skipped]
    for result in made:
        numbers = f"{result.seconds:.1f}", f"{result.scale:.2f}", f"{result.keypoint_mm:.0f}"
        table.add_row(Text(result.clip), *numbers, *_values(result.measures), Text("; ".join(result.notes)))
    if made:
        console.print(table)
    _print_totals(console, results, made, "retargeted", "already done")


def _values(measures: MotionMeasures | None) -> list[str]:
    return [f"{getattr(measures, name):{how}}" for name, how in _COLUMNS.values()]


Results: TypeAlias = Sequence[RepairResult] | Sequence[RetargetResult]


def _print_totals(console: Console, results: Results, made: Results, what: str, earlier: str) -> None:
    problems, before = sum(bool(one.problem) for one in results), sum(one.done_before for one in results)
    seconds, cpu = sum(one.seconds for one in made), sum(one.cpu_s for one in made)
    parts = [f"{len(made)} {what}" + (f", {seconds / cpu:.1f} times as fast as they play" if cpu else "")]
    parts += [f"{before} {earlier}"] if before else []
    parts += [f"{problems} not {what}"] if problems else []
    console.print("; ".join(parts))
