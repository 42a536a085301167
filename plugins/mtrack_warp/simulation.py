"""Many mujoco_warp simulations of one model on one device: arrays as tensors, steps as captured graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import Timer
from typing import Any

import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError
from mtrack.api.physics import LARGEST_STATE
from mtrack_mujoco.engine_warnings import LARGEST, explain_state, explain_warning
from mtrack_warp.device_fields import DeviceFields
from mtrack_warp.engine import mujoco_warp, warp
from mtrack_warp.overflow import CONSTRAINTS, OverflowMonitor, overflow_names
from mtrack_warp.sizing import BufferSizes

_log = logging.getLogger("mtrack")

# everything that the next step depends on
_STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"),
    *("eq_active", "mocap_pos", "mocap_quat", "userdata"),
)
_POSES = ("xpos", "xquat", "xmat", "xipos", "cvel", "subtree_com")
_DRIVES = ("qacc", "qfrc_actuator", "sensordata")  # of the last substep, not of the present state

_QUIET_S = 10.0  # loading kernels from the cache takes less


class WarpSimulations:
    """N simulations: states that can be written, and outputs that every call updates; see `mtrack_mujoco.interface`."""

    def __init__(
        self,
        compiled: mujoco.MjModel,
        num: int,
        device: torch.device,
        sizes: BufferSizes,
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
            self.fields = DeviceFields(compiled, self._model, num, model_fields)
            self._data = mujoco_warp.make_data(compiled, num, nconmax=sizes.contacts, njmax=sizes.constraints)
        warp.synchronize_device(self._device)  # torch reads what has been written on another stream
        self.state = {name: self._tensor(name) for name in _STATE if getattr(self._data, name).size}
        self.qpos, self.qvel, self.ctrl, self.xfrc = (
            self.state[name] for name in ("qpos", "qvel", "ctrl", "xfrc_applied")
        )
        self.outputs = {name: self._tensor(name) for name in (*_POSES, *_DRIVES)}
        self.outputs["xmat"] = self.outputs["xmat"].flatten(2)
        self.overflow = self._tensor("overflow")
        """int32 [N] which buffers overflowed since the restart of each environment, see `mujoco_warp.OverflowType`."""
        self._initial = {name: tensor[0].clone() for name, tensor in self.state.items()}
        self.monitor = OverflowMonitor(sizes, device)
        self.engine: Mapping[str, object] = {"device": device.type, "constraints": sizes.constraints}
        self._step, self._update_poses, self._forward = self._graphs()
        self.restart(torch.arange(num, device=device))

    def step(self, last: bool) -> None:
        """Advance every environment by one substep; after the `last` one compute poses and velocities too."""
        self._launch(self._step)
        if last:
            self._launch(self._update_poses)

    def forward(self, env_ids: Tensor) -> None:
        """Compute everything at the present state of some environments; the outputs of the others do not change."""
        drives = [self.outputs[name] for name in _DRIVES]
        before = [tensor.clone() for tensor in drives]
        self._launch(self._forward)  # of all environments: the poses of the others come out unchanged
        for tensor, kept in zip(drives, before, strict=True):
            kept.index_copy_(0, env_ids, tensor.index_select(0, env_ids))
            tensor.copy_(kept)

    def restart(self, env_ids: Tensor) -> None:
        """Put environments, int64 [n], into the model's initial state and clear their overflows."""
        for name, tensor in self.state.items():
            tensor.index_copy_(0, env_ids, self._initial[name].expand(len(env_ids), *tensor.shape[1:]))
        self.overflow.index_fill_(0, env_ids, 0)

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute the constants that follow from changed model fields."""
        with self._in_order():
            self.fields.update_constants(self._data, env_ids)

    def watch(self) -> None:
        """Count overflows, once a control step, and report new ones."""
        self.monitor.look_at(self.overflow)

    def diverged(self) -> Tensor:
        """Return bool [N]: environments out of bounds, or whose constraints have overflowed since the restart."""
        motion = torch.cat((self.qpos, self.qvel), dim=1)
        # a motor clamps a control, so that the state may stay finite under one that is not
        drives = torch.cat((self.outputs["qacc"], self.ctrl), dim=1)
        # comparisons are False for NaN
        is_sound = (motion.abs() < LARGEST_STATE).all(1) & (drives.abs() < LARGEST).all(1)
        return ~is_sound | ((self.overflow & int(CONSTRAINTS)) != 0)

    def warnings(self, env_id: int) -> tuple[str, ...]:
        """Return the bad values of one environment, worded as MuJoCo on the CPU does, and its overflows."""
        parts = {"BADQPOS": self.qpos, "BADQVEL": self.qvel, "BADQACC": self.outputs["qacc"], "BADCTRL": self.ctrl}
        bad = {name: (~(value[env_id].abs() < LARGEST)).nonzero() for name, value in parts.items()}
        found = [explain_warning(name, self._compiled, int(index[0])) for name, index in bad.items() if len(index)]
        if not found:  # otherwise they say the same of larger values
            found = explain_state(self._compiled, self.qpos[env_id], self.qvel[env_id])
        return (*found, *overflow_names(int(self.overflow[env_id])))

    def tensors(self) -> dict[str, Tensor]:
        """Return, live, everything that later calls depend on or that was computed last."""
        state = {f"state.{name}": tensor for name, tensor in self.state.items()}
        outputs = {f"output.{name}": tensor for name, tensor in self.outputs.items()}
        return {**state, **outputs, "overflow": self.overflow, **self.fields.tensors()}

    def _set_options(self, deterministic: bool) -> None:
        option = self._model.opt
        option.warn_overflow = 0  # it would print to stdout; `watch` reports it instead
        option.graph_conditional = not self._device.is_cuda or warp.is_conditional_graph_supported()
        if deterministic:
            option.deterministic = int(mujoco_warp.DeterminismType.ALL)

    def _tensor(self, name: str) -> Tensor:
        tensor: Tensor = warp.to_torch(getattr(self._data, name))
        return tensor

    def _graphs(self) -> list[Any]:
        """Capture a substep, the poses and velocities of the new state, and a forward pass."""
        model, data = self._model, self._data

        def update_poses() -> None:
            mujoco_warp.fwd_kinematics(model, data)
            mujoco_warp.com_vel(model, data)

        bodies: list[Callable[[], None]] = [
            lambda: mujoco_warp.step(model, data),
            update_poses,
            lambda: mujoco_warp.forward(model, data),
        ]
        cache = warp.config.kernel_cache_dir
        message = Timer(_QUIET_S, _log.info, ("compiling the kernels of mujoco_warp, for minutes; cache: %s", cache))
        message.start()
        graphs = []
        try:
            warp.synchronize_device(self._device)
            with warp.ScopedDevice(self._device):
                for body in bodies:
                    body()  # compiles the kernels: none should be compiled during a capture
                    with warp.ScopedCapture(device=self._device) as capture:
                        body()
                    graphs.append(capture.graph)
            warp.synchronize_device(self._device)
        finally:
            message.cancel()  # otherwise an error would be shown only after the message
        return graphs

    def _launch(self, graph: Any) -> None:
        stream = warp.stream_from_torch(self._torch_device) if self._device.is_cuda else None
        warp.capture_launch(graph, stream)

    def _in_order(self) -> AbstractContextManager[Any]:
        """Return a scope in which warp works on this device, in order with torch."""
        if self._device.is_cuda:
            scope: AbstractContextManager[Any] = warp.ScopedStream(warp.stream_from_torch(self._torch_device))
        else:
            scope = warp.ScopedDevice(self._device)
        return scope
