"""Changes an exported policy together with its copies and hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mtrack_deploy.contract import METADATA_KEY

Change = Callable[[dict[str, Any]], None]


def edit(folder: Path, change: Change, copies: str = "") -> None:
    """Change policy.json; with `network` also its copy there, with `trace` also the copy in the golden trace."""
    plain = json.loads((folder / "policy.json").read_text("utf-8"))
    change(plain)
    if "trace" in copies:
        with np.load(folder / "golden_trace.npz") as arrays:
            trace = {name: arrays[name] for name in arrays.files}
        recorded = json.loads(str(trace["contract"]))
        trace["contract"] = np.array(json.dumps({name: plain[name] for name in recorded}))
        np.savez(folder / "golden_trace.npz", **trace)
        plain["golden_trace"]["sha256"] = sha256(folder / "golden_trace.npz")
    if "network" in copies:
        network = onnx.load(folder / "policy.onnx")
        (entry,) = [one for one in network.metadata_props if one.key == METADATA_KEY]
        entry.value = json.dumps(plain)
        onnx.save(network, folder / "policy.onnx")
        plain["policy"]["sha256"] = sha256(folder / "policy.onnx")
    (folder / "policy.json").write_text(json.dumps(plain), "utf-8")


def sha256(file: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
