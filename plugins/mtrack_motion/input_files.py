"""Find the files that an import has to read, and say which ones to skip: pictures, documents, code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from mtrack import MotionError
from mtrack_motion.file_kinds import RETARGET, what_it_is

_NO_MOTION = {
    "is a picture or a video": "png jpg jpeg gif svg webp bmp tif tiff mp4 mov avi webm mkv",
    "is a document": "md rst pdf html htm doc docx bib ipynb",
    "is code or the description of a robot": "py pyc sh urdf mjcf stl obj dae glb usd usda",
}
_TEXTS = (".txt", ".json", ".toml", ".yaml", ".yml", ".xml", ".log", ".cfg", ".ini")
"""May be documents or motions; the content decides."""
_NAMED = ("readme", "license", "licence", "notice", "changelog", "authors", "citation", "copying", "makefile")
_SAMPLE = 4096  # characters
_NUMBERS = re.compile(r"[-+]?\d[\d.eE+-]*")
_MOSTLY = 0.5


@attrs.frozen
class InputFile:
    """A file that an import finds."""

    file: Path
    problem: str = ""
    """Why it cannot be opened."""


def input_files(path: Path) -> Iterator[InputFile]:
    """Yield a file, or every file in a directory and its subdirectories in order, without hidden files.

    A directory that cannot be read, or is a link, is yielded with its problem. Raises MotionError if there is no file.
    """
    if not path.is_dir():
        yield InputFile(path, "" if path.exists() else "there is no such file; check the path")
        return
    found: list[InputFile] = []

    def fail(error: OSError) -> None:
        found.append(InputFile(Path(error.filename), f"cannot be read: {error.strerror}; check its permissions"))

    for folder, folders, names in os.walk(path, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        links = (place for place in (Path(folder, name) for name in folders) if place.is_symlink())
        found += (InputFile(link, "is a link to a directory; import that directory by itself") for link in links)
        found += (_checked(Path(folder, name)) for name in names if not name.startswith("."))
    if not found:
        raise MotionError(f"{path}: contains no file; check the path")
    yield from sorted(found, key=lambda one: one.file)


def why_skipped(file: Path) -> str:
    """Return why a file that no importer recognises cannot be a motion; empty if it may be one."""
    suffix = file.suffix.lower()
    for kind, suffixes in _NO_MOTION.items():
        if suffix.removeprefix(".") in suffixes.split():
            return kind
    if file.stem.lower() in _NAMED:
        return "is a document"
    if suffix in _TEXTS and not _is_mostly_numbers(file) and RETARGET not in what_it_is(file):
        return "is text"
    return ""


def _checked(file: Path) -> InputFile:
    if file.is_file():
        return InputFile(file)
    return InputFile(file, "is a broken link; copy the file" if file.is_symlink() else "is not a regular file")


def _is_mostly_numbers(file: Path) -> bool:
    """Return whether the beginning of a text consists of numbers rather than words."""
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            text = opened.read(_SAMPLE)
    except OSError:
        return True
    written = re.sub(r"[\s,;\[\]{}()\"':]+", "", text)
    numbers = sum(len(number) for number in _NUMBERS.findall(text))
    return numbers > _MOSTLY * len(written)
