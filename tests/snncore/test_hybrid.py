"""Networks of layers in sequence: against a plain loop over time, in both engines, and by the counts of the papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snncore import spec, train
from snncore.engines.interface import as_numbers
from snncore.events import Finished
from snncore.outputs import AccumulatorOutput
from snncore.sequential import SequentialNetwork
from snncore.spec.synapses import ConstantDelay, NormalWeights
from snncore.spikes import SpikeTrain
from snncore.stages import Dropout
from snncore.synapses import Synapses
from tests.snncore.hybrid_cases import (
    CASES,
    COLUMNS,
    CPU,
    UNIT,
    batch_of,
    dense,
    draws,
    job_of,
    network_of,
    plain_loop,
    sequential,
    spiking,
)
from tests.snncore.jobs import tiny_spec

FLOWERS: dict[str, Any] = {
    "dataset": {
        "kind": "image_folder",
        "folder": "flowers",
        "n_classes": 10,
        "n_train": 1000,
        "n_validation": 0,
        "n_test": 200,
        "height": 400,
        "width": 500,
    },
    "encoding": {"kind": "direct", "duration_ms": 500.0, "frames": 500, "scan": "columns"},
    "training": {"batch_size": 16, "seed_protocol": True},
}
LSTM_AND_DENSE: list[dict[str, Any]] = [
    {"kind": "lstm", "n_units": 30},
    {"kind": "dropout", "rate": 0.5},
    {"kind": "dense", "n_units": 30},
    {"kind": "dropout", "rate": 0.5},
]
NETWORKS: dict[str, tuple[list[dict[str, Any]], dict[str, int]]] = {
    "network 1": (
        [spiking({"kind": "lif_unit", "sharing": "channel"}), *LSTM_AND_DENSE],
        {"hidden_1": 6, "lstm_1": 147_720, "dense_1": 930, "output": 310},
    ),
    "network 2": (
        [{"kind": "dense", "n_units": 1200}, spiking({"kind": "lif_unit"}), *LSTM_AND_DENSE],
        {"dense_1": 1_441_200, "hidden_1": 2_400, "lstm_1": 147_720, "dense_2": 930, "output": 310},
    ),
}


@pytest.mark.parametrize(("name", "total"), [("network 1", 148_966), ("network 2", 1_592_560)], ids=NETWORKS)
def test_the_networks_of_the_flower_images_have_the_parameters_of_the_paper(name: str, total: int) -> None:
    """Gerum & Schilling 2020, section 4: layer by layer, as estimated and as built."""
    layers, expected = NETWORKS[name]
    job = tiny_spec(**{**sequential(layers, {"kind": "every_step"}), **FLOWERS})
    names = [*(layer for layer, _ in spec.named_layers(job)), "output"]
    estimated = {layer: shape.parameters for layer, shape in zip(names, spec.layer_shapes(job), strict=True)}
    assert {layer: n for layer, n in estimated.items() if n} == expected
    assert spec.estimate(job).parameters == total

    built: dict[str, int] = {}
    for parameter_name, parameter in SequentialNetwork(job, CPU).named_parameters():
        if parameter.requires_grad:
            stage = "output" if parameter_name.startswith("output.") else parameter_name.split(".")[1]
            dense_before = stage == "hidden_1" and ".units." not in parameter_name
            stage = "dense_1" if dense_before else stage
            built[stage] = built.get(stage, 0) + parameter.numel()
    assert built == expected


@pytest.mark.parametrize("case", CASES)
def test_the_estimate_counts_what_is_trained(case: str) -> None:
    job = job_of(case)
    network = SequentialNetwork(job, CPU)
    n = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    masked = [module for module in network.modules() if isinstance(module, Synapses) and module.masked]
    assert spec.estimate(job).parameters == n - sum(len(synapses.weight) for synapses in masked)


@pytest.mark.parametrize("engine", ["reference", "fused"])
@pytest.mark.parametrize("case", CASES)
def test_a_network_is_the_plain_loop_over_time_through_its_layers(case: str, engine: str) -> None:
    """Spikes, what is read, spike counts, and the gradients of all parameters; every parameter gets one."""
    job = job_of(case, engine=engine)
    network, x = network_of(job), batch_of(job)
    assert network.engine.name == ("reference" if engine == "reference" else "fused-cpu")
    shown = network(x, draws)
    values, spikes = plain_loop(job, network, x)

    assert shown.reading.values.shape == values.shape
    assert torch.allclose(shown.reading.values, values, rtol=0, atol=1e-12)
    assert shown.spikes.keys() == spikes.keys()
    for layer, fired in spikes.items():
        assert torch.equal(shown.spikes[layer].dense(torch.float64), fired.detach().round())
        assert torch.allclose(shown.counts[layer], fired.sum(dim=0), rtol=0, atol=1e-12)
        assert 0.02 < float(fired.detach().mean()) < 0.9  # else there is little to compare

    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}

    def gradients(values: Tensor, counts: dict[str, Tensor]) -> tuple[Tensor, ...]:
        draw = torch.Generator().manual_seed(1)
        loss = torch.zeros((), dtype=torch.float64, device=CPU)
        for part in (values, *counts.values()):
            loss = loss + (part * torch.randn(part.shape, dtype=part.dtype, device=CPU, generator=draw)).sum()
        return torch.autograd.grad(loss, list(parameters.values()))

    found = gradients(shown.reading.values, shown.counts)
    expected = gradients(values, {layer: fired.sum(dim=0) for layer, fired in spikes.items()})
    for name, ours, theirs in zip(parameters, found, expected, strict=True):
        assert float((ours - theirs).norm()) <= 1e-10 * max(1.0, float(theirs.norm())), name
        assert float(ours.abs().max()) > 0, name


def test_gradients_reach_numbers_through_every_layer() -> None:
    job = job_of("peephole lstm, dropout, dense, units, dropout; leaky")
    network, x = network_of(job), as_numbers(batch_of(job), torch.float64).clone().requires_grad_()
    (found,) = torch.autograd.grad(network(x, draws).reading.values.square().sum(), x)
    (expected,) = torch.autograd.grad(plain_loop(job, network, x)[0].square().sum(), x)
    assert float(expected.norm()) > 0
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_spikes_and_the_same_spikes_as_numbers_come_to_the_same() -> None:
    for case in ("dense, recurrent lif of spikes; spike count", "units without synapses, of spikes; accumulator"):
        job = job_of(case)
        network, x = SequentialNetwork(job, CPU), batch_of(job)
        assert isinstance(x, SpikeTrain)
        values = network(x).reading.values
        assert torch.allclose(network(x.dense(torch.float64)).reading.values, values, rtol=0, atol=1e-12)


# --- readouts


@pytest.mark.parametrize("seed", range(5))
def test_an_accumulator_at_0_or_above_is_its_loop_in_values_and_gradients(seed: int) -> None:
    """y[t] = max(0, y[t-1] + o[t]). On a grid of quarters the sum is often 0 exactly, where the gradient is 0."""
    draw = torch.Generator().manual_seed(seed)
    synapses = Synapses(
        2, 6, name="output/input", seed=0, weights=NormalWeights(kind="normal"),
        delay=ConstantDelay(kind="constant", steps=0), dtype=torch.float64, device=CPU,
    )  # fmt: skip
    output = AccumulatorOutput(synapses, bias=True, non_negative=True)
    current = (torch.randn(40, 8, 6, dtype=torch.float64, device=CPU, generator=draw) * 4).round() / 4
    current.requires_grad_()
    y, touched = torch.zeros(8, 6, dtype=torch.float64, device=CPU), 0
    for o in current:
        touched += int((y + o == 0).sum())
        y = torch.relu(y + o)
    assert touched > 20
    found = output(current).values[:, 0]
    assert torch.equal(found, y)
    weights = torch.randn(y.shape, dtype=torch.float64, device=CPU, generator=draw)
    (ours,) = torch.autograd.grad((found * weights).sum(), current)
    (expected,) = torch.autograd.grad((y * weights).sum(), current)
    assert torch.equal(ours, expected)


# --- dropout


def dropped(rate: float = 0.3, over_time: Any = "independent", name: str = "dropout_1") -> Tensor:
    layer = Dropout(spec.Dropout(kind="dropout", rate=rate, over_time=over_time), name)
    return layer(torch.ones(20, 8, 50, dtype=torch.float32, device=CPU), draws)


def test_dropout_zeros_the_stated_share_and_keeps_the_mean() -> None:
    factors = dropped()
    assert factors.dtype == torch.float32
    assert factors.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float((factors == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(factors.mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(dropped(rate=0.0), torch.ones_like(factors))


def test_dropout_masks_each_step_and_sample_anew_or_each_sample_for_all_steps() -> None:
    independent, constant = dropped(), dropped(over_time="constant")
    assert not torch.equal(independent[0], independent[1])
    assert not torch.equal(independent[:, 0], independent[:, 1])
    assert torch.equal(constant, constant[:1].expand_as(constant))
    assert not torch.equal(constant[:, 0], constant[:, 1])


def test_dropout_follows_from_the_stream_of_its_layer_and_is_absent_without_one() -> None:
    assert torch.equal(dropped(), dropped())
    assert not torch.equal(dropped(), dropped(name="dropout_2"))
    layer = Dropout(spec.Dropout(kind="dropout", rate=0.9), "dropout_1")
    x = torch.ones(3, 2, 5, dtype=torch.float32, device=CPU)
    assert torch.equal(layer(x, None), x)


def test_training_drops_other_numbers_in_each_batch_and_epoch_and_evaluation_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    masks: list[tuple[str, bytes]] = []
    whole = 0
    forward = Dropout.forward

    def spy(self: Dropout, x: Tensor, streams: Any) -> Tensor:
        nonlocal whole
        if streams is None:
            whole += 1
        else:
            masks.append((self.name, forward(self, torch.ones_like(x[:, :200]), streams).numpy().tobytes()))
        return forward(self, x, streams)

    monkeypatch.setattr(Dropout, "forward", spy)
    job = tiny_spec(
        **sequential(
            [dense(6), {"kind": "dropout", "rate": 0.5}, dense(6), {"kind": "dropout", "rate": 0.5}],
            {"kind": "leaky"},
            training={"epochs": 2, "batch_size": 600},
        )
    )
    assert isinstance(list(train(job))[-1], Finished)
    n_batches = job.n_training_steps
    assert [name for name, _ in masks] == ["dropout_1", "dropout_2"] * n_batches
    assert len({mask for _, mask in masks}) == 2 * n_batches
    assert whole >= 2 * 3  # validation of both epochs, and the test
    first = list(masks)
    masks.clear()
    list(train(job))
    assert masks == first


def test_the_seed_decides_what_is_dropped_and_what_a_network_starts_with() -> None:
    job = job_of("dense, units, lstm, dropout, dense; every step")
    weights = [
        {
            name: p.detach().numpy()
            for name, p in SequentialNetwork(job.model_copy(update={"seed": s}), CPU).named_parameters()
        }
        for s in (0, 0, 1)
    ]
    for name in weights[0]:
        assert np.array_equal(weights[0][name], weights[1][name])
        if "bias" not in name:
            assert not np.isin(weights[0][name], weights[2][name]).any(), name


# --- the fused engine, where numbers are the current of units


@pytest.mark.parametrize(
    "backward",
    [{"kind": "checkpointed", "every_steps": 4}, {"kind": "truncated", "window_steps": 5}],
    ids=["checkpointed", "truncated"],
)
@pytest.mark.parametrize("encoding", [COLUMNS, {"kind": "direct", "duration_ms": 14.0}], ids=["columns", "constant"])
def test_weights_of_units_on_the_input_itself_get_their_gradient_in_every_way_back(
    encoding: dict[str, Any], backward: dict[str, Any]
) -> None:
    """The input needs no gradient of its own here. Truncation is another gradient, for which the oracle is the
    reference engine; that one has no checkpoints, and a checkpointed way back has the gradient of a full one."""
    parts = sequential([spiking(UNIT)], {"kind": "accumulator"}, encoding=encoding)

    def gradients(engine: str, backward: dict[str, Any]) -> list[Tensor]:
        job = tiny_spec(**{**parts, "training": {"precision": "float64", "engine": engine, "backward": backward}})
        network = SequentialNetwork(job, CPU)
        loss = network(batch_of(job)).reading.values.square().sum()
        return list(torch.autograd.grad(loss, list(network.parameters())))

    expected = gradients("reference", {"kind": "full"} if backward["kind"] == "checkpointed" else backward)
    for ours, theirs in zip(gradients("fused", backward), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)
        assert float(theirs.norm()) > 0
