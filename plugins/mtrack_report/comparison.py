"""The page that compares several runs: key numbers, evaluations, curves over each other, and recipes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mtrack import MtrackError
from mtrack.recipe.changes import short
from mtrack.registry.registry import Registry
from mtrack_dev.compare import Difference, ValueChange, compare
from mtrack_dev.sides import open_side
from mtrack_eval.group_statistics import RunSpread
from mtrack_log.text import count, duration
from mtrack_report.charts import legend
from mtrack_report.curves import curves
from mtrack_report.group_scores import group_scores, range_of
from mtrack_report.markup import joined, note, section, tag
from mtrack_report.page import contents, page
from mtrack_report.quantities import DisplayUnit, number_of, of_training, of_unit
from mtrack_report.run_facts import RunFacts
from mtrack_report.scores import BASELINES, failed_share, number
from mtrack_report.series import all_series
from mtrack_report.summary import run_seconds
from mtrack_report.tables import Cell, Row, table

_SHARE = DisplayUnit("%", 100.0)
_SECTIONS = {
    "overview": "Overview",
    "evaluation": "Evaluation",
    "curves": "Curves",
    "newest": "Newest metrics",
    "recipes": "Recipes",
}


def comparison_page(groups: Mapping[str, Mapping[str, RunFacts]]) -> str:
    """Return the comparison of runs as HTML: one group of them, or two; runs have names within a group.

    Two groups are compared by their medians. So is one group of runs of one recipe with different seeds; other runs are
    shown side by side.
    """
    runs = {name: run for members in groups.values() for name, run in members.items()}
    names, is_aggregated = list(runs), len(groups) > 1 or differ_in_seed_only(list(runs.values()))
    scores = group_scores(groups) if is_aggregated else _evaluations(list(runs.values()), names)
    title = f"{next(iter(groups))}: {number_of(len(runs), 'run')}" if is_aggregated else f"{len(runs)} runs compared"
    if len(groups) > 1:
        title = " against ".join(f"{name} ({number_of(len(members), 'run')})" for name, members in groups.items())
    remarks = (note(tag("b", name), ": ", remark) for name, run in runs.items() for remark in run.remarks)
    body = joined(
        tag("h1", title),
        legend(list(all_series(groups, is_aggregated))),
        *remarks,
        contents(_SECTIONS),
        section("overview", "Overview", _overview(groups)),
        section("evaluation", "Evaluation", *scores),
        curves(groups, is_aggregated=is_aggregated),
        section("newest", "Newest metrics of training", _newest(groups, is_aggregated)),
        section("recipes", "Differences of the recipes", *_recipes(groups, is_aggregated)),
    )
    return page(f"{' and '.join(list(groups if len(groups) > 1 else names)[:3])} - mtrack report", body)


def differ_in_seed_only(runs: Sequence[RunFacts]) -> bool:
    """Return whether runs have one recipe and different seeds, so that their median means something."""
    values = [{key: value for key, value in run.manifest.get("values", {}).items() if key != "seed"} for run in runs]
    seeds = {run.manifest.get("seed") for run in runs}
    return len(seeds) == len(runs) > 1 and bool(values[0]) and all(each == values[0] for each in values)


def _overview(groups: Mapping[str, Mapping[str, RunFacts]]) -> Markup:
    rows: list[Row] = []
    for group, name, run in ((group, *member) for group, runs in groups.items() for member in runs.items()):
        found, machine = run.evaluation() or {}, run.manifest.get("machine", {})
        failed = failed_share(found) if found else math.nan
        speed = run.history.speed(run.history.stretches[-1]) if run.history.stretches else math.nan
        seconds = run_seconds(run)
        rows.append(
            [
                tag("b", name),
                *([group] if len(groups) > 1 else []),
                str(run.manifest.get("recipe", "")),
                run.status or "unknown",
                Cell(f"{count(run.frames)} ({100 * run.progress:.0f} %)", run.frames),
                Cell(duration(seconds), seconds),
                Cell("" if math.isnan(speed) else f"{speed:,.0f}", speed),
                Cell(_SHARE.shown(1.0 - failed), 1.0 - failed),
                str(run.manifest.get("seed", "")),
                f"{machine.get('processor', '')}, {machine.get('cpu_count', '?')} CPUs" if machine else "",
            ]
        )
    head = [
        "run",
        *(["group"] if len(groups) > 1 else []),
        "recipe",
        "status",
        "frames",
        "time",
        "frames/s",
        "without failure",
        "seed",
        "machine",
    ]
    return table(head, rows, sortable=True)


def _evaluations(runs: Sequence[RunFacts], names: Sequence[str]) -> Iterator[Markup]:
    found = {name: each for run, name in zip(runs, names, strict=True) if (each := run.evaluation())}
    if not found:
        yield note("None of the runs has been evaluated: leave out --no-eval.")
        return
    for name, each in found.items():
        what = f"{each.get('checkpoint')}, {each.get('actor')}, {each.get('frames', 0):,} frames"
        yield tag("p", tag("b", name), f": {what}", class_="about")
    by_clips = {name: each for name, each in found.items() if "clips" in each}
    if by_clips:
        yield tag("h3", "Clips, the worst of any run first")
        yield _clip_table(by_clips)
    yield tag("h3", "Averages")
    yield _averages(found)


def _clip_table(found: Mapping[str, Mapping[str, Any]]) -> Markup:
    first = next(iter(found.values()))
    slot = str(first.get("distance") or "mpkpe_local")
    quantity = of_unit(first["units"].get(slot, ""))
    of_clip = {name: {clip["clip"]: clip for clip in each["clips"]} for name, each in found.items()}
    statue = {clip["clip"]: clip for clip in first.get("baselines", {}).get("statue", {}).get("clips", ())}
    clips = list(dict.fromkeys(clip for each in of_clip.values() for clip in each))

    def badness(clip: str) -> tuple[float, float]:
        known = [each[clip] for each in of_clip.values() if clip in each]
        errors = [number(one.get(slot)) for one in known]
        return max(one["failed"] for one in known), max((e for e in errors if math.isfinite(e)), default=math.inf)

    rows: list[Row] = []
    for clip in sorted(clips, key=badness, reverse=True):
        failed = [number(each.get(clip, {}).get("failed")) for each in of_clip.values()]
        errors = [number(each.get(clip, {}).get(slot)) for each in (*of_clip.values(), statue)]
        rows.append(
            [
                tag("b", clip),
                *(Cell(_SHARE.bare(share), share, "bad" if share > 0 else "") for share in failed),
                *(Cell(quantity.bare(error), error) for error in errors),
            ]
        )
    failures = [f"{name}: failed [%]" for name in found]
    distances = [f"{name}: {slot} [{quantity.unit}]" for name in (*found, "statue")]
    return tag("div", table(["clip", *failures, *distances], rows, sortable=True), class_="clips")


def _averages(found: Mapping[str, Mapping[str, Any]]) -> Markup:
    units = {slot: unit for each in found.values() for slot, unit in each.get("units", {}).items()}
    slots = list(dict.fromkeys(slot for each in found.values() for slot in each["average"]))
    first = next(iter(found.values()))
    baselines = {title: first["baselines"][name] for name, title in BASELINES.items() if name in first["baselines"]}
    rows: list[Row] = []
    for slot in slots:
        quantity = of_unit(units.get(slot, ""))
        values = [number(each["average"].get(slot)) for each in (*found.values(), *baselines.values())]
        cells = [Cell(quantity.bare(value), value) for value in values]
        rows.append([tag("b", slot), quantity.unit, *cells])
    return table(["metric", "unit", *found, *baselines], rows, sortable=True)


def _newest(groups: Mapping[str, Mapping[str, RunFacts]], is_aggregated: bool) -> Markup:
    """Return the newest values of all metrics: of each run, or the median and range of each group."""
    members = {name: [run] for runs in groups.values() for name, run in runs.items()}
    if is_aggregated:
        members = {group: list(runs.values()) for group, runs in groups.items()}
    metrics = dict.fromkeys(name for runs in members.values() for run in runs for name in run.history.columns)
    rows: list[Row] = []
    for metric in metrics:
        quantity = of_training(metric)
        spreads = [RunSpread(tuple(run.history.last(metric) for run in runs)) for runs in members.values()]
        cells = [
            Cell(joined(quantity.bare(one.median), range_of(one.low, one.high, quantity)), one.median)
            for one in spreads
        ]
        rows.append([tag("b", metric), quantity.unit, *cells])
    return table(["metric", "unit", *members], rows, sortable=True)


def _recipes(groups: Mapping[str, Mapping[str, RunFacts]], is_aggregated: bool) -> Iterator[Markup]:
    """Yield how recipes differ: of two groups from each other, otherwise from that of the first run."""
    everything = [member for runs in groups.values() for member in runs.items()]
    if is_aggregated:
        alike = [group for group, runs in groups.items() if len(runs) == 1 or differ_in_seed_only(list(runs.values()))]
        for group in groups:
            how = "differ in nothing but their seed" if group in alike else "have different recipes or equal seeds"
            if len(groups[group]) > 1:
                yield tag("p", f"The runs of {group} {how}.", class_="about")
        firsts = [next(iter(runs.items())) for runs in groups.values()]
        everything = firsts[::-1]
    registry = Registry.scan()
    (first, old), *others = everything
    for name, run in others:
        yield tag("h3", f"{first} → {name}")
        try:
            found = compare(open_side(str(old.directory), registry), open_side(str(run.directory), registry))
        except MtrackError as error:
            yield note(f"The recipes cannot be compared: {error}")
            continue
        yield from _differences(found, first, name)


def _differences(found: Difference, old: str, new: str) -> Iterator[Markup]:
    rows: list[Row] = [_value_row(value) for value in found.settings]
    for change in found.components:
        if change.status == "changed":
            rows += [_value_row(value) for value in change.values]
        else:
            rows.append([tag("code", change.path), change.old or "absent", change.new or "absent"])
            if change.status == "replaced":
                rows += [_value_row(value) for value in change.values]
    rows += [[tag("code", path), "", "another order"] for path in found.order]
    if rows:
        yield table(["key", old, new], rows)
    if found.is_empty:
        yield tag("p", "No difference: recipe, code, versions and motions are the same.", class_="about")
    others = [*map(str, found.versions), *found.data]
    if others:
        yield tag("ul", (tag("li", line) for line in others))


def _value_row(value: ValueChange) -> Row:
    return [tag("code", value.path), short(value.old), short(value.new)]
