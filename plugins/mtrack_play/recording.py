"""Records what one browser shows into a film: one image per 1/25 s of simulated time, however fast it plays."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mtrack import MtrackError
from mtrack_view.raycast import Image
from mtrack_view.video import FilmWriter

if TYPE_CHECKING:
    import viser

FPS = 25.0
"""Images per second of a film."""
_LARGEST = 1920, 1080  # pixels
_WAIT_S = 30.0  # for an image: a browser without a GPU takes seconds, and one whose window is hidden draws nothing


class BrowserRecording:
    """A film that is being recorded from the browser of the client that has started it."""

    def __init__(self, client: viser.ClientHandle, folder: Path, name: str) -> None:
        """Start a film in a folder, named after what it shows. Raises MtrackError if there is no ffmpeg."""
        self.client = client
        self._width, self._height = film_size(client)
        path = _new_path(folder, name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MtrackError(f"cannot create {folder}: {error.strerror or error}") from error
        self._film = FilmWriter(path, FPS, self._width, self._height)
        self._time = 0.0
        """Simulated time since the start [s]."""

    @property
    def path(self) -> Path:
        """Where the film will be."""
        return self._film.path

    @property
    def frames(self) -> int:
        """Number of images so far."""
        return self._film.frames

    def is_due_after(self, dt: float) -> bool:
        """Return whether an image is due after another `dt` seconds of simulated time."""
        self._time += dt
        return self._time * FPS >= self._film.frames - 1e-6

    def add(self) -> None:
        """Append what the browser shows now. Raises MtrackError if it gives no image."""
        self._film.add(take_image(self.client, self._width, self._height)[..., :3])

    def close(self) -> None:
        """Finish the film. Raises MtrackError if there is no image, or the encoder failed."""
        self._film.close()


def film_size(client: viser.ClientHandle) -> tuple[int, int]:
    """Return the width and height of a browser's view [pixels], made even, and smaller if it is very large."""
    width, height = client.camera.image_width, client.camera.image_height
    scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def take_image(client: viser.ClientHandle, width: int, height: int, kind: Literal["jpeg", "png"] = "jpeg") -> Image:
    """Return what a browser shows, [H, W, 3], or [H, W, 4] as png. Raises MtrackError if it gives no image."""
    try:
        image: Image = client.get_render(height, width, transport_format=kind, timeout=_WAIT_S)
    except TimeoutError:
        raise MtrackError("the browser draws nothing; keep its window visible") from None
    except RuntimeError as error:
        closed = "disconnected" in str(error)
        raise MtrackError("the browser was closed" if closed else f"the browser gives no image: {error}") from None
    return image


def _new_path(folder: Path, name: str) -> Path:
    """Return a path for a film that does not exist yet."""
    stem = re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).strip("._")[:80] or "film"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{stem}-{stamp}{suffix}.mp4" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(folder / one for one in names if not (folder / one).exists())
