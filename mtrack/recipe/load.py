"""Loads recipes: finds the file, follows `extends`, applies `--set` and remembers where each value was set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, reduce
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs

from mtrack.errors import MtrackError, Problem, RecipeError, did_you_mean
from mtrack.recipe.enabled import lay_over
from mtrack.recipe.keypath import KeyPath, merge, nested, parse, parse_value, split_path, value_at
from mtrack.recipe.lines import key_lines

_MAX_BYTES = 256 * 1024
_MAX_CHAIN = 32
_MOST_LISTED = 8  # files of a folder in a message
COMMAND_LINE = "--set"


@attrs.frozen(slots=False, eq=False)
class Layer:
    """One source of values: a file, a `--set` option, or a key in the `set` of a phase."""

    name: str
    """Name in messages."""
    data: dict[str, Any]
    directory: Path
    """Directory to which its paths are relative."""
    text: str = ""
    """Text of the file."""
    at: int | None = None
    """Line of all its keys, if it is a part of one statement."""
    statement: str = ""
    """Successive layers of one statement (all `--set`, or the `set` of a phase) together decide what is enabled."""
    file: Path | None = None
    """File that it was read from; None for the command line and for changes made by a command."""
    owner: str = ""
    """Distribution of the command that made it, if any."""

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self.text)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a key, or of the closest table around it whose line is known."""
        known = (self._lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._lines)
        return self.at or next(known, None)


@attrs.frozen(slots=False, eq=False)
class RecipeSource:
    """A recipe before it is checked."""

    name: str
    """Name by which the user calls it."""
    directory: Path
    """Directory of the recipe file."""
    layers: tuple[Layer, ...]
    """From the base recipe to the command line."""

    @cached_property
    def data(self) -> dict[str, Any]:
        """All layers merged. Keys are in the order in which they first appear.

        The last statement that names a slot decides whether it is enabled (`mtrack.recipe.enabled`).
        """
        merged: dict[str, Any] = {}
        for _, statement in groupby(self.layers, key=lambda layer: layer.statement or id(layer)):
            parts: Iterator[dict[str, Any]] = (layer.data for layer in statement)
            merged = lay_over(merged, reduce(merge, parts))
        return {key: value for key, value in merged.items() if key != "extends"}

    def origin(self, path: str | KeyPath) -> tuple[str, int | None]:
        """Return source and line (None if unknown) of a value, or of a table in the last file that has it."""
        keys = split_path(path)
        layer = self.layer(keys)
        if isinstance(value_at(self.data, keys), dict):
            layer = next(
                (file for file in reversed(self.layers) if file.text and value_at(file.data, keys) is not None), layer
            )
        return (self.name, None) if layer is None else (layer.name, layer.line(keys))

    def layer(self, path: KeyPath) -> Layer | None:
        """Return the last layer that sets a value."""
        return next((layer for layer in reversed(self.layers) if value_at(layer.data, path) is not None), None)

    def naming_layer(self, slot: KeyPath) -> Layer | None:
        """Return the layer that names the component of a slot: the last with `use`, else the first with the slot."""
        has_slot = (layer for layer in self.layers if value_at(layer.data, slot) is not None)
        return self.layer((*slot, "use")) or next(has_slot, None)

    def with_layers(self, layers: Sequence[Layer]) -> RecipeSource:
        """Return this source with further layers at the end."""
        return attrs.evolve(self, layers=(*self.layers, *layers))


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
    layers += [_override(text) for text in overrides]
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
        raise _problem(layer, "", message, getattr(error, "lineno", None)) from error


def _override(text: str) -> Layer:
    """Return the layer of one `key=value`; a value that is not TOML is a string: `device=cpu`."""
    key, equals, written = text.partition("=")
    try:
        path = split_path(key.strip())
        value = parse_value(written.strip())
    except (MtrackError, ValueError) as error:
        raise MtrackError(f"{COMMAND_LINE} {text}: {error}") from None
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
