"""The report of groups of runs as tables that fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from mtrack_eval.clip_report import cell
from mtrack_eval.group_report import FAILED, GroupMetric, GroupReport
from mtrack_eval.group_statistics import LEAST_RUNS, Verdict

_WORST_SHOWN = 20
_PLAIN_WIDTH = 100  # characters of output that is not a terminal
_WIDE = 100  # characters from which two groups fit with their ranges on the same line
_SHORT: Mapping[Verdict, str] = {
    "exceeds the spread": "exceeds",
    "within the spread": "within",
    "too few runs to say": "too few",
    "unknown": "unknown",
}
_STYLES: Mapping[Verdict, str] = {"exceeds the spread": "bold", "within the spread": "", "unknown": "dim"}


def show_groups(report: GroupReport, console: Console | None = None) -> None:
    """Print what was compared, averages, clips and what the verdicts mean."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)

    def say(lines: Iterator[str], style: str = "") -> None:
        for line in lines:
            console.print(line, style=style, highlight=False, markup=False)

    is_narrow = console.width < _WIDE and len(report.groups) > 1
    say(_header(report))
    say((f"note: {note}" for note in report.notes), style="yellow")
    console.print(_averages(report, is_narrow))
    if report.clips:
        console.print(_clips(report, is_narrow))
    say(_explanation(report))


def _header(report: GroupReport) -> Iterator[str]:
    for name, runs in report.groups.items():
        yield f"{name}: {len(runs)} run{'s' * (len(runs) != 1)}: {', '.join(runs)}"
    first = next(iter(next(iter(report.groups.values())).values()))
    seed = first["conditions"]["seed"]
    if report.clips:
        what = f"{first['rollouts']} rollouts of each of {len(report.clips)} clips"
        same = "the same for all runs" if report.is_paired else "not the same for all runs"
        yield f"{first['actor']}, {what}, {same}, seed {seed}"
    else:
        yield f"{first['actor']}, {first['episodes']} episodes, seed {seed}"


def _averages(report: GroupReport, is_narrow: bool) -> Table:
    title = "Averages over clips" if report.clips else "Averages over episodes"
    table = _table(report, f"{title}: median of the runs, smallest to largest", "metric", "unit", is_narrow)
    for name, metric in report.metrics.items():
        unit = report.units.get(name, "")
        shown = "" if unit == "share" else unit
        table.add_row(*_heads(name, shown, is_narrow), *_cells(metric, unit, is_narrow), style=_style(metric))
    return table


def _clips(report: GroupReport, is_narrow: bool) -> Table:
    """Return a table of the worst clips: the metric that orders them, and failures if there are any."""
    table = _table(report, "Clips, worst first", "clip", "metric", is_narrow)
    for clip in list(report.clips)[:_WORST_SHOWN]:
        metrics = report.clips[clip]
        failed = metrics[FAILED].groups if FAILED in metrics else ()
        has_failed = any(value != 0.0 for group in failed for value in group.values)
        chosen = [*([FAILED] if has_failed else []), *([report.distance] if report.distance else [])]
        for index, name in enumerate(chosen or list(metrics)[:1]):
            cells = _cells(metrics[name], report.units.get(name, ""), is_narrow)
            table.add_row(*_heads("" if index else clip, name, is_narrow), *cells, style=_style(metrics[name]))
    if len(report.clips) > _WORST_SHOWN:
        table.caption = f"and {len(report.clips) - _WORST_SHOWN} more: --json lists all, with all metrics"
    return table


def _table(report: GroupReport, title: str, first: str, second: str, is_narrow: bool) -> Table:
    table = Table(box=SIMPLE, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    for name in [first] if is_narrow else [first, second]:
        table.add_column(name, overflow="fold")
    for name in report.groups:
        table.add_column(name, justify="right")
    if len(report.groups) > 1:
        table.add_column("difference", justify="right")
        table.add_column("spread")
    return table


def _heads(first: str, second: str, is_narrow: bool) -> Sequence[str]:
    """Return the first cells of a row: two, or one of two lines."""
    if not is_narrow:
        return [first, second]
    return [f"{first}\n  {second}".lstrip("\n").rstrip()]


def _cells(metric: GroupMetric, unit: str, is_narrow: bool) -> Sequence[str]:
    cells = [
        _spread(cell(group.median, unit), cell(group.low, unit), cell(group.high, unit), is_narrow)
        for group in metric.groups
    ]
    found = metric.difference
    if found is None:
        return cells
    sign = "+" if found.value > 0 else ""
    return [*cells, f"{sign}{cell(found.value, unit)}", _SHORT[found.verdict]]


def _spread(median: str, low: str, high: str, is_narrow: bool) -> str:
    """Return `5.1 (4.9 to 5.3)`, or two lines; only the median if the runs are equal in the digits that are shown."""
    if low == high == median:
        return median
    return f"{median}\n{low} to {high}" if is_narrow else f"{median} ({low} to {high})"


def _explanation(report: GroupReport) -> Iterator[str]:
    """Yield what a difference and its verdict mean."""
    if len(report.groups) < 2:
        return
    names, share = list(report.groups), report.chance
    yield f"difference: median of {names[0]} minus median of {names[1]}"
    if share is None:
        yield f"too few: a verdict needs {LEAST_RUNS} runs in each group; one run says little about its recipe"
        return
    yield "exceeds: every run of one group lies above every run of the other"
    if report.is_paired:
        yield "  and, over the paired rollouts, the 95 % interval of the difference is without 0"
    percent = f"{100 * share:.2g}"
    yield f"  (by chance, in {percent} % of metrics, if the groups do not differ)"


def _style(metric: GroupMetric) -> str:
    return _STYLES.get(metric.difference.verdict, "") if metric.difference else ""
