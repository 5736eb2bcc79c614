"""LIF units with trained weights: who shares them, what they start with, and where training may take them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snncore import spec, train
from snncore.encoders import encode
from snncore.events import Checkpoint, Finished
from snncore.sequential import SequentialNetwork
from snncore.streams import stream
from snncore.training.optimiser import make_adam
from snncore.units import LIFUnits
from tests.snncore.hybrid_cases import COLUMNS, CPU, UNIT, dense, sequential, spiking
from tests.snncore.jobs import tiny_spec

IMAGES: dict[str, Any] = {
    "kind": "image_folder",
    "folder": "pictures",
    "n_classes": 2,
    "n_train": 20,
    "n_validation": 0,
    "n_test": 2,
    "height": 4,
    "width": 5,
}
SCANS = {"columns": 5, "rows": 4}


def units(n_units: int = 12, *, n_channels: int | None = 3, name: str = "hidden_1", **fields: Any) -> LIFUnits:
    form = spec.LIFUnit(kind="lif_unit", **fields)
    return LIFUnits(form, n_units, name=name, seed=0, n_channels=n_channels, dtype=torch.float64, device=CPU)


def on_images(scan: str = "columns", encoding: dict[str, Any] | None = None, **fields: Any) -> spec.JobSpec:
    frames = SCANS[scan]
    kind = encoding or {"kind": "direct"}
    return tiny_spec(
        **sequential(
            [spiking({**UNIT, **fields})],
            {"kind": "accumulator"},
            dataset=IMAGES,
            encoding={"duration_ms": 3.0 * frames, "frames": frames, "scan": scan, **kind},
            training={"precision": "float64", "batch_size": 2, "final_weights": "last"},
        )
    )


def the_units(network: SequentialNetwork) -> LIFUnits:
    ((_, layer),) = network.spiking_layers()
    assert layer.units is not None
    return layer.units


@pytest.mark.parametrize(("sharing", "n"), [("unit", 12), ("channel", 3), ("layer", 1)])
def test_each_unit_each_channel_or_the_layer_has_two_weights(sharing: Any, n: int) -> None:
    job = on_images(sharing=sharing)
    made = the_units(SequentialNetwork(job, CPU))
    assert made.w_input.shape == made.w_leak.shape == (n,)
    assert spec.layer_shapes(job)[0].parameters == 2 * n
    assert made.parameters_of_neurons().decay_mem.shape == (12,)


@pytest.mark.parametrize("sharing", ["channel", "layer"])
def test_the_gradient_of_a_shared_weight_is_the_sum_over_the_units_that_share_it(sharing: Any) -> None:
    """Against units that have weights of their own, of the same values."""
    shared, own = (SequentialNetwork(on_images(sharing=s), CPU) for s in (sharing, "unit"))
    owner = the_units(shared).owner
    with torch.no_grad():
        for kind in ("w_input", "w_leak"):
            getattr(the_units(own), kind).copy_(getattr(the_units(shared), kind)[owner])
        own.output.synapses.weight.copy_(shared.output.synapses.weight)  # type: ignore[union-attr]
    x = torch.rand(15, 4, 12, dtype=torch.float64, device=CPU, generator=torch.Generator().manual_seed(0)) * 2
    for kind in ("w_input", "w_leak"):
        found, each = (
            torch.autograd.grad(network(x).reading.values.square().sum(), getattr(the_units(network), kind))[0]
            for network in (shared, own)
        )
        expected = torch.zeros_like(found).index_add_(0, owner, each)
        assert float(expected.abs().min()) > 0
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "encoding",
    [{"kind": "direct"}, {"kind": "poisson", "max_rate_hz": 1000.0, "group_size": 4}],
    ids=["one unit a feature", "four units a feature"],
)
@pytest.mark.parametrize("scan", SCANS)
def test_a_channel_of_a_scanned_image_reaches_the_weights_of_that_channel_alone(
    scan: str, encoding: dict[str, Any]
) -> None:
    job = on_images(scan, encoding, sharing="channel", w_input=0.6)
    for channel in range(3):
        network = SequentialNetwork(job, CPU)
        image = torch.zeros(1, 4, 5, 3, dtype=torch.float64, device=CPU)
        image[..., channel] = 1.0
        x = encode(job.encoding, image.flatten(1), stream(0, "test"), (4, 5, 3))
        loss = network(x).reading.values.square().sum()
        gradient = torch.autograd.grad(loss, the_units(network).w_input)[0]
        assert gradient.nonzero()[:, 0].tolist() == [channel]


@pytest.mark.parametrize(
    ("trained", "n"), [("both", 24), ("w_input", 12), ("w_leak", 12), ("none", 0)], ids=lambda value: str(value)
)
def test_only_the_weights_that_are_to_be_trained_are(trained: Any, n: int) -> None:
    job = on_images(trained=trained)
    network = SequentialNetwork(job, CPU)
    made = the_units(network)
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) == n
    assert spec.layer_shapes(job)[0].parameters == n
    before = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
    optimiser = make_adam(network, spec.Adam(kind="adam", learning_rate=0.01, weight_decay=0.1))
    x = torch.ones(15, 2, 12, dtype=torch.float64, device=CPU)
    network(x).reading.values.square().sum().backward()
    optimiser.step()
    moved = {name for name, parameter in made.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"both": {"w_input", "w_leak"}, "none": set()}.get(trained, {trained})


def test_initial_weights_are_a_number_or_drawn_from_a_range_by_the_name_of_the_layer() -> None:
    drawn = units(500, w_input={"low": 0.2, "high": 0.4}, w_leak=0.25)
    assert drawn.w_leak.tolist() == [0.25] * 500
    values = drawn.w_input.detach()
    assert 0.2 <= float(values.min()) < 0.21
    assert 0.39 < float(values.max()) <= 0.4
    assert torch.equal(values, units(500, w_input={"low": 0.2, "high": 0.4}).w_input)
    other = units(500, w_input={"low": 0.2, "high": 0.4}, name="hidden_2").w_input.detach()
    assert not torch.isin(values, other).any()
    both = units(500, w_input={"low": 0.0, "high": 1.0}, w_leak={"low": 0.0, "high": 1.0})
    assert not torch.isin(both.w_input.detach(), both.w_leak.detach()).any()


def test_a_leak_outside_0_and_1_is_put_back_to_its_border_and_the_input_weight_is_free() -> None:
    network = SequentialNetwork(on_images(), CPU)
    made = the_units(network)
    with torch.no_grad():
        made.w_leak[:3] = torch.tensor([-0.2, 0.4, 1.7], dtype=torch.float64, device=CPU)
        made.w_input[:2] = torch.tensor([-3.0, 2.0], dtype=torch.float64, device=CPU)
    network.constrain()
    assert made.w_leak[:3].tolist() == [0.0, 0.4, 1.0]
    assert made.w_input[:2].tolist() == [-3.0, 2.0]


@pytest.mark.parametrize("architecture", ["sequential", "recurrent", "feedforward"])
def test_training_keeps_every_leak_between_0_and_1(architecture: str) -> None:
    parts: dict[str, Any] = {
        "sequential": sequential([dense(10), spiking(UNIT)], {"kind": "accumulator"}, encoding=COLUMNS),
        "recurrent": {"architecture": {"n_hidden": 10}, "neuron": UNIT},
        "feedforward": {
            "architecture": {"kind": "feedforward", "layers": [10], "readout": {"kind": "leaky"}},
            "neuron": UNIT,
        },
    }
    optimiser = {"kind": "adam", "learning_rate": 0.5}
    events = list(train(tiny_spec(**{**parts[architecture], "training": {"epochs": 1, "optimiser": optimiser}})))
    assert isinstance(events[-1], Finished)
    leaks = _last_leaks(events)
    assert float(leaks.min()) >= 0
    assert float(leaks.max()) <= 1
    assert ((leaks == 0) | (leaks == 1)).any()  # at such a rate some were out of it


def _last_leaks(events: list[Any]) -> Tensor:
    from safetensors.torch import load

    data = [event.data for event in events if isinstance(event, Checkpoint) and event.kind == "last"][-1]
    (leaks,) = [t for name, t in load(data).items() if name.startswith("network/") and name.endswith("w_leak")]
    return leaks
