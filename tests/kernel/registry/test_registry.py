"""The registry finds components by metadata, survives broken distributions and checks what it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.fakes import install_parts

from mtrack import ComponentError, NameProblem
from mtrack.registry.registry import Entry, Registry
from mtrack_testing import install

REWARD = '''
"""Rewards."""
from mtrack import component, param


@component
class Near:
    """Closeness."""

    sigma: float = param(default=1.0)

    def __call__(self, scene):
        return scene
'''


def rewards(site: Path, source: str, attribute: str = "Near", name: str = "near", distribution: str = "acme") -> Entry:
    module = f"{distribution.replace('-', '_')}_parts"
    install(site, distribution, {"mtrack.rewards": {name: f"{module}:{attribute}"}}, {f"{module}.py": source})
    return Registry.scan().find("reward", name)


def test_every_entry_point_is_listed_even_if_its_module_is_missing(site: Path) -> None:
    install(site, "acme", {"mtrack.rewards": {"gone": "acme_gone.parts:Gone"}})
    entry = next(entry for entry in Registry.scan().entries if entry.name == "gone")
    assert entry.error == "module 'acme_gone.parts' not found"
    assert {"g1", "root_pos", "train"} <= {entry.name for entry in Registry.scan().entries}


def test_scan_and_help_import_no_plugin(site: Path) -> None:
    install(
        site, "acme", {"mtrack.rewards": {"near": "acme_parts:Near"}}, {"acme_parts.py": "raise SystemExit\n" + REWARD}
    )
    registry = Registry.scan()
    assert [(entry.help, entry.error) for entry in registry.entries if entry.distribution == "acme"] == [
        ("Closeness.", "")
    ]
    assert "acme_parts" not in sys.modules


def test_help_of_a_submodule_does_not_import_its_package(site: Path) -> None:
    modules = {"acme/__init__.py": "raise RuntimeError", "acme/parts.py": REWARD}
    install(site, "acme", {"mtrack.rewards": {"near": "acme.parts:Near"}}, modules)
    assert Registry.scan().find("reward", "near").help == "Closeness."
    assert "acme" not in sys.modules


def test_syntax_errors_and_missing_names_are_found_without_importing(site: Path) -> None:
    install(
        site,
        "acme",
        {"mtrack.rewards": {"torn": "acme_torn:Near", "absent": "acme_parts:Far", "odd": "acme_parts"}},
        {"acme_torn.py": "x = 1\ndef (", "acme_parts.py": REWARD},
    )
    errors = {entry.name: entry.error for entry in Registry.scan().entries if entry.distribution == "acme"}
    assert "syntax error" in errors["torn"] and "line 2" in errors["torn"]
    assert errors["absent"] == "module 'acme_parts' has no 'Far'"
    assert errors["odd"] == "its entry point 'acme_parts' is not 'module:name'"


def test_names_that_a_module_imports_or_defines_conditionally_are_not_missing(site: Path) -> None:
    source = "from acme_other import Far\nif True:\n    class Near: ...\n"
    install(
        site,
        "acme",
        {"mtrack.rewards": {"far": "acme_parts:Far", "near": "acme_parts:Near"}},
        {"acme_parts.py": source},
    )
    assert [entry.error for entry in Registry.scan().entries if entry.distribution == "acme"] == ["", ""]


def test_an_unreadable_distribution_is_reported_and_does_not_hide_others(site: Path) -> None:
    install(site, "broken", b"[mtrack.rewards]\nnear = \xff\xfe:Near\n")
    install(site, "acme", {"mtrack.rewards": {"near": "acme_parts:Near"}}, {"acme_parts.py": REWARD})
    registry = Registry.scan()
    assert registry.find("reward", "near").distribution == "acme"
    (problem,) = registry.problems
    assert "broken-1.0.dist-info" in problem


def test_metadata_without_a_name_does_not_hide_others(site: Path) -> None:
    install(site, "nameless", {"mtrack.rewards": {"near": "x:Y"}})
    (site / "nameless-1.0.dist-info" / "METADATA").write_text("garbage", "utf-8")
    registry = Registry.scan()
    assert any("nameless" in problem for problem in registry.problems)
    assert registry.find("robot", "g1").distribution == "mtrack"


def test_an_unknown_entry_point_group_is_reported_with_the_nearest_one(site: Path) -> None:
    install(site, "acme", {"mtrack.reward": {"near": "acme_parts:Near"}})
    (problem,) = Registry.scan().problems
    assert "unknown entry-point group 'mtrack.reward'; did you mean 'mtrack.rewards'?" in problem


def test_a_name_of_two_distributions_must_be_qualified(site: Path) -> None:
    for name in ("acme", "other-rewards"):
        module = f"{name.replace('-', '_')}_parts"
        install(site, name, {"mtrack.rewards": {"near": f"{module}:Near"}}, {f"{module}.py": REWARD})
    registry = Registry.scan()
    assert [entry.distribution for entry in registry.entries if entry.name == "near"] == ["acme", "other-rewards"]
    with pytest.raises(NameProblem, match=r'choose one with use = "acme:near" or "other-rewards:near"'):
        registry.find("reward", "near")
    assert registry.find("reward", "Other_Rewards:near").distribution == "other-rewards"


def test_an_outdated_egg_info_does_not_hide_the_installed_distribution(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "acme", {"mtrack.rewards": {"near": "acme_parts:Near"}})
    stale = site.parent / "checkout" / "acme.egg-info"
    stale.mkdir(parents=True)
    (stale / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.1\n", "utf-8")
    (stale / "entry_points.txt").write_text("[mtrack.rewards]\nold = acme_old:Old\n", "utf-8")
    monkeypatch.syspath_prepend(stale.parent)
    assert [entry.name for entry in Registry.scan().entries if entry.distribution == "acme"] == ["near"]


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    with pytest.raises(
        NameProblem, match=r"no reward named 'feet_slipp'; did you mean 'feet_slip'\?   'mtrack list-plugins reward'"
    ):
        Registry.scan().find("reward", "feet_slipp")


def test_an_unknown_name_mentions_other_kinds_that_have_it() -> None:
    with pytest.raises(NameProblem, match="there is a robot of that name"):
        Registry.scan().find("logger", "g1")


def test_a_missing_distribution_is_distinguished_from_a_typo() -> None:
    with pytest.raises(NameProblem, match="'pip install acme-rewards'"):
        Registry.scan().find("reward", "acme-rewards:near")


def test_the_allow_list_rejects_others_but_never_mtrack(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        site, "acme", {"mtrack.rewards": {"near": "acme_parts:Near"}}, {"acme_parts.py": "raise SystemExit\n" + REWARD}
    )
    monkeypatch.setenv("MTRACK_PLUGINS", "some-other")
    registry = Registry.scan()
    with pytest.raises(NameProblem, match="acme is not in the allow list MTRACK_PLUGINS"):
        registry.find("reward", "near")
    entry = next(entry for entry in registry.entries if entry.name == "near")
    with pytest.raises(ComponentError, match="allow list"):
        registry.load(entry)
    assert "acme_parts" not in sys.modules
    assert not registry.find("robot", "g1").refusal
    monkeypatch.setenv("MTRACK_PLUGINS", "some-other,ACME")
    assert Registry.scan().find("reward", "near").distribution == "acme"


def test_a_rejected_distribution_does_not_make_a_name_ambiguous(site: Path) -> None:
    for name in ("acme", "other"):
        install(site, name, {"mtrack.rewards": {"near": f"{name}_parts:Near"}}, {f"{name}_parts.py": REWARD})
    assert Registry.scan(allow=["other"]).find("reward", "near").distribution == "other"


def test_a_valid_component_is_loaded_once(site: Path) -> None:
    registry, entry = Registry.scan(), rewards(site, REWARD)
    assert registry.load(entry) is registry.load(entry)
    assert registry.load(entry)().sigma == 1.0


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import a_missing_module", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def (", "SyntaxError"),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line$"),
        ("Other = 1", "AttributeError"),
    ],
)
def test_a_failed_import_is_explained_in_one_line_with_component_and_reason(site: Path, source: str, what: str) -> None:
    entry = rewards(site, source)
    with pytest.raises(ComponentError, match=what) as caught:
        Registry.scan().load(entry)
    assert str(caught.value).startswith("reward 'near' (acme 1.0) cannot be imported: ")
    assert "\n" not in str(caught.value)


def test_an_interrupt_during_an_import_is_not_an_error_of_the_plugin(site: Path) -> None:
    entry = rewards(site, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry.scan().load(entry)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("Near = 3", "breaks the contract of a reward: it is an int, not a class"),
        ("class Near:\n    def __call__(self, scene): ...", "not made with @component"),
        (REWARD.replace("def __call__", "def compute"), r"no method __call__\(scene\)"),
        (REWARD.replace("(self, scene)", "(self)"), r"__call__ cannot be called with \(scene\)"),
        (REWARD.replace("sigma: float", "weight: float"), "parameter 'weight' has the name of a key that mtrack reads"),
        (REWARD.replace("param(default=1.0)", "1.0"), "field 'sigma' has no role"),
        (REWARD.replace("sigma: float", "sigma: 'Unknown'"), "annotations must be importable at run time"),
    ],
)
def test_a_broken_contract_is_explained(site: Path, source: str, what: str) -> None:
    entry = rewards(site, source)
    with pytest.raises(ComponentError, match=what):
        Registry.scan().load(entry)


def test_an_attribute_of_the_contract_may_be_a_parameter(site: Path) -> None:
    source = REWARD.replace("sigma: float = param(default=1.0)", "timeout: bool = param(default=False)")
    install(
        site,
        "acme",
        {"mtrack.terminations": {"a": "acme_parts:Near", "b": "acme_b:Near"}},
        {"acme_parts.py": source, "acme_b.py": REWARD},
    )
    registry = Registry.scan()
    registry.load(registry.find("termination", "a"))
    with pytest.raises(ComponentError, match="no attribute 'timeout'"):
        registry.load(registry.find("termination", "b"))


def test_a_randomization_that_changes_nothing_breaks_the_contract(site: Path) -> None:
    idle = REWARD.replace("def __call__", "def bind")
    acts = idle + "\n    def reset(self, ids): ...\n"
    points = {"mtrack.randomizations": {"idle": "idle:Near", "acts": "acts:Near"}}
    install(site, "acme", points, {"idle.py": idle, "acts.py": acts})
    registry = Registry.scan()
    registry.load(registry.find("randomization", "acts"))
    with pytest.raises(ComponentError, match=r"none of the methods startup, reset, .* so it randomizes nothing"):
        registry.load(registry.find("randomization", "idle"))


def test_the_fake_components_of_other_tests_fulfil_their_contracts(site: Path) -> None:
    install_parts(site)
    registry = Registry.scan()
    for entry in registry.entries:
        if entry.distribution == "fake-parts":
            registry.load(entry)


def test_the_registry_imports_no_heavy_module() -> None:
    code = (
        "import sys; from mtrack.registry.registry import Registry; "
        "[entry.help for entry in Registry.scan().entries]; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "numpy", "mujoco", "typer", "rich"}.isdisjoint(loaded)


def test_a_plugin_for_mtrack_0_1_is_named_with_the_remedy(site: Path) -> None:
    entry = rewards(site, "from mtrack.fields import component\n\n\nclass Near:\n    pass\n")
    with pytest.raises(
        ComponentError, match=r"'mtrack\.fields'; it was written for mtrack 0\.1, upgrade it\..*CHANGELOG"
    ):
        Registry.scan().load(entry)
