"""Where a result comes from: versions, hashes of the code, the machine, and the time that each phase took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from mtrack_report.markup import folded, note, section, tag
from mtrack_report.run_facts import RunFacts
from mtrack_report.tables import facts, table

_HASH = 16  # characters of a hash that are shown; the whole one is its title


def provenance(run: RunFacts) -> Markup:
    """Return the section with everything that the manifest records."""
    made = run.manifest
    if not made:
        return section("provenance", "Provenance", note("The run has no usable manifest.json."))
    machine, processes = made.get("machine", {}), made.get("processes", {})
    start = made.get("started_from")
    pairs = [
        ("run", f"{run.name} (id {made.get('run_id', 'unknown')})"),
        ("started", str(made.get("started", "unknown"))),
        ("recipe", made.get("recipe", "")),
        ("hash of the recipe", _hash(made["recipe_sha256"])),
        ("seed", str(made.get("seed", ""))),
        ("device", str(made["values"].get("device", ""))),
        ("machine", f"{machine.get('processor', '')}, {machine.get('cpu_count', '?')} CPUs"),
        ("system", f"{machine.get('platform', '')}, Python {machine.get('python', '')}"),
        ("processes", f"{processes.get('ranks')}, {processes.get('threads')} threads each"),
        ("checkpoints", ", ".join(run.checkpoints) or "none"),
    ]
    if isinstance(start, Mapping):
        pairs.append(("started from", f"the agent of {start.get('phase')}, iteration {start.get('iteration')}"))
    versions = facts(made["distributions"].items())
    code = table(
        ["code", "sha256", "supplies"],
        [[tag("b", name), _hash(each["sha256"]), _supplies(each)] for name, each in made["code"].items()],
    )
    return section(
        "provenance",
        "Provenance",
        facts(pairs),
        tag("h3", "Versions"),
        versions,
        folded("Hashes of the code", code),
    )


def _hash(sha256: str) -> Markup:
    return tag("code", sha256[:_HASH] or "unknown", title=sha256)


def _supplies(code: Mapping[str, Any]) -> str:
    slots = code.get("supplies", [])
    return f"{len(slots)} slots" if len(slots) > 4 else ", ".join(slots)
