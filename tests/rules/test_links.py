"""Links lead somewhere: relative ones to files and headings that exist, none to a page of mtrack on the web."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtrack_dev.scaffold import EXAMPLES, create

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
WRITTEN = ["*.py", "*.toml", "*.md", "*.tmpl", "*.sh", "*.txt"]


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", text)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as they are derived from headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in links(text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_nothing_links_to_a_web_page_of_mtrack_because_there_is_none() -> None:
    folders = [ROOT / name for name in ("mtrack", "plugins", "deploy", "recipes", "benchmarks", "docs")]
    files = [file for folder in folders for pattern in WRITTEN for file in folder.rglob(pattern)]
    files += [file for pattern in WRITTEN for file in ROOT.glob(pattern)]
    found = {
        str(file.relative_to(ROOT)): urls
        for file in files
        if (urls := re.findall(r"https?://\S*mtrack\S*", file.read_text("utf-8")))
    }
    assert found == {}


def test_a_new_plugin_links_only_to_its_own_files(tmp_path: Path) -> None:
    for file in create("acme-parts", list(EXAMPLES), tmp_path):
        text = file.read_text("utf-8")
        assert "://" not in text, file
        assert [link for link in links(text) if not (file.parent / link).exists()] == []
