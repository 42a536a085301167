"""Loads recipes: finds the file, follows `extends`, applies `--set` and remembers where each value was set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import attrs

from mtrack.errors import MtrackError, Problem, RecipeError, did_you_mean
from mtrack.recipe.keypath import nested, parse, parse_value, split_path
from mtrack.recipe.source import Layer, RecipeSource

_MAX_BYTES = 256 * 1024
_MAX_CHAIN = 32
_MOST_LISTED = 8  # files of a folder in a message
COMMAND_LINE = "--set"


def read_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> RecipeSource:
    """Load a recipe by path, or by name if no such file exists, and apply `key=value` overrides.

    Raises MtrackError or RecipeError, and no other error, whatever the file contains.
    """
    path = main = _find(str(name_or_path), Path())
    if main is None:
        remedy = did_you_mean(str(name_or_path).removesuffix(".toml"), _names())
        raise MtrackError(f"no recipe '{name_or_path}'. {remedy}\n  recipes: {', '.join(_names())}")
    layers: list[Layer] = []
    chain: list[Path] = []
    while path is not None:
        if path.resolve() in chain or len(chain) >= _MAX_CHAIN:
            names = [_display(link) for link in [*chain, path.resolve()]]
            loop = " -> ".join(names)
            raise _problem(layers[0], "extends", f"recipes extend each other in a circle: {loop}; rename your file")
        chain.append(path.resolve())
        layers.insert(0, _read(path))
        path = _base(layers[0])
    layers += [override(text) for text in overrides]
    return RecipeSource(_display(main), chain[0].parent, tuple(layers))


def recipe_folders() -> list[Path]:
    """Return the folders of the recipes of mtrack: that of the checkout, else that of the installed distribution."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return [checkout / "recipes"]
    try:
        files = metadata.files("mtrack") or []
    except metadata.PackageNotFoundError:
        return []
    parts = ("share", "mtrack", "recipes")
    installed = [Path(str(file.locate())).resolve().parent for file in files if file.parts[-4:-1] == parts]
    return installed[:1]


def _names() -> list[str]:
    """Return the names of the recipes of mtrack."""
    return sorted(file.stem for folder in recipe_folders() for file in folder.glob("*.toml"))


def _find(name: str, directory: Path) -> Path | None:
    """Return the file of a recipe: a path relative to a directory, or the name of a recipe of mtrack; None if missing.

    A folder does not hide a recipe of the same name. Raises MtrackError if `name` is a folder and not a recipe.
    """
    if not name:
        return None
    try:
        given = Path(name).expanduser()
    except RuntimeError:  # ~ with the name of an unknown user
        given = Path(name)
    path = directory / given
    is_folder = _test(path, Path.is_dir)
    if not is_folder and _test(path, Path.exists):  # also a pipe: mtrack check /dev/stdin
        return path
    is_path = given.is_absolute() or name.startswith(".") or name.endswith(("/", os.sep))
    if not (is_folder and is_path):
        for folder in recipe_folders():
            file = folder / f"{name.removesuffix('.toml')}.toml"
            if _test(file, Path.is_file):
                return file
    if is_folder:
        raise MtrackError(_not_a_recipe(name, path))
    return None


def _test(path: Path, test: Callable[[Path], bool]) -> bool:
    """Return the result of a test; False if the name is too long or a parent folder cannot be read."""
    try:
        return test(path)
    except OSError:
        return False


def _not_a_recipe(name: str, folder: Path) -> str:
    """Return why a folder is not a recipe, and what to give instead."""
    if (folder / "recipe.toml").is_file():
        return (
            f"{name} is a run, not a recipe; its recipe is {Path(name) / 'recipe.toml'}. "
            f"Resume it with: mtrack run --resume {name}"
        )
    if (folder / "seeds.json").is_file():
        return f"{name} holds the runs of several seeds, not a recipe. Resume them with: mtrack run --resume {name}"
    files = [str(Path(name) / file.name) for file in sorted(folder.glob("*.toml"))[:_MOST_LISTED]]
    inside = f" It contains: {', '.join(files)}" if files else ""
    known = f"\n  recipes: {', '.join(_names())}"
    what = f"{name} is a directory, neither a recipe nor a run (it has no recipe.toml)"
    return f"{what}: give a file (*.toml) or a name.{inside}{known}"


def _base(layer: Layer) -> Path | None:
    """Return the file that a layer extends, if any."""
    base = layer.data.get("extends")
    if base is None:
        return None
    if not isinstance(base, str):
        raise _problem(layer, "extends", "expected the path of one recipe, in quotes")
    try:
        path = _find(base, layer.directory)
    except MtrackError as error:
        raise _problem(layer, "extends", str(error)) from None
    if path is None:
        remedy = did_you_mean(Path(base).stem, [*_names(), *(file.stem for file in layer.directory.glob("*.toml"))])
        raise _problem(layer, "extends", f"no such file: {layer.directory / base}; {remedy}".rstrip("; "))
    return path


def _read(path: Path) -> Layer:
    layer = Layer(_display(path), {}, path.resolve().parent, file=path)
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"larger than {_MAX_BYTES // 1024} KiB, which is too large for a recipe")
        text = raw.decode("utf-8-sig")
        return attrs.evolve(layer, data=parse(text), text=text)
    except OSError as error:
        raise MtrackError(f"{layer.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _problem(layer, "", "not UTF-8 text", line) from error
    except ValueError as error:
        message = getattr(error, "msg", str(error))
        if message.startswith("Expected '=' after a key"):
            message += '\nwrite a key that has other characters than letters, digits, _ and - in quotes: "a/b" = 1'
        raise _problem(layer, "", message, getattr(error, "lineno", None)) from error


def override(text: str) -> Layer:
    """Return the layer of one `key=value`; a value that is not TOML is a string: `device=cpu`. Raises MtrackError."""
    key, equals, written = text.partition("=")
    try:
        path = split_path(key.strip())
        value = parse_value(written.strip())
    except (MtrackError, ValueError) as error:
        quoted = f"; a part like a/b needs quotes: {COMMAND_LINE} 'A.\"a/b\"=VALUE'" if "/" in key else ""
        raise MtrackError(f"{COMMAND_LINE} {text}: {error}{quoted}") from None
    if not equals:
        raise MtrackError(f"{COMMAND_LINE} {text}: expected KEY=VALUE, e.g. {COMMAND_LINE} num_envs=64")
    return Layer(COMMAND_LINE, nested(path, value), Path.cwd(), statement=COMMAND_LINE)


def _problem(layer: Layer, path: str, message: str, line: int | None = None) -> RecipeError:
    line = line or (layer.line(split_path(path)) if path else None)
    return RecipeError(layer.name, [Problem(path or "syntax", message, source=layer.name, line=line)])


def _display(path: Path) -> str:
    """Return a path relative to the working directory if it is inside, else the absolute path."""
    full, here = Path(os.path.abspath(path)), Path.cwd()  # noqa: PTH100  does not follow links
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
