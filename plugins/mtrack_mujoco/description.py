"""Converts a compiled model to text and numbers that compile to the same model anywhere, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import MtrackError

_XML, _ASSET, _FLOAT = "mjcf", "asset.", "float."
_FOLDERS = ("meshdir", "texturedir", "assetdir")
_SIZES = ("nq", "nv", "nu", "na", "nbody", "njnt", "ngeom", "nsite", "nsensordata", "neq", "ntendon", "narena")


def describe(spec: mujoco.MjSpec, model: mujoco.MjModel) -> dict[str, Tensor]:
    """Return the parts from which `rebuild` makes the same model: MJCF, its files, and the numbers that text rounds.

    They hold no compiled binary and no path of this machine. `model` is compiled from `spec`. Raises MtrackError if its
    text compiles to another model.
    """
    root = ElementTree.fromstring(spec.to_xml())
    parts = {_ASSET + name: _bytes(data) for name, data in _take_files(root, spec).items()}
    parts[_XML] = _bytes(ElementTree.tostring(root))
    rounded = _compile(parts)
    if _layout(rounded) != _layout(model):
        raise MtrackError("the robot's description, written as MJCF, compiles to a model of other sizes")
    exact, from_text = _floats(model), _floats(rounded)
    differing = {name: value for name, value in exact.items() if not np.array_equal(value, from_text[name])}
    parts |= {_FLOAT + name: torch.from_numpy(np.array(value)) for name, value in differing.items()}
    return parts | {"layout": _bytes(_layout(model).encode())}


def rebuild(parts: Mapping[str, Tensor]) -> mujoco.MjModel:
    """Return the model of a description. Raises MtrackError if it is damaged, unsafe, or compiles differently here."""
    if not {_XML, "layout"} <= parts.keys():
        raise MtrackError("the description of the model is missing")
    model = _compile(parts)
    if _layout(model) != _text(parts["layout"]):
        raise MtrackError(
            f"with mujoco {mujoco.__version__} the model compiles to other sizes or elements than when it was "
            "recorded: install the version of mujoco that recorded it"
        )
    known = _floats(model)
    for key, value in parts.items():
        if key.startswith(_FLOAT):
            name = key.removeprefix(_FLOAT)
            if name not in known or known[name].shape != tuple(value.shape):
                raise MtrackError(
                    f"the description of the model has '{name}' of shape {list(value.shape)}: it is damaged"
                )
            _set(model, name, value.numpy())
    return model


def _take_files(root: ElementTree.Element, spec: mujoco.MjSpec) -> dict[str, bytes]:
    """Return the content of each file that the text names, and rename it there without a folder. Raises MtrackError."""
    folders = [str(element.attrib.pop(name, "")) for element in root.iter("compiler") for name in _FOLDERS]
    found: dict[str, bytes] = {}
    for element in root.iter():
        for key, file in element.attrib.items():
            if key.startswith("file") and file:  # `file`, or for the six sides of a cube `fileup` and the like
                name = f"{len(found)}{Path(file).suffix}"
                found[name] = _content(file, folders, spec)
                element.set(key, name)
    return found


def _content(file: str, folders: list[str], spec: mujoco.MjSpec) -> bytes:
    if file in spec.assets:
        return bytes(spec.assets[file])
    base = Path(spec.modelfiledir)
    for path in (base / file, *(base / folder / file for folder in folders)):
        if path.is_file():
            return path.read_bytes()
    raise MtrackError(f"the file '{file}' of the robot's description is missing")


def _compile(parts: Mapping[str, Tensor]) -> mujoco.MjModel:
    """Compile a text that may name its own files only: an `include` could read any file. Raises MtrackError."""
    assets = {name.removeprefix(_ASSET): _raw(value) for name, value in parts.items() if name.startswith(_ASSET)}
    text = _text(parts[_XML])
    if "<!" in text.replace("<!--", ""):
        raise MtrackError("the description of the model declares a document type, which is not allowed in MJCF")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise MtrackError(f"the description of the model is not XML: {error}") from error
    for element in root.iter():
        names = [value for key, value in element.attrib.items() if key.startswith("file")]
        if element.tag == "include" or any(name and name not in assets for name in names):
            raise MtrackError(f"the description of the model reads a file from elsewhere (<{element.tag}>): rejected")
    try:  # compile what has been checked: two parsers might read the text differently
        return mujoco.MjSpec.from_string(ElementTree.tostring(root, "unicode"), assets=assets).compile()
    except ValueError as error:
        raise MtrackError(f"the description of the model does not compile: {error}") from error


def _layout(model: mujoco.MjModel) -> str:
    """Return a hash of everything that is not a floating-point number: sizes, indices, flags and names."""
    digest = hashlib.sha256(str([getattr(model, name) for name in _SIZES]).encode())
    digest.update(model.names)
    for owner in (model, model.opt):
        for name in sorted(_public(owner)):
            value = getattr(owner, name)
            if isinstance(value, np.ndarray) and value.dtype.kind != "f":
                digest.update(f"{name} {value.shape}".encode() + value.tobytes())
            elif owner is model.opt and isinstance(value, int):
                digest.update(f"{name} {value}".encode())
    return digest.hexdigest()


def _floats(model: mujoco.MjModel) -> dict[str, Any]:
    """Return every floating-point array and number of a model by name, such as `body_mass` or `opt.timestep`."""
    found: dict[str, Any] = {}
    for prefix, owner in (("", model), ("opt.", model.opt), ("stat.", model.stat)):
        for name in _public(owner):
            value = np.asarray(getattr(owner, name)) if _is_number(getattr(owner, name)) else None
            if value is not None and value.dtype.kind == "f":
                found[prefix + name] = value
    return found


def _set(model: mujoco.MjModel, name: str, value: Any) -> None:
    owner, _, attribute = name.rpartition(".")
    holder = getattr(model, owner) if owner else model
    if value.ndim:
        getattr(holder, attribute)[:] = value
    else:
        setattr(holder, attribute, float(value))


def _public(owner: object) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_") and _is_number(getattr(owner, name))]


def _is_number(value: object) -> bool:
    return isinstance(value, np.ndarray | float | int)


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)


def _raw(value: Tensor) -> bytes:
    return bytes(value.to(torch.uint8).numpy().tobytes())


def _text(value: Tensor) -> str:
    try:
        return _raw(value).decode()
    except UnicodeDecodeError as error:
        raise MtrackError("the description of the model is damaged: it is not UTF-8 text") from error
