"""The first screen of the report: status, progress and the numbers that matter most."""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup

from mtrack_log.text import count, duration
from mtrack_report.curves import newest_of
from mtrack_report.markup import joined, note, tag
from mtrack_report.quantities import DisplayUnit, of_unit
from mtrack_report.run_facts import RunFacts
from mtrack_report.scores import BASELINES, failed_share, number

_SHARE = DisplayUnit("%", 100.0)
_ERRORS = ("mpkpe_local", "mpkpe_world", "joint_error")
_IN_TRAINING = {"episode/completed": "episodes completed", "episode/return": "return"}


def header(run: RunFacts) -> Markup:
    """Return the title of a run with its status."""
    status = run.status or "unknown"
    return tag("h1", run.name, " ", tag("span", status, class_=f"status {status}"))


def summary(run: RunFacts) -> Markup:
    """Return progress, key numbers, rollbacks and remarks."""
    remarks = (note(remark) for remark in (*run.rollbacks, *run.remarks))
    return joined(_progress(run), tag("div", _tiles(run), class_="tiles"), *remarks)


def run_seconds(run: RunFacts) -> float:
    """Return the time that all iterations took [s]."""
    return sum(run.history.seconds(stretch) for stretch in run.history.stretches)


def _progress(run: RunFacts) -> Markup:
    done, planned = run.frames, run.planned
    share = run.progress
    last = run.history.stretches[-1] if run.history.stretches else None
    where = ""
    if last is not None and run.status != "finished":
        names = list(planned)
        index = f" ({names.index(last.phase) + 1} of {len(names)})" if last.phase in names else ""
        where = f", in phase {last.phase}{index}"
    seen = f"; last sign of life {run.updated}" if run.status == "running" and run.updated else ""
    planned_frames = sum(planned.values())  # the last iteration of a phase usually exceeds it
    early = "".join(f"; phase {name} ended early" for name in run.ended_early())
    of_planned = "" if done >= planned_frames else f" of {count(planned_frames)}"
    text = f"{count(done)}{of_planned} frames{where}{early}{seen}"
    bar = tag("div", tag("div", style=f"width:{100 * share:.1f}%"), class_="bar", role="img", aria_label=text)
    return tag("div", bar, tag("p", text), class_="progress")


def _tiles(run: RunFacts) -> Iterator[Markup]:
    found = run.evaluation()
    if found is not None:
        failed = failed_share(found)
        if math.isfinite(failed):
            beside = []
            for name, title in BASELINES.items():
                other = failed_share({"judges": found.get("judges"), **found.get("baselines", {}).get(name, {})})
                if math.isfinite(other):
                    beside.append(f"{title} {_SHARE.shown(1.0 - other)}")
            what = "rollouts without failure" if "clips" in found else "episodes completed"
            yield _tile(_SHARE.shown(1.0 - failed), what, ", ".join(beside))
        for slot in _ERRORS:
            value = number(found["average"].get(slot))
            if math.isfinite(value):
                quantity = of_unit(found["units"].get(slot, ""))
                baselines = (
                    (title, number(found.get("baselines", {}).get(name, {}).get("average", {}).get(slot)))
                    for name, title in BASELINES.items()
                )
                yield _tile(
                    quantity.shown(value),
                    slot.replace("_", " "),
                    ", ".join(f"{title} {quantity.shown(other)}" for title, other in baselines if math.isfinite(other)),
                )
    for name, title in _IN_TRAINING.items():
        if found is None and (shown := newest_of(run, name)):
            yield _tile(shown, title, "newest iteration of training")
    if run.history.stretches:
        seconds, last = run_seconds(run), run.history.stretches[-1]
        yield _tile(duration(seconds), "of iterations", f"{count(run.frames)} frames")
        yield _tile(f"{run.history.speed(last):,.0f}", "frames/s", f"median of phase {last.phase}")


def _tile(value: str, title: str, beside: str) -> Markup:
    return tag("div", tag("b", value), tag("span", title), tag("small", beside), class_="tile")
