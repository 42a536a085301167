"""Random damage for the fuzzer: of arrays, and of the files that contain them."""

from __future__ import annotations

import io
import json
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
from fuzz_mutations import VALUES, damage_bytes, damage_tree
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors


def damaged_npz(content: bytes, rng: random.Random) -> bytes:
    """Return an .npz file with damaged arrays, or with damaged bytes if it is damaged already."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            members = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return damage_bytes(content, rng)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(members))
        members[name] = damaged_array(members[name], rng)
        if rng.random() < 0.1:
            members[rng.choice(("x", "fps", "schema_version"))] = members.pop(name)
    file = io.BytesIO()
    with np.errstate(all="ignore"):
        np.savez(file, **members)
    return file.getvalue()


def damaged_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return an array with another value, shape or type."""
    change = rng.randrange(6)
    with np.errstate(all="ignore"):
        if change == 0 and array.dtype.kind in "fiu" and array.size:
            array = array.copy()
            array.reshape(-1)[rng.randrange(array.size)] = (
                rng.choice((np.nan, np.inf, 1e18, -1.0, 0.0)) if (array.dtype.kind == "f") else rng.choice((0, 1, 100))
            )
        elif change == 1:
            array = np.asarray(array.tolist()[: rng.randrange(3)] if array.ndim else [array.tolist()])
        elif change == 2 and array.dtype.kind in "fiu":
            array = np.nan_to_num(array).clip(-100, 100).astype(rng.choice(("f2", "f4", "f8", "i1", "i8", "U3", "?")))
        elif change == 3:
            array = np.asarray(array)[None] if rng.random() < 0.5 else np.asarray(array).T
        elif change == 4:
            array = np.zeros(
                rng.choice(((), (0,), (5,), (5, 0), (5, 4), (6, 29), (2, 2, 2, 2))), rng.choice(("f4", "U1"))
            )
        else:
            array = np.array(rng.choice(("", "x", "../../x", "é", "a" * 3000, "nan")))
    return array


def damaged_pickle(file: Path, rng: random.Random) -> bytes:
    """Return a pickle of the same dictionary with another value."""
    try:
        content = pickle.loads(file.read_bytes())  # our own example
    except Exception:  # joblib's format
        return damage_bytes(file.read_bytes(), rng)
    if isinstance(content, dict) and content:
        key = rng.choice(list(content))
        value = content[key]
        content[key] = damaged_array(value, rng) if isinstance(value, np.ndarray) else rng.choice(VALUES)
    return pickle.dumps(content, protocol=rng.randrange(6))


def damaged_table(content: bytes, rng: random.Random) -> bytes:
    """Return CSV text with other cells, lines, separators or encoding."""
    lines = content.decode(errors="replace").splitlines() or [""]
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(len(lines))
        cells = lines[number].split(",")
        change = rng.randrange(5)
        if change == 0:
            cells[rng.randrange(len(cells))] = rng.choice(("nan", "inf", "", "x", "1e400", "-", "0x1", "1,2", '"'))
        elif change == 1:
            del cells[rng.randrange(len(cells))]
        elif change == 2:
            cells.append(rng.choice(("0", "x", "")))
        lines[number] = rng.choice((",", ",", ",", ";", "\t", " ")).join(cells)
        if change == 3:
            lines.insert(number, rng.choice(("", "time,x,y", "#", lines[number])))
        elif change == 4:
            del lines[number]
            lines = lines or [""]
    return (
        rng.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode(rng.choice(("utf-8", "utf-8", "utf-16")), "replace")
    )


def damaged_tensors(content: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file with damaged bytes, another header, or other tensors."""
    kind = rng.random()
    if kind < 0.3:
        return damage_bytes(content, rng)
    if kind < 0.6:
        size = int.from_bytes(content[:8], "little")
        header = json.dumps(damage_tree(json.loads(content[8 : 8 + size]), rng)).encode("utf-8", "surrogatepass")
        return len(header).to_bytes(8, "little") + header + content[8 + size :]
    tensors = load_tensors(content)
    for _ in range(rng.randint(1, 2)):
        if tensors:
            name = rng.choice(sorted(tensors))
            array = damaged_array(tensors[name], rng)
            tensors[name] = np.ascontiguousarray(array if array.dtype.kind in "fiub" else np.zeros(3, np.float32))
            if rng.random() < 0.2:
                del tensors[name]
    return save_tensors(tensors)
