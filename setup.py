"""Compute the metadata that pyproject.toml cannot state: the README without what only a checkout has.

A wheel has no pictures and no docs/, so its description names the pages instead of linking to them.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

_PICTURE_AND_CAPTION = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n\*[^*]*\*\n\n", re.MULTILINE)
_RELATIVE_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+://)([^)#\s]*)[^)\s]*\)")


def description(readme: str) -> str:
    """Return the README for the package metadata: no pictures, and relative links as text."""
    return _RELATIVE_LINK.sub(r"\1 (`\2`)", _PICTURE_AND_CAPTION.sub("", readme))


setup(
    long_description=description((Path(__file__).parent / "README.md").read_text("utf-8")),
    long_description_content_type="text/markdown",
)
