"""No two packages import each other, not even through others, and neither do two modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = sorted(file.parent.name for file in (ROOT / "plugins").glob("*/__init__.py"))
Imports = dict[str, set[str]]


def cycle(imports: Mapping[str, Set[str]]) -> list[str]:
    """Return a cycle that ends with its first member, or an empty list."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def modules() -> Imports:
    """Return the modules that each module imports, imports for type checkers included."""
    graph = grimp.build_graph("mtrack", *PLUGINS, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def test_no_packages_import_each_other(modules: Imports) -> None:
    packages: Imports = defaultdict(set)
    for module, imported in modules.items():
        package = module.partition(".")[0]
        packages[package] |= {other.partition(".")[0] for other in imported} - {package}
    assert set(PLUGINS) < set(packages), "the graph is empty: install mtrack again (pip install -e .)"
    assert cycle(packages) == []


def test_no_modules_of_plugins_import_each_other(modules: Imports) -> None:
    assert cycle({module: imported for module, imported in modules.items() if module.startswith("mtrack_")}) == []


def test_no_modules_of_the_kernel_import_each_other_when_they_run() -> None:
    # Scene and the Protocols name each other as types, which only type checkers import
    graph = grimp.build_graph("mtrack", cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert "mtrack.loop.env" in imports["mtrack.loop.learner"]
    assert cycle(imports) == []


def test_a_cycle_is_found() -> None:
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) in (["a", "c", "b", "a"], ["c", "b", "a", "c"])
