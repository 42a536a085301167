"""The whole page: head, style, table of contents, the sections of a run and the script."""

from __future__ import annotations

import time
from importlib import metadata, resources

from markupsafe import Markup

from mtrack_report.curves import curves
from mtrack_report.markup import joined, tag
from mtrack_report.provenance import provenance
from mtrack_report.replay_section import ViewerPage, replays
from mtrack_report.run_facts import RunFacts
from mtrack_report.scores import evaluation
from mtrack_report.summary import header, summary
from mtrack_report.trained import motions, trained
from mtrack_report.words import Words

_SECTIONS = {
    "evaluation": "Evaluation",
    "replays": "Replays",
    "curves": "Curves",
    "recipe": "Recipe",
    "motions": "Motions",
    "provenance": "Provenance",
}


def run_page(run: RunFacts, viewer: ViewerPage | None = None) -> str:
    """Return the report of one run as HTML; replays are three-dimensional if there is a viewer."""
    words = Words.read(run.manifest.get("components", {}))
    body = joined(
        header(run),
        summary(run),
        contents(_SECTIONS),
        evaluation(run, words),
        replays(run, viewer),
        curves({"": {run.name: run}}),
        trained(run, words),
        motions(run),
        provenance(run),
    )
    return page(f"{run.name} - mtrack report", body)


def page(title: str, body: Markup) -> str:
    """Return a page that requests nothing: style and script are in it, and a policy forbids everything else."""
    style, script = (resources.files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    head = joined(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", Markup(style)),
    )
    written = f"Written by mtrack {metadata.version('mtrack')} on {time.strftime('%Y-%m-%d at %H:%M %Z')}."
    theme = tag("button", "◐ theme", type="button", id="theme", class_="script-only", title="light or dark")
    whole = joined(theme, tag("main", body, tag("footer", tag("p", written))), tag("script", Markup(script)))
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', whole), lang='en')}\n"


def contents(sections: dict[str, str]) -> Markup:
    """Return links to the sections of a page, which stay at its top."""
    links = (tag("a", title, href=f"#{identity}") for identity, title in sections.items())
    return tag("nav", links, aria_label="Sections")
