"""State is saved as tensors and JSON, and loads unchanged."""

import json

import pytest
import torch
from torch import nn

from mtrack import CheckpointError, component, scratch, state
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten


@component
class Learning:
    net: nn.Linear = state()
    optimiser: torch.optim.Adam = state()
    rng: torch.Generator = state()
    count: int = state()
    values: torch.Tensor = state()
    cache: torch.Tensor = scratch()


def make(seed: int) -> Learning:
    thing = Learning()
    torch.manual_seed(seed)
    thing.net = nn.Linear(3, 2)
    thing.optimiser = torch.optim.Adam(thing.net.parameters(), lr=0.1 * (seed + 1))
    thing.rng = torch.Generator().manual_seed(seed)
    thing.count, thing.values = seed, torch.full((4,), float(seed))
    return thing


def learn(thing: Learning) -> torch.Tensor:
    loss = thing.net(torch.randn(5, 3, generator=thing.rng)).square().sum()
    thing.optimiser.zero_grad()
    loss.backward()
    thing.optimiser.step()
    return loss.detach()


def through_json(tree):
    tensors = {}
    plain = json.dumps(flatten(tree, tensors, "part"))
    return unflatten(json.loads(plain), {name: tensor.clone() for name, tensor in tensors.items()}, "part")


def test_a_restored_component_continues_exactly_like_the_saved_one():
    first, second = make(1), make(2)
    learn(first)
    load_component_state(second, through_json(component_state(first)), "thing")
    assert all(torch.equal(learn(first), learn(second)) for _ in range(3))
    assert second.count == 1


def test_loading_writes_into_the_same_tensors():
    thing = make(0)
    values = thing.values
    load_component_state(thing, {**component_state(thing), "values": torch.ones(4)}, "thing")
    assert torch.equal(values, torch.ones(4))


def test_scratch_is_not_saved():
    assert "cache" not in component_state(make(0))


def test_keys_that_are_numbers_and_tuples_survive_json():
    tree = {
        "state": {0: {"step": torch.ones(1)}, 7: {"step": torch.zeros(1)}},
        "betas": (0.9, 0.999),
        "x": [None, 1e-8],
    }
    back = through_json(tree)
    assert list(back["state"]) == [0, 7]
    assert back["betas"] == (0.9, 0.999)
    assert back["x"] == [None, 1e-8]


def test_a_component_whose_state_fields_changed_is_rejected_by_name():
    with pytest.raises(CheckpointError, match=r"thing.*differ.*count"):
        load_component_state(make(0), {k: v for k, v in component_state(make(0)).items() if k != "count"}, "thing")


def test_a_tensor_of_another_shape_is_rejected_by_name():
    saved = {**component_state(make(0)), "values": torch.ones(5)}
    with pytest.raises(CheckpointError, match=r"thing\.values.*\(5,\).*\(4,\)"):
        load_component_state(make(0), saved, "thing")


def test_a_value_that_cannot_be_saved_is_named():
    with pytest.raises(CheckpointError, match=r"part\.a: a object"):
        flatten({"a": object()}, {}, "part")
