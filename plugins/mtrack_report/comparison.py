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
from mtrack_log.text import count, duration
from mtrack_report.charts import legend
from mtrack_report.curves import curves
from mtrack_report.markup import joined, note, section, tag
from mtrack_report.page import contents, page
from mtrack_report.quantities import DisplayUnit, of_training, of_unit
from mtrack_report.run_facts import RunFacts
from mtrack_report.scores import BASELINES, failed_share, number
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


def comparison_page(runs: Sequence[RunFacts]) -> str:
    """Return the comparison of runs as HTML."""
    names = labels(runs)
    remarks = (
        note(tag("b", name), ": ", remark) for run, name in zip(runs, names, strict=True) for remark in run.remarks
    )
    body = joined(
        tag("h1", f"{len(runs)} runs compared"),
        legend(names),
        *remarks,
        contents(_SECTIONS),
        section("overview", "Overview", _overview(runs, names)),
        section("evaluation", "Evaluation", *_evaluations(runs, names)),
        curves(runs, names),
        section("newest", "Newest metrics of training", _newest(runs, names)),
        section("recipes", "Differences of the recipes", *_recipes(runs, names)),
    )
    return page(f"{' and '.join(names[:3])} - mtrack report", body)


def labels(runs: Sequence[RunFacts]) -> list[str]:
    """Return a name for each run: its directory, with the folder above if two have the same name."""
    names = [run.name for run in runs]
    return [f"{run.directory.parent.name}/{run.name}" if names.count(run.name) > 1 else run.name for run in runs]


def _overview(runs: Sequence[RunFacts], names: Sequence[str]) -> Markup:
    rows: list[Row] = []
    for run, name in zip(runs, names, strict=True):
        found, machine = run.evaluation() or {}, run.manifest.get("machine", {})
        failed = failed_share(found) if found else math.nan
        speed = run.history.speed(run.history.stretches[-1]) if run.history.stretches else math.nan
        seconds = run_seconds(run)
        rows.append(
            [
                tag("b", name),
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
    head = ["run", "recipe", "status", "frames", "time", "frames/s", "without failure", "seed", "machine"]
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


def _newest(runs: Sequence[RunFacts], names: Sequence[str]) -> Markup:
    metrics = dict.fromkeys(name for run in runs for name in run.history.columns)
    rows: list[Row] = []
    for metric in metrics:
        quantity, values = of_training(metric), [run.history.last(metric) for run in runs]
        cells = [Cell(quantity.bare(value), value) for value in values]
        rows.append([tag("b", metric), quantity.unit, *cells])
    return table(["metric", "unit", *names], rows, sortable=True)


def _recipes(runs: Sequence[RunFacts], names: Sequence[str]) -> Iterator[Markup]:
    registry = Registry.scan()
    for run, name in zip(runs[1:], names[1:], strict=True):
        yield tag("h3", f"{names[0]} → {name}")
        try:
            found = compare(open_side(str(runs[0].directory), registry), open_side(str(run.directory), registry))
        except MtrackError as error:
            yield note(f"The recipes cannot be compared: {error}")
            continue
        yield from _differences(found, names[0], name)


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
