"""The evaluation: averages beside both baselines, and every clip, the worst first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mtrack_report.markup import folded, joined, note, section, tag
from mtrack_report.quantities import DisplayUnit, of_unit
from mtrack_report.run_facts import RunFacts
from mtrack_report.tables import Cell, Row, table
from mtrack_report.words import Words

BASELINES = {"statue": "statue", "zero_action": "zero action"}
_SHARE = DisplayUnit("%", 100.0)
_ABOUT_BASELINES = (
    "A statue holds the first pose of the clip and is not simulated; zero action is a policy whose actions are all "
    "zero. Even they can succeed on slow clips, so a policy is good only if it is clearly better than both."
)


def evaluation(run: RunFacts, words: Words) -> Markup:
    """Return the section with the newest evaluation."""
    found = run.evaluation()
    if found is None:
        how = ("The run has not been evaluated. ", tag("code", f"mtrack report {run.name}"), " does it.")
        return section("evaluation", "Evaluation", note(*how))
    parts = [tag("p", _what(found), class_="about"), *_staleness(run, found)]
    parts += list(_by_clips(found, words)) if "clips" in found else list(_by_episodes(found))
    for other in run.evaluations[:-1]:
        title = f"{other.get('actor', '')}, {other.get('checkpoint', '')}"
        body = _by_clips(other, words) if "clips" in other else _by_episodes(other)
        parts.append(folded(f"Evaluation of another checkpoint: {title}", *body))
    return section("evaluation", "Evaluation", *parts)


def number(value: object) -> float:
    """Return a value of an evaluation; NaN if it is unknown."""
    return float(value) if isinstance(value, int | float) else math.nan


def failed_share(found: Mapping[str, Any]) -> float:
    """Return the share of rollouts or episodes that failed; NaN if nothing decides that."""
    if "clips" not in found:
        return number(found.get("failed"))
    clips = found["clips"]
    return math.nan if not clips or not found.get("judges") else sum(c["failed"] for c in clips) / len(clips)


def _what(found: Mapping[str, Any]) -> str:
    """Return what was evaluated, in words."""
    what = f"Checkpoint {found.get('checkpoint')}, {found.get('actor')}, after {found.get('frames', 0):,} frames. "
    on = found.get("conditions", {})
    acting = ", ".join(each["slot"] for each in on.get("randomizations", ())) or "none"
    noise = "with" if on.get("observation_noise") else "without"
    if "clips" not in found:
        return (
            f"{what}{found.get('episodes')} episodes that end as in training, randomizations: {acting}, {noise} noise."
        )
    return (
        f"{what}{len(found['clips'])} clips, {found.get('rollouts')} rollouts of each from its first frame, "
        f"deterministic policy, randomizations: {acting}, {noise} observation noise. Errors are means over the frames "
        "before the first failure."
    )


def _staleness(run: RunFacts, found: Mapping[str, Any]) -> Iterator[Markup]:
    name = str(found.get("checkpoint", "")).rpartition("/")[2]
    if run.checkpoints and name != run.checkpoints[-1]:
        yield note(
            f"The run has a newer checkpoint, {run.checkpoints[-1]}. ",
            tag("code", f"mtrack report {run.name}"),
            " evaluates it.",
        )


def _by_clips(found: Mapping[str, Any], words: Words) -> Iterator[Markup]:
    yield _failures(found)
    yield tag("h3", "Clips, worst first")
    yield _clip_table(found)
    yield tag("h3", "Averages over clips")
    yield tag("p", _ABOUT_BASELINES, class_="about")
    yield _average_table(found, words)


def _failures(found: Mapping[str, Any]) -> Markup:
    if not found.get("judges"):
        return note("No metric of the recipe decides success, so failures are not judged.")
    failed = [clip for clip in found["clips"] if clip["failed"]]
    if not failed:
        return tag("p", f"No rollout failed on any of the {len(found['clips'])} clips.", class_="good")
    names = (
        tag("li", tag("b", clip["clip"]), f": {_SHARE.shown(clip['failed'])} of rollouts failed{_judged(clip, found)}")
        for clip in failed
    )
    heading = tag("p", f"{len(failed)} of {len(found['clips'])} clips have failures:")
    return tag("div", heading, tag("ul", names), class_="bad")


def _judged(clip: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return what the criteria of success say about a clip with failures."""
    by = [f"{slot} {_SHARE.shown(number(clip.get(slot)))}" for slot in found["judges"] if number(clip.get(slot)) < 1.0]
    done = number(clip.get("progress"))
    progress = f", on average after {_SHARE.shown(done)} of the clip" if math.isfinite(done) else ""
    return f"{progress} ({', '.join(by)})" if by else progress


def _clip_table(found: Mapping[str, Any]) -> Markup:
    others = {
        title: {clip["clip"]: clip for clip in found["baselines"][name]["clips"]}
        for name, title in BASELINES.items()
        if name in found.get("baselines", {})
    }
    units = found["units"]
    head = ["clip", "frames", "failed [%]", *(_heading(slot, unit) for slot, unit in units.items())]
    rows: list[Row] = []
    for clip in found["clips"]:
        name, besides = clip["clip"], {title: clips.get(clip["clip"], {}) for title, clips in others.items()}
        failed = Cell(
            _with_baselines(_SHARE, clip["failed"], besides, "failed"), clip["failed"], "bad" if clip["failed"] else ""
        )
        cells = [
            Cell(_with_baselines(of_unit(unit), number(clip.get(slot)), besides, slot), number(clip.get(slot)))
            for slot, unit in units.items()
        ]
        named = joined(tag("b", name), *(tag("small", title) for title in besides))
        rows.append([named, Cell(f"{clip['frames']:,}", clip["frames"]), failed, *cells])
    return tag("div", table(head, rows, sortable=True), class_="clips")


def _heading(slot: str, unit: str) -> str:
    shown = of_unit(unit).unit
    return f"{slot.replace('_', ' ')} [{shown}]" if shown else slot.replace("_", " ")


def _with_baselines(quantity: DisplayUnit, value: float, besides: Mapping[str, Mapping[str, Any]], slot: str) -> Markup:
    small = (
        tag("small", f"{quantity.bare(number(clip.get(slot)))}", title=title, class_=title.replace(" ", "-"))
        for title, clip in besides.items()
    )
    return joined(quantity.bare(value), *small)


def _average_table(found: Mapping[str, Any], words: Words) -> Markup:
    baselines = {title: found["baselines"].get(name, {}) for name, title in BASELINES.items()}
    rows: list[Row] = []
    for slot, unit in found["units"].items():
        quantity, value = of_unit(unit), number(found["average"].get(slot))
        spread = number(found.get("spread", {}).get(slot))
        others = [number(each.get("average", {}).get(slot)) for each in baselines.values()]
        rows.append(
            [
                joined(tag("b", slot), tag("small", words.of(f"metrics.{slot}"), class_="meaning")),
                quantity.unit,
                Cell(tag("b", quantity.bare(value)), value),
                Cell(quantity.bare(spread), spread),
                *(Cell(quantity.bare(other), other) for other in others),
            ]
        )
    return table(["metric", "unit", str(found.get("actor", "policy")), "±", *baselines], rows, sortable=True)


def _by_episodes(found: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("p", _ends(found), class_="bad" if found.get("failed") else "good")
    baselines = {title: found["baselines"][name] for name, title in BASELINES.items() if name in found["baselines"]}
    rows: list[Row] = []
    for name in found["average"]:
        unit = "steps" if name == "length" else found["units"].get(name, "")
        quantity, columns = of_unit(unit), [found, *baselines.values()]
        values = [number(each[part].get(name)) for each in columns for part in ("average", "spread")]
        rows.append([tag("b", name), quantity.unit, *(Cell(quantity.bare(value), value) for value in values)])
    heads: Sequence[str] = [head for name in (str(found.get("actor", "policy")), *baselines) for head in (name, "±")]
    yield table(["average over episodes", "unit", *heads], rows, sortable=True)


def _ends(found: Mapping[str, Any]) -> str:
    """Return how the episodes ended, in words."""
    by = ", ".join(f"{slot} {_SHARE.shown(share)}" for slot, share in found["ended_by"].items() if share)
    failed = f"{_SHARE.shown(number(found['failed']))} of episodes failed"
    return f"{failed}{f' ({by})' if by else ''}; {_SHARE.shown(number(found['completed']))} completed."
