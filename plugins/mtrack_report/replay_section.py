"""The replays of the worst and the best clip: pictures, and a view in three dimensions that is started by a click."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib.util import find_spec

import attrs
from markupsafe import Markup

from mtrack_report.markup import image, note, section, tag
from mtrack_report.replay_file import ClipReplay
from mtrack_report.run_facts import RunFacts

_INSTALL = 'python -m pip install "mtrack[view]"'


@attrs.frozen(eq=False)
class ViewerPage:
    """The viewer that plays recordings: its page, which is stored once, and what turns a replay into a recording."""

    page: str
    """HTML that plays the recording in `window.__VISER_EMBED_DATA__`."""
    recording: Callable[[ClipReplay], str]
    """Returns the recording in base64."""


def replays(run: RunFacts, viewer: ViewerPage | None) -> Markup:
    """Return the section with the replays that the run directory has."""
    command = tag("code", f"mtrack report {run.name}")
    if not run.replays:
        remark = note(command, " rolls out the worst and the best clip and shows them here.")
        return section("replays", "Replays", remark)
    figures = [_replay(run, replay, viewer) for replay in run.replays]
    if viewer is None:
        first = () if find_spec("viser") else ("install the viewer with ", tag("code", _INSTALL), ", then ")
        remark = note("To see the replays in three dimensions, ", *first, "write this report with ", command, ".")
        return section("replays", "Replays", remark, *figures)
    client = base64.b64encode(viewer.page.encode()).decode()
    stored = tag("script", Markup(client), type="text/plain", id="viewer")
    return section("replays", "Replays", *figures, stored)


def _replay(run: RunFacts, replay: ClipReplay, viewer: ViewerPage | None) -> Markup:
    title = tag("h3", f"The {replay.which} clip: ", replay.name)
    seconds = len(replay.poses) * replay.dt
    about = (
        f"{replay.actor}, {replay.checkpoint}: {replay.fate}. The clip takes {seconds:.1f} s; blue is the reference."
    )
    pictures = (
        tag("figure", image(_png(data), f"{replay.name}, {caption}"), tag("figcaption", caption))
        for data, caption in zip(replay.pictures, replay.captions, strict=True)
    )
    is_old = bool(run.checkpoints) and replay.checkpoint != run.checkpoints[-1]
    stale = note("The run has a newer checkpoint than this replay.") if is_old else ""
    strip = tag("div", *pictures, class_="strip")
    return tag("article", title, tag("p", about, class_="about"), stale, strip, _view(replay, viewer), class_="replay")


def _view(replay: ClipReplay, viewer: ViewerPage | None) -> Markup:
    if viewer is None:
        return Markup("")
    button = tag("button", "▶ Play in 3D", type="button", class_="play script-only")
    stored = tag("script", Markup(viewer.recording(replay)), type="text/plain")
    return tag("div", button, stored, class_="view", data_title=f"{replay.which} clip: {replay.name}")


def _png(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
