"""Checks versions against requirements, by the rules of Python packaging (PEP 440 and PEP 508)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata


def fits(version: str, conditions: str) -> bool:
    """Return whether a version meets conditions such as `>=3.17,!=4.0.0`; False if it is not a PEP 440 version."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415  slow, and not needed by most commands
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    try:
        # development versions count as earlier than their release: 0.2.0.dev0 meets >=0.1 but not >=0.2
        return SpecifierSet(conditions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def unmet(requirements: Iterable[str], distribution: str, version: str = "") -> str:
    """Return the first requirement on a distribution that is not met, and what to do; empty if all are met.

    `version` is the version to check; by default that of the installed distribution.
    """
    # importing packaging takes as long as a whole listing, so it is only imported for lines with conditions
    concerns = re.compile(rf"\s*{re.escape(distribution)}(?![\w.-])\s*\S", re.IGNORECASE)
    for line in filter(concerns.match, requirements):
        problem = _problem(line, distribution, version or metadata.version(distribution))
        if problem:
            return problem
    return ""


def _problem(line: str, distribution: str, version: str) -> str:
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName  # noqa: PLC0415
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    try:
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
        return f"its requirement '{line}' is invalid: upgrade it, or ask its authors to fix that line"
    if not applies or fits(version, str(requirement.specifier)):
        return ""
    return f"it needs {distribution} {requirement.specifier}, this is {version}: upgrade one of the two"
