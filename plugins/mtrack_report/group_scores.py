"""The evaluation of groups of runs: median and range over runs, and which differences exceed the spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from mtrack import MtrackError
from mtrack_eval.group_report import FAILED, GroupMetric, GroupReport, group_report
from mtrack_report.markup import joined, note, tag
from mtrack_report.quantities import DisplayUnit, number_of, of_unit
from mtrack_report.run_facts import RunFacts
from mtrack_report.scores import BASELINES, failed_share, number
from mtrack_report.tables import Cell, Row, table

_VERDICTS = {"exceeds the spread": "exceeds", "within the spread": "within", "too few runs to say": "too few runs"}


def group_scores(groups: Mapping[str, Mapping[str, RunFacts]]) -> Iterator[Markup]:
    """Yield the evaluation of one or two groups of runs."""
    found = {
        group: {name: evaluation for name, run in runs.items() if (evaluation := run.evaluation())}
        for group, runs in groups.items()
    }
    missing = [name for group, runs in groups.items() for name in runs if name not in found[group]]
    if missing:
        yield note("Not evaluated and left out here: ", tag("b", ", ".join(missing)), ". Leave out --no-eval.")
    if not any(found.values()):
        return
    try:
        report = group_report({group: runs for group, runs in found.items() if runs})
    except MtrackError as error:
        yield note(f"The evaluations cannot be combined: {error}.")
        return
    yield tag("p", _about(report), class_="about")
    for remark in report.notes:
        yield note(remark[0].upper() + remark[1:], ".")
    yield from _explanation(report)
    yield tag("h3", "Averages over clips" if report.clips else "Averages over episodes")
    yield _averages(report)
    if report.clips:
        yield tag("h3", "Clips, the worst of any run first")
        yield tag("div", _clips(report), class_="clips")


def _about(report: GroupReport) -> str:
    first = next(iter(next(iter(report.groups.values())).values()))
    seed = first.get("conditions", {}).get("seed")
    if report.clips:
        same = "the same" if report.is_paired else "not the same"
        what = f"{first['rollouts']} rollouts of each of {number_of(len(report.clips), 'clip')}, {same} for all runs"
    else:
        what = f"{first.get('episodes')} episodes of each run"
    return (
        f"{first.get('actor')}, {what}, seed {seed}. A run is one value: its mean over all rollouts. Large figures are "
        "medians over the runs of a group, small ones their smallest and largest value."
    )


def _explanation(report: GroupReport) -> Iterator[Markup]:
    if len(report.groups) < 2:
        return
    first, second = report.groups
    text = f"A difference is the median of {first} minus that of {second}. "
    if report.chance is None:
        text += "There is no verdict with fewer than three runs in a group: one run says little about its recipe."
    else:
        interval = ", and the 95 % interval of the difference over the paired rollouts (small) does not contain 0"
        text += (
            "It exceeds the spread if every run of one group lies above every run of the other"
            f"{interval if report.is_paired else ''}. With so many runs, groups that do not differ are apart like this "
            f"in {100 * report.chance:.2g} % of metrics by chance."
        )
    yield tag("p", text, class_="about")
    exceeding = [name for name, one in report.metrics.items() if _verdict(one) == "exceeds the spread"]
    if report.chance is not None:
        listed = ", ".join(exceeding) or "none"
        yield tag("p", tag("b", "Differences that exceed the spread: "), listed, ".")


def _averages(report: GroupReport) -> Markup:
    first = next(iter(next(iter(report.groups.values())).values()))
    baselines = {title: first["baselines"][name] for name, title in BASELINES.items() if name in first["baselines"]}
    rows: list[Row] = []
    for name, metric in report.metrics.items():
        quantity = of_unit(report.units.get(name, ""))
        if name == FAILED:
            others = [failed_share({"judges": first.get("judges"), **each}) for each in baselines.values()]
        else:
            others = [number(each["average"].get(name)) for each in baselines.values()]
        beside = [Cell(quantity.bare(value), value) for value in others]
        rows.append([tag("b", name), quantity.unit, *_cells(metric, quantity), *beside])
    return table(["metric", "unit", *_heads(report), *baselines], rows, sortable=True)


def _clips(report: GroupReport) -> Markup:
    """Return failures and the metric that orders clips; only the latter has a difference, so that the table fits."""
    quantity = of_unit(report.units.get(report.distance, ""))
    share = of_unit("share")
    rows: list[Row] = []
    for clip, metrics in report.clips.items():
        failed = _medians(metrics[FAILED], share) if FAILED in metrics else []
        errors = _cells(metrics[report.distance], quantity) if report.distance else []
        rows.append([tag("b", clip), *failed, *errors])
    failures = [f"{name}: failed [%]" for name in report.groups] if FAILED in report.metrics else []
    distances = [f"{name}: {report.distance} [{quantity.unit}]" for name in report.groups] if report.distance else []
    others = _heads(report)[len(report.groups) :] if report.distance else []
    return table(["clip", *failures, *distances, *others], rows, sortable=True)


def _heads(report: GroupReport) -> list[str]:
    return [*report.groups, *(["difference", "spread"] if len(report.groups) > 1 else [])]


def _medians(metric: GroupMetric, quantity: DisplayUnit) -> list[str | Markup | Cell]:
    return [
        Cell(joined(quantity.bare(group.median), range_of(group.low, group.high, quantity)), group.median)
        for group in metric.groups
    ]


def _cells(metric: GroupMetric, quantity: DisplayUnit) -> list[str | Markup | Cell]:
    cells = _medians(metric, quantity)
    found = metric.difference
    if found is None:
        return cells
    sign = "+" if found.value > 0 else ""
    interval = range_of(*found.interval, quantity) if found.interval else ""
    style = "exceeds" if found.verdict == "exceeds the spread" else ""
    verdict = tag("span", _VERDICTS.get(found.verdict, found.verdict), class_=style or None)
    return [*cells, Cell(joined(f"{sign}{quantity.bare(found.value)}", interval), found.value, style), verdict]


def range_of(low: float, high: float, quantity: DisplayUnit) -> Markup:
    """Return a range in small figures; nothing if both ends are equal."""
    return Markup("") if low == high else tag("small", f"{quantity.bare(low)} to {quantity.bare(high)}")


def _verdict(metric: GroupMetric) -> str:
    return metric.difference.verdict if metric.difference else ""
