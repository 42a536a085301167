"""Read the data in a pickle without importing or calling anything that the pickle names.

`pickle.Unpickler` with an allow-list in `find_class` is not enough: it allocates whatever size a pickle claims
(BYTEARRAY8, LONG_BINPUT), and limits neither values nor keys. So this module executes the instructions itself.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mtrack import MotionError
from mtrack_formats.restricted_types import MAKERS, Pending, PickledDtype, RejectedError
from mtrack_motion.decompress import InflationError, inflated, inflated_head, is_compressed

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_OPCODES = 1_000_000
MAX_DEPTH = 32

_OLD_BEGINNING = re.compile(rb"\((?:dp|lp)\d+\n|[}\]]q.|[}\]]\(|[}\]]\.|c[\w.]+\n[\w.]+\n[(p)q]", re.DOTALL)
"""How pickles of protocols 0 and 1 begin, which have no magic number: a dictionary, a list, or a function name."""
_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_FLOATS = {"FLOAT", "BINFLOAT"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_LITERALS = _INTEGERS | _FLOATS | _TEXTS | _BYTES
_REMEDIES = {
    "torch.": "call .numpy() on tensors before saving",
    "pandas.": "save a table with to_csv",
    "scipy.spatial.": "save rotations with .as_quat()",
    "chumpy.": "use the .npz of the body model, or convert it with tools/clean_ch.py of the package smplx",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], object]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(path: Path) -> object:
    """Return the plain values and numpy arrays of a pickle or joblib file. Raises MotionError; runs no code."""
    reader: _Reader | None = None
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error")
            reader = _Reader(_content(file))
            return _plain(reader.read(), {}, 0)
    except InflationError as error:
        raise MotionError(f"{path}: {error}") from None
    except RejectedError as rejection:
        place = f" at byte {reader.position:,}" if reader else ""
        raise MotionError(
            f"{path}: rejected{place}: {rejection}; none of its code was run. Save the motion as plain arrays instead"
        ) from None
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever the standard library and numpy raise is caused by the file's bytes
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise MotionError(f"{path}: damaged or not a pickle ({detail}); copy or export the file again") from None


def is_pickle(path: Path) -> bool:
    """Return whether a file begins like a pickle of any protocol; compressed files are inflated first."""
    try:
        with path.open("rb") as file:
            head = inflated_head(file.read(4096), 64)
    except OSError:
        return False
    return (len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5) or _OLD_BEGINNING.match(head) is not None


def _content(file: BinaryIO) -> BinaryIO:
    """Return the inflated content of a file in memory, so that a false size claim cannot read beyond it."""
    if (size := file.seek(0, io.SEEK_END)) > MAX_FILE_BYTES:
        raise RejectedError(f"the file has {size:,} bytes, more than {MAX_FILE_BYTES:,}; split it")
    file.seek(0)
    content = file.read()
    return io.BytesIO(inflated(content) if is_compressed(content) else content)


class _Reader:
    """The stack machine of the pickle format, without the instructions that could import or call anything."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.position = 0
        self.stack: list[object] = []
        self.below: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def read(self) -> object:
        """Return the value that the pickle describes."""
        for count, (opcode, argument, position) in enumerate(pickletools.genops(self.file)):
            self.position = position or 0
            if count >= MAX_OPCODES:
                raise RejectedError(f"more than {MAX_OPCODES:,} values; split it")
            if opcode.name == "STOP":
                break
            self._execute(opcode.name, argument)
        return self.stack.pop()

    def _execute(self, name: str, argument: object) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self._last(_TUPLES[name]))]
        elif name in ("PROTO", "FRAME"):
            pass  # a frame is only a hint to read ahead, which would skip joblib's arrays
        else:
            action = getattr(self, f"_{name.lower()}", None)
            if action is None:
                raise RejectedError(f"it uses the pickle instruction {name}")
            action(argument)

    def _last(self, count: int) -> list[object]:
        if len(self.stack) < count:
            raise IndexError("a value is missing")
        return self.stack[-count:]

    def _since_mark(self) -> list[object]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def _top(self, kind: type) -> object:
        if not isinstance(self.stack[-1], kind):
            raise RejectedError(f"it adds to a {type(self.stack[-1]).__name__} as if it were a {kind.__name__}")
        return self.stack[-1]

    # ---- containers

    def _mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _pop(self, _: object) -> None:
        self.stack.pop()

    def _tuple(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append(tuple(items))

    def _list(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append(items)

    def _dict(self, _: object) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._set(items)

    def _append(self, _: object) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: object) -> None:
        items = self._since_mark()
        self._extend(items)

    def _setitem(self, _: object) -> None:
        items = self._last(2)
        del self.stack[-2:]
        self._set(items)

    def _setitems(self, _: object) -> None:
        items = self._since_mark()
        self._set(items)

    def _extend(self, items: list[object]) -> None:
        self._top(list).extend(items)  # type: ignore[attr-defined]

    def _set(self, items: list[object]) -> None:
        keys = items[::2]
        # hashing nested tuples can take forever
        if not all(isinstance(key, (str, bytes, int, float)) for key in keys):
            raise RejectedError("it has a dictionary whose keys are not text or numbers")
        self._top(dict).update(zip(keys, items[1::2], strict=True))  # type: ignore[attr-defined]

    # ---- the memo

    def _memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, index: object) -> None:
        self.memo[int(index)] = self.stack[-1]  # type: ignore[call-overload]

    def _get(self, index: object) -> None:
        self.stack.append(self.memo[int(index)])  # type: ignore[call-overload]

    _binput = _long_binput = _put
    _binget = _long_binget = _get

    # ---- replacements for objects

    def _global(self, name: object) -> None:
        full = str(name).replace(" ", ".", 1)
        if full not in MAKERS:
            instead = next((f" ({remedy})" for start, remedy in _REMEDIES.items() if full.startswith(start)), "")
            raise RejectedError(f"it names {full[:80]!r}, which is not data{instead}")
        self.stack.append(MAKERS[full])

    _inst = _global  # code is rejected by name; data is never written with this instruction

    def _stack_global(self, _: object) -> None:
        module, name = self._last(2)
        del self.stack[-2:]
        self._global(f"{module} {name}")

    def _reduce(self, _: object) -> None:
        maker, arguments = self._last(2)
        del self.stack[-2:]
        if not isinstance(arguments, tuple) or not any(maker is known for known in MAKERS.values()):
            raise RejectedError("it calls something that is not a known function for making data")
        self.stack.append(maker(*arguments))  # type: ignore[operator]

    _newobj = _reduce

    def _build(self, _: object) -> None:
        target, state = self._last(2)
        self.stack.pop()
        if isinstance(target, Pending):
            target.build(state, self.file)
        elif state:
            raise RejectedError(f"it sets attributes of a {type(target).__name__}")


def _plain(value: object, seen: dict[int, object], depth: int) -> object:
    """Return the value with descriptions of arrays replaced by arrays; shared and cyclic containers stay shared."""
    if isinstance(value, Pending):
        return value.dtype if isinstance(value, PickledDtype) else value.array
    if not isinstance(value, (dict, list, tuple)):
        return value
    if depth > MAX_DEPTH:
        raise RejectedError(f"its containers are nested more than {MAX_DEPTH} deep")
    if id(value) not in seen:
        if isinstance(value, dict):
            made: dict[object, object] = {}
            seen[id(value)] = made
            made.update((key, _plain(item, seen, depth + 1)) for key, item in value.items())
        else:
            items: list[object] = []
            seen[id(value)] = items
            items.extend(_plain(item, seen, depth + 1) for item in value)
    return seen[id(value)]
