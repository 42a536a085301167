"""What was trained: robot, motions, phases, rewards, randomization, and changes against the base recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from mtrack.recipe.write import inline
from mtrack_log.text import count, duration
from mtrack_report.changes import changes
from mtrack_report.markup import folded, joined, note, section, tag
from mtrack_report.quantities import number_of
from mtrack_report.run_facts import RunFacts
from mtrack_report.tables import Cell, Row, table
from mtrack_report.words import Words

_LISTED = 40  # clips that are shown without a click
_KERNEL_KEYS = ("use", "enabled", "weight", "grace_steps")


def trained(run: RunFacts, words: Words) -> Markup:
    """Return the section about the recipe."""
    return section(
        "recipe",
        "What was trained",
        tag("p", in_words(run, words)),
        tag("h3", "Phases"),
        _phases(run, words),
        *_rewards(run, words),
        *_slots(run, words, "terminations", "Terminations", "An episode fails when one of these is true."),
        *_randomizations(run, words),
        *_changes(run, words),
        folded("The whole recipe, with the origin of every value", tag("pre", run.recipe_text)),
    )


def in_words(run: RunFacts, words: Words) -> str:
    """Return a summary of the recipe."""
    recipe, clips = run.recipe, list(_clips(run))
    robot = words.component("robot") or str(recipe["robot"].get("use", ""))
    steps = sum(clip.get("frames", 0) for clip in clips)
    seconds = steps * float(recipe["control_dt"])
    motions = f" on {len(clips)} motion{'s' * (len(clips) != 1)} ({duration(seconds)})" if clips else ""
    names = [f"{name} ({count(frames)} frames)" for name, frames in run.planned.items()]
    phases = f"{len(names)} phase{'s' * (len(names) != 1)}: {', '.join(names)}"
    groups = run.recipe.get("rewards", {})
    terms = {group: sum(slot.get("enabled", True) for slot in slots.values()) for group, slots in groups.items()}
    rewards = ", ".join(f"{group} ({number_of(number, 'term')})" for group, number in terms.items() if number)
    control, physics = (1.0 / float(recipe[key]) for key in ("control_dt", "physics_dt"))
    return (
        f"The robot {robot} was trained{motions} in {phases}. {recipe['num_envs']:,} environments"
        f"{_processes(run)} ran at {control:.4g} Hz, physics at {physics:.4g} Hz. "
        f"Rewards: {rewards}."
    )


def _processes(run: RunFacts) -> str:
    ranks = run.manifest.get("processes", {}).get("ranks", 1)
    return f" in each of {ranks} processes" if ranks != 1 else ""


def _clips(run: RunFacts) -> Iterator[Mapping[str, Any]]:
    """Yield the clips of a run: name, frames and sha256."""
    for facts in run.manifest.get("sources", {}).values():
        yield from facts.get("clips", ())


def _phases(run: RunFacts, words: Words) -> Markup:
    done = {stretch.phase: stretch for stretch in run.history.stretches}
    rows: list[Row] = []
    for name, planned in run.planned.items():
        stretch, slot = done.get(name), run.recipe["phases"][name]
        finished = stretch.end - stretch.first if stretch else 0
        share = stretch.share if stretch else 0.0
        early = ", ended early" if name in run.ended_early() else ""
        seconds = run.history.seconds(stretch) if stretch else 0.0
        speed = run.history.speed(stretch) if stretch else 0.0
        changed = "; ".join(f"{key} = {inline(value)}" for key, value in slot.get("set", {}).items())
        rows.append(
            [
                joined(tag("b", name), tag("small", words.of(f"phases.{name}"), class_="meaning")),
                Cell(count(planned), planned),
                Cell(f"{100.0 * share:.0f} %{early}", share),
                Cell(f"{finished:,}", finished),
                Cell(duration(seconds) if stretch else "", seconds),
                Cell(f"{speed:,.0f}" if stretch else "", speed),
                changed,
            ]
        )
    return table(["phase", "frames", "done", "iterations", "time", "frames/s", "sets"], rows)


def _rewards(run: RunFacts, words: Words) -> Iterator[Markup]:
    rows: list[Row] = []
    for group, slots in run.recipe.get("rewards", {}).items():
        for name, slot in slots.items():
            if slot.get("enabled", True):
                path, weight = f"rewards.{group}.{name}", float(slot.get("weight", 1.0))
                about = tag("small", words.of(path), class_="meaning")
                rows.append([joined(tag("b", name), about), group, Cell(f"{weight:g}", weight), _parameters(slot)])
    scales = {name: group.get("scale", 1.0) for name, group in run.recipe.get("reward_groups", {}).items()}
    said = ", ".join(f"{name} {_schedule(scale)}" for name, scale in scales.items())
    yield tag("h3", "Rewards")
    yield tag("p", f"A term counts weight times scale of its group times control step. Scales: {said}.", class_="about")
    yield table(["term", "group", "weight", "parameters"], rows, sortable=True)


def _slots(run: RunFacts, words: Words, name: str, title: str, about: str) -> Iterator[Markup]:
    rows: list[Row] = [
        [joined(tag("b", slot), tag("small", words.of(f"{name}.{slot}"), class_="meaning")), _parameters(parameters)]
        for slot, parameters in run.slots(name).items()
    ]
    yield tag("h3", title)
    yield tag("p", about if rows else "The recipe has none.", class_="about")
    if rows:
        yield table(["name", "parameters"], rows)


def _randomizations(run: RunFacts, words: Words) -> Iterator[Markup]:
    delay = int(run.recipe.get("action", {}).get("max_delay", 0) or 0)
    delayed = f"actions are delayed by up to {number_of(delay, 'substep')}" if delay else "actions are not delayed"
    noisy = [
        f"{group}.{name}"
        for group, slots in run.recipe.get("observations", {}).items()
        for name, slot in slots.items()
        if slot.get("noise")
    ]
    noise = f"{number_of(len(noisy), 'observation')} with noise" if noisy else "no observation has noise"
    acting = number_of(len(run.slots("randomizations")), "randomization")
    about = f"{acting}; {delayed}; {noise}."
    yield from _slots(run, words, "randomizations", "Randomization", about)


def _changes(run: RunFacts, words: Words) -> Iterator[Markup]:
    found = changes(run, words)
    yield tag("h3", f"Changes against {found.base or 'the base recipe'}")
    if not found.base:
        yield note("The recipe of the run is not on this machine, so only the values it set itself are listed.")
    rows: list[Row] = [
        [tag("code", change.path), change.old, tag("b", change.new), change.origin] for change in found.values
    ]
    rows += [[tag("code", path), "on", "off", ""] for path in found.switched_off]
    if rows:
        yield table(["key", "base", "this run", "set in"], rows)
    elif found.base:
        yield tag("p", "None.", class_="about")


def _parameters(slot: Mapping[str, Any]) -> str:
    """Return the parameters of a component as recipes write them."""
    return ", ".join(f"{key} = {inline(value)}" for key, value in slot.items() if key not in _KERNEL_KEYS)


def _schedule(scale: Any) -> str:
    if isinstance(scale, Mapping):
        return f"from {scale.get('from')} to {scale.get('to')} ({scale.get('shape', 'linear')})"
    return f"{scale:g}"


def motions(run: RunFacts) -> Markup:
    """Return the section about the motions: names, lengths and hashes."""
    clips, left = list(_clips(run)), []
    for facts in run.manifest.get("sources", {}).values():
        left += facts.get("left_out", [])
    sources = run.slots("motions")
    if not clips:
        about = "The manifest has no list of motions." if sources else "The task of this run plays no motions."
        return section("motions", "Motions", tag("p", about, class_="about"))
    dt = float(run.recipe["control_dt"])
    from_ = ", ".join(f"{name} ({slot.get('use', name)})" for name, slot in sources.items())
    rows: list[Row] = [
        [
            tag("b", clip["name"]),
            Cell(f"{clip['frames']:,}", clip["frames"]),
            Cell(f"{clip['frames'] * dt:.1f} s", clip["frames"]),
            tag("code", clip["sha256"][:16], title=clip["sha256"]),
        ]
        for clip in clips
    ]
    listing = table(["clip", "frames", "length", "sha256 (first 16 of 64)"], rows, sortable=True)
    body = [listing if len(rows) <= _LISTED else folded(f"All {len(rows)} clips", listing)]
    if left:
        reasons = table(["left out", "reason"], [[clip["name"], clip["reason"]] for clip in left])
        body.append(folded(f"{len(left)} clips were left out", reasons))
    return section("motions", "Motions", tag("p", f"Sources: {from_}.", class_="about"), *body)
