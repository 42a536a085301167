"""Loads Python files with components that are given on the command line (`-p my_terms.py`)."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

from mtrack.api.kinds import KINDS, Kind
from mtrack.errors import ComponentError, MtrackError, describe_error, did_you_mean, is_from_user
from mtrack.registry.contract import contract_problems
from mtrack.registry.local_functions import FUNCTION_KINDS, component_of

if TYPE_CHECKING:
    from mtrack.registry.registry import Registry

_log = logging.getLogger("mtrack")


@attrs.frozen(eq=False)
class LocalFile:
    """A Python file whose public classes and functions are components by name."""

    name: str
    """File name without its folder: `my_terms.py`."""
    sha256: str
    """Hash of the text that was run; manifests record it."""
    module: str
    names: Mapping[str, Any]
    """Its classes and functions, by component name."""

    def component(self, kind: str, name: str) -> Any:
        """Return the class of a component; a function becomes a class. The contract of the kind is not checked.

        Raises ComponentError if a function cannot be a component of that kind.
        """
        found = self.names[name]
        return found if isinstance(found, type) else component_of(found, kind, _location(found))

    def what(self, name: str) -> str:
        """Return the kinds that a component can have, e.g. `reward, observation or termination`, or its problems."""
        found = self.names[name]
        if isinstance(found, type):
            kinds = [kind.name for kind in KINDS.values() if not contract_problems(kind, found)]
            return " or ".join(kinds) or "; ".join(contract_problems(KINDS["reward"], found))
        for kind in FUNCTION_KINDS:
            try:
                self.component(kind, name)
            except ComponentError as error:
                return str(error).partition(": ")[2]
        return f"{', '.join(FUNCTION_KINDS[:-1])} or {FUNCTION_KINDS[-1]}"


def load_files(paths: Sequence[str], registry: Registry) -> tuple[LocalFile, ...]:
    """Load the files of `-p FILE.py` and warn of names that installed components have too.

    Raises MtrackError if a file cannot be read or run, or if two files have the same name or define the same one.
    """
    files: list[LocalFile] = []
    for path in dict.fromkeys(paths):
        file = load_file(path)
        for other in files:
            if other.name == file.name:
                raise MtrackError(f"-p {path}: there is another file called {file.name}; rename one of them")
            for name in (name for name in file.names if name in other.names):
                raise _duplicate(name, other.names[name], file.names[name])
        files.append(file)
        if os.environ.get("RANK", "0") == "0":  # only one of several processes logs
            _warn_of_clashes(file, registry)
    return tuple(files)


def load_file(path: str) -> LocalFile:
    """Run a Python file and return what it defines. Raises MtrackError with file and line."""
    file = Path(path).expanduser()
    text = _read(path, file)
    module = _run(path, file, text)
    names: dict[str, Any] = {}
    for found in vars(module).values():
        is_own = isinstance(found, type) or inspect.isfunction(found)
        if not is_own or found.__module__ != module.__name__ or found.__name__.startswith("_"):
            continue
        name = _snake(found.__name__) if isinstance(found, type) else found.__name__
        if names.get(name, found) is not found:
            raise _duplicate(name, names[name], found)
        names[name] = found
    return LocalFile(file.name, hashlib.sha256(text).hexdigest(), module.__name__, names)


def _duplicate(name: str, one: type | Callable[..., Any], other: type | Callable[..., Any]) -> MtrackError:
    return MtrackError(f"'{name}' is defined at {_location(one)} and at {_location(other)}; rename one of them")


def _read(path: str, file: Path) -> bytes:
    if file.suffix != ".py":
        raise MtrackError(f"-p {path}: expected a Python file, such as -p my_terms.py, or no:HOOK (with `mtrack run`)")
    try:
        return file.read_bytes()
    except FileNotFoundError:
        remedy = did_you_mean(file.name, (other.name for other in file.absolute().parent.glob("*.py")))
        raise MtrackError(f"-p {path}: no such file. {remedy}".rstrip()) from None
    except OSError as error:
        raise MtrackError(f"-p {path}: cannot read it: {error.strerror}") from error


def _run(path: str, file: Path, text: bytes) -> ModuleType:
    """Run the text of a file as a module; what it prints goes to stderr, because stdout is for results."""
    name = f"local_{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}"
    full_path = str(file.absolute())
    spec = importlib.util.spec_from_file_location(name, full_path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where the names of annotations are looked up
    try:
        with redirect_stdout(sys.stderr):
            exec(compile(text, full_path, "exec"), vars(module))
    except SyntaxError as error:
        if error.filename != full_path:
            raise MtrackError(f"-p {path}: cannot be imported: {type(error).__name__}: {error}") from error
        raise MtrackError(f"{path}:{error.lineno}: {type(error).__name__}: {error.msg}") from error
    except BaseException as error:
        if is_from_user(error):
            raise
        hint = _neighbour_hint(error, file)
        raise MtrackError(f"{path}:{_line(error, full_path)}: {describe_error(error)}{hint}") from error
    return module


def _neighbour_hint(error: BaseException, file: Path) -> str:
    """Return a hint if a file imports another one from its folder, else an empty string."""
    wanted = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if not wanted or not ((file.parent / f"{wanted}.py").exists() or (file.parent / wanted).is_dir()):
        return ""
    return "\n  a file given with -p cannot import other files of its folder: use one file, or make a package"


def _line(error: BaseException, full_path: str) -> int | str:
    """Return the line of a file that raised an exception, or that called what raised it; "?" if unknown."""
    line: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == full_path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _snake(name: str) -> str:
    """Return the component name of a class name: `root_pos_error` for `RootPosError`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _location(found: type | Callable[..., Any]) -> str:
    """Return file and line of a class or function: `my_terms.py:12`."""
    file = Path(inspect.getfile(found)).name
    try:
        return f"{file}:{inspect.getsourcelines(found)[1]}"
    except OSError:
        return file


def _warn_of_clashes(file: LocalFile, registry: Registry) -> None:
    """Log which names of a file installed components have too."""
    for entry in registry.entries:
        found = file.names.get(entry.name)
        if found is not None and not entry.refusal and entry.kind in KINDS and _can_be(found, KINDS[entry.kind]):
            _log.warning(
                "%s '%s' is in %s too: your recipe uses the one in %s; to use the other one, write use = \"%s\"",
                *(entry.kind, entry.name, entry.distribution, file.name, entry.full_name),
            )


def _can_be(found: Any, kind: Kind) -> bool:
    return not contract_problems(kind, found) if isinstance(found, type) else kind.name in FUNCTION_KINDS
