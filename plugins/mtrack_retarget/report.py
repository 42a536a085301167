"""Prints the results of repairs and of retargeting: one row per clip."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtrack_retarget.measures import MotionMeasures
from mtrack_retarget.repairing import RepairResult
from mtrack_retarget.retargeting import RetargetResult

_PLAIN_WIDTH = 150  # if the output is not a terminal
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
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    table = Table("clip", box=SIMPLE, pad_edge=False, caption=_LEGEND, caption_justify="left")
    for heading in ("s", "lowered\ncm", "root\ncm", "joints\nrad", *_COLUMNS):
        table.add_column(heading, justify="right", no_wrap=True)
    repaired = [one for one in results if one.before is not None and one.after is not None and not one.problem]
    for result in repaired:
        assert result.before is not None
        assert result.after is not None
        table.add_row(
            Text(result.clip),
            f"{result.seconds:.1f}",
            f"{result.lowered_m * 100:.1f}",
            f"{result.root_moved_m * 100:.0f}",
            f"{result.joint_change_rad:.3f}",
            *_both(result.before, result.after),
        )
    if repaired:
        console.print(table)
    problems, before = sum(bool(r.problem) for r in results), sum(r.done_before for r in results)
    seconds, cpu = sum(r.seconds for r in repaired), sum(r.cpu_s for r in repaired)
    parts = [f"{len(repaired)} repaired" + (f", {seconds / cpu:.1f} times as fast as they play" if cpu else "")]
    parts += [f"{before} already repaired"] if before else []
    parts += [f"{problems} not repaired"] if problems else []
    console.print("; ".join(parts))


def _both(before: MotionMeasures, after: MotionMeasures) -> list[str]:
    return [f"{getattr(before, name):{how}} → {getattr(after, name):{how}}" for name, how in _COLUMNS.values()]


def show_retargets(results: Sequence[RetargetResult], console: Console) -> None:
    """Print the table and totals."""
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    table = Table("clip", box=SIMPLE, pad_edge=False, caption=_RETARGET_LEGEND, caption_justify="left")
    for heading in ("s", "scale", "keypoints\nmm", *_COLUMNS):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("notes", overflow="fold")
    made = [result for result in results if result.measures is not None and not result.problem]
    for result in made:
        values = [f"{getattr(result.measures, name):{how}}" for name, how in _COLUMNS.values()]
        numbers = f"{result.seconds:.1f}", f"{result.scale:.2f}", f"{result.keypoint_mm:.0f}"
        table.add_row(Text(result.clip), *numbers, *values, Text("; ".join(result.notes)))
    if made:
        console.print(table)
    problems, before = sum(bool(r.problem) for r in results), sum(r.done_before for r in results)
    seconds, cpu = sum(r.seconds for r in made), sum(r.cpu_s for r in made)
    parts = [f"{len(made)} retargeted" + (f", {seconds / cpu:.1f} times as fast as they play" if cpu else "")]
    parts += [f"{before} already done"] if before else []
    parts += [f"{problems} not retargeted"] if problems else []
    console.print("; ".join(parts))
