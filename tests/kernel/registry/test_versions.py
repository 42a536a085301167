"""A package can be used only if its metadata accept this version of mtrack."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mtrack import NameProblem
from mtrack.registry.registry import Registry
from mtrack.registry.versions import fits, unmet
from mtrack_testing import install

NEXT = "0.2.0.dev0"


def reason_for(needs: str) -> str:
    return needs and f"it needs {needs}, this is {NEXT}: upgrade one of the two"


@pytest.mark.parametrize(
    ("requirements", "needs"),
    [
        (["mtrack"], ""),
        (["mtrack[gpu]"], ""),
        (["mtrack[gpu]>=0.1"], ""),
        (["mtrack[gpu,wandb] >=99"], "mtrack >=99"),
        (["mtrack>=0.0.1", "numpy>=99"], ""),
        (["mtrack-extras>=99", "mtrack.more>=99", "mtrack_more>=99"], ""),
        (["numpy", "MTrack[gpu] (>=0.0.1,<0.0.2)"], "mtrack <0.0.2,>=0.0.1"),
        (["mtrack!=99"], ""),
        (["mtrack>=0.1", "mtrack<0.2"], "mtrack <0.2"),
        (["mtrack@ git+https://example.org/mtrack.git"], ""),
    ],
)
def test_unmet_requirements_on_mtrack_are_found(requirements: list[str], needs: str) -> None:
    assert unmet(requirements, "mtrack", NEXT) == reason_for(needs)


@pytest.mark.parametrize(
    ("conditions", "version", "is_met"),
    [
        ("~=0.1.0", "0.1.7", True),
        ("~=0.1.0", "0.2.0", False),
        ("~=0.1", "0.2.0", True),
        ("~=0.1", "1.0", False),
        ("==0.1.*", "0.1.3", True),
        ("==0.1.*", "0.2.0", False),
        ("==1.*", "0.1.0", False),
        ("!=0.1.*", "0.1.0", False),
        ("===0.1.0", "0.1.0", True),
        (">=0.9", "0.10", True),
        ("==0.1", "0.1.0", True),
        ("==2.13.0", "2.13.0+cpu", True),
    ],
)
def test_every_kind_of_condition_is_checked(conditions: str, version: str, is_met: bool) -> None:
    assert fits(version, conditions) is is_met
    assert (unmet([f"mtrack{conditions}"], "mtrack", version) == "") is is_met


@pytest.mark.parametrize(
    ("conditions", "is_met"),
    [(">=0.1", True), ("~=0.1", True), (">=0.2.0.dev0", True), ("~=0.1.0", False), ("<0.2", False), (">=0.2", False)],
)
def test_a_pre_release_of_mtrack_is_later_than_the_release_before_it(conditions: str, is_met: bool) -> None:
    assert (unmet([f"mtrack{conditions}"], "mtrack", NEXT) == "") is is_met


@pytest.mark.parametrize(
    ("marker", "applies"),
    [
        ("extra == 'dev'", False),
        ("extra == 'dev' and python_version >= '3'", False),
        ("python_version >= '3'", True),
        ("python_version < '3'", False),
        ("sys_platform == 'nowhere'", False),
    ],
)
def test_a_requirement_counts_only_if_its_marker_applies(marker: str, applies: bool) -> None:
    assert unmet([f"mtrack>=99; {marker}"], "mtrack", NEXT) == reason_for("mtrack >=99" if applies else "")


@pytest.mark.parametrize(
    "line", ["mtrack >= new", "mtrack>=1;;", "mtrack=1.0", "mtrack[gpu", "mtrack>=1; colour == 'red'"]
)
def test_an_invalid_requirement_on_mtrack_is_not_met(line: str) -> None:
    reason = f"its requirement '{line}' is invalid: upgrade it, or ask its authors to fix that line"
    assert unmet(["numpy", line], "mtrack", NEXT) == reason


def test_an_invalid_requirement_on_something_else_does_not_matter() -> None:
    assert unmet(["num py >> 3", "", "mtrack-extras >= new", "mtrack>=0.1"], "mtrack", NEXT) == ""


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("mtrack~=9.1", "it needs mtrack ~=9.1, this is {}: upgrade one of the two"),
        ("mtrack==9.*", "it needs mtrack ==9.*, this is {}: upgrade one of the two"),
        ("mtrack>=new", "its requirement 'mtrack>=new' is invalid: upgrade it, or ask its authors to fix that line"),
    ],
)
def test_components_of_a_package_that_needs_another_mtrack_are_rejected(
    site: Path, requirement: str, reason: str
) -> None:
    install(site, "acme", {"mtrack.rewards": {"near": "acme_parts:Near"}})
    (info,) = site.glob("acme-*.dist-info")
    with (info / "METADATA").open("a", encoding="utf-8") as file:
        file.write(f"Requires-Dist: {requirement}\n")
    registry = Registry.scan()
    with pytest.raises(NameProblem) as caught:
        registry.find("reward", "near")
    assert str(caught.value).endswith(reason.format(metadata.version("mtrack")))
    assert registry.find("robot", "g1").distribution == "mtrack"


def test_packaging_is_imported_only_for_a_requirement_with_conditions_on_mtrack() -> None:
    code = "import sys; from mtrack.registry.versions import unmet; unmet({}, 'mtrack', '0.1'); print(*sys.modules)"
    for requirements, is_needed in ((["mtrack", "numpy>=2", "mtrack-extras>=1"], False), (["mtrack>=0.1"], True)):
        command = [sys.executable, "-c", code.format(requirements)]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert ("packaging.requirements" in loaded) is is_needed
