"""Many simulations of one model on one device: mujoco_warp's arrays as tensors, and its work as captured graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Timer
from typing import Any

import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError
from mtrack_mujoco.engine_warnings import LARGEST, complaint
from mtrack_warp.engine import mujoco_warp, warp
from mtrack_warp.model_fields import ModelFields
from mtrack_warp.room import named, overflow_monitor
from mtrack_warp.sizing import Sizes

_log = logging.getLogger("mtrack")

# everything the next step depends on
_STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"),
    *("eq_active", "mocap_pos", "mocap_quat", "userdata"),
)
_POSES = ("xpos", "xquat", "xmat", "xipos", "cvel", "subtree_com")
_DRIVES = ("qacc", "qfrc_actuator", "sensordata")  # of the last substep, not of the present state

_QUIET_S = 10.0  # loading kernels from the cache takes less


class Simulation:
    """N simulations: a state that can be written, and outputs that follow each call."""

    def __init__(
        self,
        compiled: mujoco.MjModel,
        num: int,
        device: torch.device,
        sizes: Sizes,
        model_fields: Sequence[str],
        deterministic: bool,
    ) -> None:
        """Allocate, at the model's own initial state; compile and capture. Raises MtrackError, NameProblem."""
        self._compiled = compiled
        self._torch_device, self._device = device, warp.device_from_torch(device)
        with warp.ScopedDevice(self._device):
            try:
                self._model = mujoco_warp.put_model(compiled)
            except (NotImplementedError, ValueError) as error:
                raise MtrackError(f"mujoco_warp cannot simulate this robot: {error}") from error
            self._set_options(deterministic)
            self.fields = ModelFields(compiled, self._model, num, model_fields)
            self._data = mujoco_warp.make_data(compiled, num, nconmax=sizes.contacts, njmax=sizes.constraints)
        warp.synchronize_device(self._device)  # torch, on a stream of its own, reads what has been written
        self.state = {name: self._tensor(name) for name in _STATE if getattr(self._data, name).size}
        self.qpos, self.qvel, self.ctrl = (self.state[name] for name in ("qpos", "qvel", "ctrl"))
        self.outputs = {name: self._tensor(name) for name in (*_POSES, *_DRIVES)}
        self.outputs["xmat"] = self.outputs["xmat"].flatten(2)
        self.overflow = self._tensor("overflow")
        """int32 [N] what there was no room for since the rows' restart, see `mujoco_warp.OverflowType`."""
        self._start = {name: tensor[0].clone() for name, tensor in self.state.items()}
        self.monitor, self._watched_bits = overflow_monitor(sizes, device)
        self._step, self._look, self._forward = self._graphs()
        self.restart(torch.arange(num, device=device))

    def step(self, last: bool) -> None:
        """Advance every row by one substep; with `last` then compute poses and velocities of the new state."""
        self._launch(self._step)
        if last:
            self._launch(self._look)

    def forward(self, env_ids: Tensor) -> None:
        """Compute everything at the present state of rows; the outputs of others stay."""
        drives = [self.outputs[name] for name in _DRIVES]
        before = [tensor.clone() for tensor in drives]
        self._launch(self._forward)  # of all rows: poses of the others come out as they were
        for tensor, kept in zip(drives, before, strict=True):
            kept.index_copy_(0, env_ids, tensor.index_select(0, env_ids))
            tensor.copy_(kept)

    def restart(self, env_ids: Tensor) -> None:
        """Put rows into the model's initial state, faults forgotten."""
        for name, tensor in self.state.items():
            tensor.index_copy_(0, env_ids, self._start[name].expand(len(env_ids), *tensor.shape[1:]))
        self.overflow.index_fill_(0, env_ids, 0)

    def update_constants(self, env_ids: Tensor) -> None:
        """Derive the model's constants anew for rows whose fields have changed."""
        with self._in_order():
            self.fields.update_constants(self._data, env_ids)

    def watch(self) -> None:
        """Report and count, once a control step, what there was no room for."""
        self.monitor.look((self.overflow.unsqueeze(1) & self._watched_bits) != 0)

    def diverged(self) -> Tensor:
        """Return bool [N]: rows that are not finite, or whose constraints did not all fit, since their restart."""
        # a motor clamps a control, so that the state may stay finite under one that is not
        parts = torch.cat((self.qpos, self.qvel, self.outputs["qacc"], self.ctrl), dim=1)
        is_sound = (parts.abs() < LARGEST).all(1)  # NaN is not less
        full = mujoco_warp.OverflowType.NEFC | mujoco_warp.OverflowType.NJMAX_NNZ
        return ~is_sound | ((self.overflow & int(full)) != 0)

    def warnings(self, env_id: int) -> tuple[str, ...]:
        """Return what is bad about an environment, in the words of the engine on the CPU, and what had no room."""
        parts = {"BADQPOS": self.qpos, "BADQVEL": self.qvel, "BADQACC": self.outputs["qacc"], "BADCTRL": self.ctrl}
        bad = {name: (~(value[env_id].abs() < LARGEST)).nonzero() for name, value in parts.items()}
        found = [complaint(name, self._compiled, int(index[0])) for name, index in bad.items() if len(index)]
        return (*found, *named(int(self.overflow[env_id])))

    def tensors(self) -> dict[str, Tensor]:
        """Return, live, everything that later calls depend on or that was computed last."""
        state = {f"state.{name}": tensor for name, tensor in self.state.items()}
        outputs = {f"output.{name}": tensor for name, tensor in self.outputs.items()}
        return {**state, **outputs, "overflow": self.overflow, **self.fields.tensors()}

    def _set_options(self, deterministic: bool) -> None:
        option = self._model.opt
        option.warn_overflow = 0  # it would print to stdout; `watch` reports
        option.graph_conditional = not self._device.is_cuda or warp.is_conditional_graph_supported()
        if deterministic:
            option.deterministic = int(mujoco_warp.DeterminismType.ALL)

    def _tensor(self, name: str) -> Tensor:
        tensor: Tensor = warp.to_torch(getattr(self._data, name))
        return tensor

    def _graphs(self) -> list[Any]:
        """Capture a substep, a look at the new state, and a forward pass."""
        model, data = self._model, self._data

        def look() -> None:
            mujoco_warp.fwd_kinematics(model, data)
            mujoco_warp.com_vel(model, data)

        bodies: list[Callable[[], None]] = [
            lambda: mujoco_warp.step(model, data),
            look,
            lambda: mujoco_warp.forward(model, data),
        ]
        place = warp.config.kernel_cache_dir
        said = Timer(_QUIET_S, _log.info, ("compiling the kernels of mujoco_warp, for minutes; kept in %s", place))
        said.start()
        graphs = []
        try:
            warp.synchronize_device(self._device)
            with warp.ScopedDevice(self._device):
                for body in bodies:
                    body()  # first without capturing, during which no kernel should be compiled
                    with warp.ScopedCapture(device=self._device) as capture:
                        body()
                    graphs.append(capture.graph)
            warp.synchronize_device(self._device)
        finally:
            said.cancel()  # else an error would be shown only once the message has been
        return graphs

    def _launch(self, graph: Any) -> None:
        stream = warp.stream_from_torch(self._torch_device) if self._device.is_cuda else None
        warp.capture_launch(graph, stream)

    def _in_order(self) -> AbstractContextManager[Any]:
        """Return a scope in which warp works on this device, and in order with torch's work."""
        if self._device.is_cuda:
            scope: AbstractContextManager[Any] = warp.ScopedStream(warp.stream_from_torch(self._torch_device))
        else:
            scope = warp.ScopedDevice(self._device)
        return scope
