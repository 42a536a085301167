"""A browser window that draws nothing: it speaks viser's protocol, presses buttons, and answers with plain images."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import viser
import zstandard
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

WIDTH, HEIGHT = 320, 200
WAIT_S = 60.0


class BareBrowser:
    """A connected window; `gui` holds the elements of the page by their identifiers."""

    def __init__(self, port: int) -> None:
        self.gui: dict[str, dict[str, Any]] = {}
        self.received: Counter[str] = Counter()
        self.notes: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.poses: dict[str, Any] = {}
        self.gives_images = True
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._images = 0
        protocol = f"viser-v{viser.__version__}"
        self._socket = connect(f"ws://127.0.0.1:{port}", subprotocols=[protocol], compression=None, max_size=None)
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()
        camera = {"fov": 0.8, "near": 0.01, "far": 1000.0, "image_height": HEIGHT, "image_width": WIDTH}
        directions = {"look_at": (0.0, 0.0, 0.7), "up_direction": (0.0, 0.0, 1.0)}
        self._send("ViewerCameraMessage", wxyz=(1.0, 0.0, 0.0, 0.0), position=(3.0, 0.0, 1.0), **camera, **directions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the window."""
        self._socket.close()
        self._thread.join(WAIT_S)

    def find(self, label: str) -> dict[str, Any]:
        """Return the element with a label; waits for it."""
        return self.wait(lambda: next((e for e in self._elements() if e["props"].get("label") == label), None))

    def texts(self) -> str:
        """Return all visible text of the page."""
        parts = [element["props"] for element in self._elements() if element["props"].get("visible")]
        return "\n".join(str(props.get("content") or props.get("_markdown") or "") for props in parts)

    def plots(self) -> list[dict[str, Any]]:
        """Return the properties of the plots that are shown."""
        return [e["props"] for e in self._elements() if e["type"] == "GuiUplotMessage" and e["props"]["visible"]]

    def set(self, label: str, value: Any) -> None:
        """Change an input, or press a button."""
        element = self.find(label)
        element["value"] = value
        self._send("GuiUpdateMessage", uuid=element["uuid"], updates={"value": value})

    def press(self, label: str) -> None:
        """Press a button."""
        self.set(label, True)

    def drag(self, node: str, phase: str, start: tuple[float, ...], end: tuple[float, ...]) -> None:
        """Drag a node of the scene with the left mouse button."""
        screen = {"start_screen_pos": (0.5, 0.5), "end_screen_pos": (0.6, 0.5)}
        where = {"start_position": start, "end_position": end, "instance_index": None, "owner": ""}
        self._send("SceneNodeDragMessage", name=node, phase=phase, button="left", modifier=None, **where, **screen)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Return the first true value of a condition; fails after some time."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.01)
        raise AssertionError("the window does not show what is expected")

    def _elements(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self.gui.values())

    def _send(self, kind: str, **fields: Any) -> None:
        self._socket.send(msgspec.msgpack.encode({"type": kind, **fields}))

    def _receive(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                data = self._socket.recv()
                assert isinstance(data, bytes)
                inner, compressed = (int.from_bytes(data[at : at + 8], "little") for at in (0, 8))
                text = zstandard.decompress(data[16 : 16 + compressed], max_output_size=inner)
                content = msgspec.msgpack.decode(text)
                start, buffers = 16 + compressed, []
                for length in content["binaryBufferLengths"]:
                    start += -start % 8
                    buffers.append(data[start : start + length])
                    start += length
                for message in content["messages"]:
                    self._take(message, buffers)

    def _take(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        kind = message["type"]
        self.received[kind] += 1
        if kind == "GetRenderRequestMessage" and self.gives_images:
            self._send("GetRenderResponseMessage", payload=self._image(message), render_uuid=message["render_uuid"])
        elif kind == "GuiUpdateMessage":
            with self._lock:
                element = self.gui[message["uuid"]]
                for name, value in message["updates"].items():
                    (element if name == "value" else element["props"])[name] = _arrays(value, buffers)
        elif kind == "GuiRemoveMessage":
            with self._lock:
                self.gui.pop(message["uuid"], None)
        elif "uuid" in message and "props" in message and kind.startswith("Gui"):
            with self._lock:
                self.gui[message["uuid"]] = message
        elif kind == "NotificationShowMessage":
            self.notes.append(message["props"])
        elif kind == "FileTransferStartDownload":
            self._names[message["transfer_uuid"]] = message["filename"]
        elif kind == "FileTransferPart":
            name = self._names[message["transfer_uuid"]]
            self.files[name] = self.files.get(name, b"") + message["content"]
        elif kind == "SetOrientationMessage":
            self.poses[message["name"]] = message["wxyz"]

    def _image(self, request: dict[str, Any]) -> bytes:
        """Return a grey image that is a bit lighter each time."""
        import imageio.v3

        self._images += 1
        image = np.full((request["height"], request["width"], 3), min(20 + 4 * self._images, 255), np.uint8)
        buffer = io.BytesIO()
        imageio.v3.imwrite(buffer, image, extension="." + request["format"].removeprefix("image/"))
        return buffer.getvalue()


def _arrays(value: Any, buffers: list[bytes]) -> Any:
    """Replace the places of arrays by the arrays."""
    if isinstance(value, dict) and "__binary_index" in value:
        return np.frombuffer(buffers[value["__binary_index"]], value["dtype"])
    return [_arrays(one, buffers) for one in value] if isinstance(value, list | tuple) else value
