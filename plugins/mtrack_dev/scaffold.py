"""`mtrack new-plugin`: writes a complete package with components, hooks, commands, tests and a recipe."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

import attrs

from mtrack import MtrackError
from mtrack.api.kinds import COMMAND_GROUP, HOOK_GROUP, KINDS
from mtrack.errors import did_you_mean

_TEMPLATES = Path(__file__).parent / "template"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@attrs.frozen
class Example:
    """The example component of one kind in a new package."""

    name: str
    cls: str
    recipe: str = ""
    """How the demo recipe uses it; empty if recipes do not name this kind."""


EXAMPLES = {
    "reward": Example("joint_stillness", "JointStillness", "[rewards.toy.joint_stillness]\nweight = 0.1\nsigma = 50.0"),
    "observation": Example("joint_speed", "JointSpeed", "[observations.priv.joint_speed]"),
    "termination": Example("joint_runaway", "JointRunaway", "[terminations.joint_runaway]\nlimit = 1000.0"),
    "randomization": Example("sideways_push", "SidewaysPush", "[randomizations.sideways_push]\nrate = 0.5"),
    "metric": Example("mean_joint_speed", "MeanJointSpeed", "[metrics.mean_joint_speed]"),
    "command": Example("joint_goal", "JointGoal", '[command]\nuse = "joint_goal"\nspread = 0.5'),
    "importer": Example("pose_table", "PoseTable"),
    "skeleton_source": Example("joint_table", "JointTable"),
    "phase": Example("hill_climbing", "HillClimbing", "[phases.hill_climbing]\nframes = 20_000\ntrain_every = 16"),
    "hook": Example("run_notes", "RunNotes"),
    "cli": Example("", "app"),  # gets the name of the package
}
_GROUPS = {name: kind.group for name, kind in KINDS.items()} | {"hook": HOOK_GROUP, "cli": COMMAND_GROUP}


def create(name: str, kinds: Sequence[str], directory: Path) -> list[Path]:
    """Write package `name` to a new folder of that name and return its files. Raises MtrackError."""
    kinds = list(dict.fromkeys(kinds))
    package = _package(name)
    for kind in kinds:
        if kind not in EXAMPLES:
            remedy = did_you_mean(kind, EXAMPLES)
            what = f"there is no example of kind '{kind}' yet" if kind in KINDS else f"no kind '{kind}'"
            raise MtrackError("   ".join(filter(None, (f"{what}.", remedy, f"kinds: {', '.join(EXAMPLES)}"))))
    root = directory / name
    texts = {root / place: text for place, text in _files(name, package, kinds).items()}
    try:
        root.mkdir(parents=True)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except FileExistsError:
        raise MtrackError(f"{root} already exists: choose another name, or --directory DIR") from None
    except OSError as error:
        raise MtrackError(f"cannot write {error.filename}: {error.strerror}") from error
    return list(texts)


def _package(name: str) -> str:
    """Return the import package of a distribution name. Raises MtrackError if the name is invalid or taken."""
    if not _NAME.fullmatch(name):
        words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
        better = "-".join(word.lower() for word in words).lstrip("-0123456789")
        hint = f"did you mean '{better}'?" if _NAME.fullmatch(better) else "e.g. 'acme-rewards'"
        raise MtrackError(
            f"invalid name '{name}': use lower-case letters, digits and single hyphens, a letter first; {hint}"
        )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package.partition("_")[0] == "mtrack":
        raise MtrackError(f"'{name}' is reserved: start the name with your own prefix, e.g. 'acme-{name}'")
    if importlib.util.find_spec(package) is not None:
        raise MtrackError(f"the Python package '{package}' already exists: choose another name")
    return package


def _files(name: str, package: str, kinds: Sequence[str]) -> dict[str, str]:
    """Return the text of each file by its path in the folder of the package."""
    chosen = {kind: attrs.evolve(EXAMPLES[kind], name=EXAMPLES[kind].name or name) for kind in kinds}
    points = [
        f'[project.entry-points."{_GROUPS[kind]}"]\n{one.name} = "{package}.{kind}:{one.cls}"'
        for kind, one in chosen.items()
    ]
    words = {
        "distribution": name,
        "package": package,
        "entry_points": "\n\n".join(points),
        "slots": "\n\n".join(one.recipe for one in chosen.values() if one.recipe),
        "components": "\n".join(f"- {kind} `{one.name}`: `src/{package}/{kind}.py`" for kind, one in chosen.items()),
        "first_kind": kinds[0],
        "first_name": chosen[kinds[0]].name,
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "recipes/demo.toml": "demo.toml",
        "tests/test_demo.py": "tests/test_demo.py",
        f"src/{package}/__init__.py": "package/__init__.py",
    }
    places |= {f"src/{package}/{kind}.py": f"package/{kind}.py" for kind in kinds}
    places |= {f"tests/test_{kind}.py": f"tests/test_{kind}.py" for kind in kinds}
    texts = {place: (_TEMPLATES / f"{source}.tmpl").read_text("utf-8") for place, source in places.items()}
    return {place: Template(text).substitute(words) for place, text in texts.items()} | {f"src/{package}/py.typed": ""}
