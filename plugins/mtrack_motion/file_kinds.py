"""Recognise files that no importer reads by their content: why mtrack cannot use them, and what to do instead."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

RETARGET = (
    "it contains the motion of a person's skeleton, not joint angles of a robot; to make a robot move like the person, "
    "use `mtrack motions retarget FILE -o DIR`"
)
_EXPORT = (
    "it contains the motion of a person's skeleton or markers, and mtrack cannot read it; export it as BVH, and use "
    "`mtrack motions retarget FILE -o DIR`"
)
TABLE = "save the table as text (.csv): root x y z, quaternion x y z w, then the joints, one row per frame"
ARRAYS = (
    "save it as arrays: np.savez('walk.npz', fps=..., root_pos=..., root_rot=..., dof_pos=..., joint_names=...), "
    "with the quaternion in the order x, y, z, w and angles in rad"
)
_TORCH = (
    "is a PyTorch file; a person's motion of GVHMR (hmr4d_results.pt) is read by `mtrack motions retarget FILE -o "
    f"DIR`. Otherwise load its tensors with torch.load(FILE, weights_only=True): {ARRAYS}"
)
_LISTED = 4
_HEAD = 4096

_BEGINNINGS: dict[bytes, str] = {
    b"Kaydara FBX": f"is an FBX file: {_EXPORT}",
    b"; FBX": f"is an FBX file: {_EXPORT}",
    b"glTF": f"is a glTF file: {_EXPORT}",
    b"\x89HDF\r\n\x1a\n": f"is an HDF5 file (.h5, or .mat of MATLAB 7.3); {ARRAYS}",
    b"MATLAB 5.0": f"is a MATLAB file; {ARRAYS}",
    b"PAR1": f"is a Parquet file; {TABLE}",
    b"ARROW1": f"is an Arrow file; {TABLE}",
    b"\xd0\xcf\x11\xe0": f"is an old Excel workbook (.xls); {TABLE}",
    b"SQLite format 3": f"is an SQLite database; {TABLE}",
    b"#ROSBAG": f"is a ROS bag; export its joint states and the root pose, then {TABLE}",
    b"\x89MCAP": f"is an MCAP recording; export its joint states and the root pose, then {TABLE}",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it with 'zstd -d FILE' and import the result",
    b"\x04\x22\x4d\x18": "is compressed with lz4; unpack it with 'lz4 -d FILE' and import the result",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it and import the directory",
    b"Rar!": "is a rar archive; unpack it and import the directory",
    b"%PDF": "is a PDF document, not a motion",
    b"\x89PNG": "is a picture, not a motion",
    b"\xff\xd8\xff": "is a picture, not a motion",
    b"GIF8": "is a picture, not a motion",
    b"\x7fELF": "is a program, not a motion",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run 'git lfs pull' in its repository",
}
_VIDEO = (
    "is a video; mtrack needs the motion in numbers: estimate the person's motion (for example with GVHMR), and use "
    "`mtrack motions retarget FILE -o DIR`"
)
_TEXTS: dict[str, str] = {
    r"HIERARCHY\s+ROOT\b": f"is a BVH file: {RETARGET}",
    r":version\b|:units\b|:root\b": f"is an ASF skeleton file: {_EXPORT}",
    r":FULLY-SPECIFIED|:DEGREES": f"is an AMC motion file: {_EXPORT}",
    r"PathFileType\s": f"is a TRC file of markers: {_EXPORT}",
    r"<!DOCTYPE html|<html": "is a web page, probably in place of the file; download the file itself",
    r"(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(mujoco|robot|sdf)\b": "describes a robot, not a motion",
}
_ZIPS: dict[str, str] = {
    r"xl/workbook": f"is an Excel workbook; {TABLE}",
    r"word/document": "is a document, not a motion",
    r"content\.xml": f"is an OpenDocument file; {TABLE}",
    r"([^/]+/)?(data\.pkl|constants\.pkl)": _TORCH,
}


def what_it_is(path: Path) -> str:
    """Return what a file is and what to do with it, as the rest of a sentence; empty if its content is unknown."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}; check its permissions"
    if not head:
        return "is empty; copy or export it again"
    return next((kind for look in (_binary_kinds, _zip_kinds, _text_kinds) for kind in look(head, path)), "")


def how_text_begins(path: Path) -> str:
    """Return the beginning of the first line of text in a file; empty if it is not text."""
    with path.open("rb") as file:
        lines = as_text(file.read(_HEAD)).splitlines()
    return next((line.strip() for line in lines if line.strip()), "")[:40]


def kinds_of_files(folder: Path) -> str:
    """Return how many files of each suffix are in a directory: `3 .csv, 1 .pkl`; empty without files."""
    counts: dict[str, int] = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            counts[file.suffix or "without suffix"] = counts.get(file.suffix or "without suffix", 0) + 1
    common = sorted(counts, key=lambda suffix: (-counts[suffix], suffix))[:_LISTED]
    return ", ".join(f"{counts[suffix]} {suffix}" for suffix in common)


def _binary_kinds(head: bytes, path: Path) -> Iterator[str]:
    yield from (kind for start, kind in _BEGINNINGS.items() if head.startswith(start))
    if head[4:8] == b"ftyp" or head.startswith(b"\x1a\x45\xdf\xa3") or (head[:4] == b"RIFF" and head[8:11] == b"AVI"):
        yield _VIDEO
    if head[257:262] == b"ustar":
        yield "is a tar archive; unpack it with 'tar xf FILE' and import the directory"
    if head[1:2] == b"\x50" and 2 <= head[0] <= 40 and len(head) >= 512 and b"\0" in head[:64]:
        yield f"is a C3D file of markers: {_EXPORT}"
    if b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in head[:32]:  # the magic number of files from before PyTorch 1.6
        yield _TORCH


def _zip_kinds(head: bytes, path: Path) -> Iterator[str]:
    if not head.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return
    for pattern, kind in _ZIPS.items():
        if any(re.match(pattern, name) for name in names):
            yield kind
    if not any(name.endswith(".npy") for name in names):
        listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        files = "1 file" if len(names) == 1 else f"{len(names)} files"
        yield f"is a zip archive of {files} ({listed}); unpack it and import the directory"


def _text_kinds(head: bytes, path: Path) -> Iterator[str]:
    text = as_text(head)
    for pattern, kind in _TEXTS.items():
        if re.match(rf"\s*(?:{pattern})", text, re.IGNORECASE | re.DOTALL):
            yield kind


def as_text(content: bytes) -> str:
    """Decode content as text in any common encoding; empty if it is not text."""
    marks: dict[bytes, str] = {
        b"\xef\xbb\xbf": "utf-8-sig",
        b"\xff\xfe\x00\x00": "utf-32",
        b"\x00\x00\xfe\xff": "utf-32",
        b"\xff\xfe": "utf-16",
        b"\xfe\xff": "utf-16",
    }
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "")
    head = content[:_HEAD]
    if not encoding and 3 * head.count(0) > len(head):  # two-byte digits without a byte order mark
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    text = content.decode(encoding or "utf-8", "ignore" if encoding else "replace")
    if "\ufffd" in text:
        text = content.decode("latin-1")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    is_text = all(character.isprintable() or character in "\n\t\f" for character in text[:_HEAD])
    return text if is_text else ""
