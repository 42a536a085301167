"""Writes event files of TensorBoard; unlike those of other writers, their names do not have the name of the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventFile:
    """Appends points, texts and pictures to one file; its methods raise OSError."""

    def __init__(self, folder: Path, step: int, flush_s: float) -> None:
        """Create a file. Points of other files from `step` on are hidden: a resumed run repeats these iterations."""
        # slow to import, and only for users of the logger
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415
        from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._file = (folder / f"events.out.tfevents.{time.time():.6f}.{os.getpid()}").open("wb")
        self._records = RecordWriter(self._file)
        self._flush_s, self._flushed = flush_s, time.monotonic()
        self._add(step, file_version="brain.Event:2")
        self._add(step, session_log=SessionLog(status=SessionLog.START))

    def add_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to the curve of each value."""
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, summary=Summary(value=points))

    def add_text(self, tag: str, text: str, step: int) -> None:
        """Add a text, which TensorBoard renders as Markdown."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # noqa: PLC0415
        from tensorboard.compat.proto.tensor_pb2 import TensorProto  # noqa: PLC0415
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto  # noqa: PLC0415

        plugin = SummaryMetadata.PluginData(plugin_name="text")
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=plugin)
        self._add(step, summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]))

    def add_picture(self, tag: str, content: bytes, width: int, height: int, step: int) -> None:
        """Add an encoded picture, also an animated one."""
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
        self._add(step, summary=Summary(value=[Summary.Value(tag=tag, image=image)]))

    def close(self) -> None:
        """Write what is in memory and close the file."""
        self._file.close()

    def _add(self, step: int, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), step=step, **content).SerializeToString())
        if time.monotonic() - self._flushed >= self._flush_s:
            self._file.flush()
            self._flushed = time.monotonic()
