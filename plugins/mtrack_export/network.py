"""Writes a policy as one ONNX file, and compares it with the networks it came from."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from mtrack import Agent, MtrackError

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "obs", "actions"
TOLERANCE = 1e-5
"""Largest difference from torch, absolute plus relative to the value."""


class _PolicyModule(nn.Module):
    """An actor as a function of the observations of a robot, [1, width] to [1, A]."""

    def __init__(self, agent: Agent, actor: str, group: str) -> None:
        super().__init__()
        self._agent, self._actor, self._group = agent, actor, group

    def forward(self, observation: Tensor) -> Tensor:
        observations = TensorDict({self._group: observation}, batch_size=[len(observation)])
        return self._agent.policy(observations, self._actor)


def policy_module(agent: Agent, actor: str, group: str, width: int) -> nn.Module:
    """Return an actor as a module that reads only one group. Raises MtrackError if it reads others, too."""
    module = _PolicyModule(agent, actor, group).eval()
    try:
        with torch.no_grad():
            module(torch.zeros(1, width))
    except KeyError:
        raise MtrackError(
            f"actor '{actor}' reads more than the observation group '{group}', which is all that a robot can sense: "
            "export another one, e.g. --actor student"
        ) from None
    return module


def to_onnx(module: nn.Module, width: int) -> onnx.ModelProto:
    """Return a module as ONNX with input `obs` [1, width] and output `actions` [1, A]. Raises MtrackError."""
    return trace_onnx(module, {INPUT: torch.zeros(1, width)}, (OUTPUT,))


def trace_onnx(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> onnx.ModelProto:
    """Return a module of given inputs, which name them and have their shapes, as ONNX. Raises MtrackError."""
    _require_packages()
    with torch.no_grad(), _quiet():
        module(*inputs.values())  # fills caches with constants before the trace
        try:
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                external_data=False,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise MtrackError(f"torch cannot export this agent's policy to ONNX: {error}") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    _require_finite(model)
    return model


def largest_difference(model: onnx.ModelProto, module: nn.Module, observations: Tensor) -> float:
    """Return the largest difference between ONNX and torch, as |difference| / (1 + |torch|), for [n, width].

    Raises MtrackError if it is above the tolerance.
    """
    import onnxruntime  # noqa: PLC0415  optional

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = 0.0
    with torch.no_grad():
        for row in observations.split(1):
            wanted = module(row).numpy()
            found = session.run([OUTPUT], {INPUT: row.numpy()})[0]
            worst = max(worst, float((np.abs(found - wanted) / (1.0 + np.abs(wanted))).max()))
    if not worst <= TOLERANCE:
        raise MtrackError(f"the exported network differs from torch by {worst:.3g}; at most {TOLERANCE:g} is accepted")
    return worst


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the operators that a model uses."""
    return max(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def set_metadata(model: onnx.ModelProto, metadata: dict[str, str]) -> None:
    """Replace a model's metadata."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401, PLC0415
        import onnxruntime  # noqa: F401, PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise MtrackError(f'export needs more packages ({error}): python -m pip install "mtrack[export]"') from None


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the source code: it contains paths of this machine."""
    model.doc_string = ""
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _require_finite(model: onnx.ModelProto) -> None:
    from onnx import numpy_helper  # noqa: PLC0415  optional

    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise MtrackError(
                f"the policy has a weight that is not finite ('{weight.name}'): export an older checkpoint"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard the exporter's warnings about its own future, and about packages that this network does not need."""
    logger: Any = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
