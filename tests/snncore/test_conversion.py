"""From an ordinary network to a spiking one: weights, thresholds, and what both compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snncore.conversion import StepPercentile, arriving, scale_thresholds, set_thresholds, take_weights
from snncore.errors import ConversionFailed
from snncore.networks import make_network
from snncore.sequential import SequentialNetwork
from snncore.spec import JobSpec, ann_twin, spiking_part
from tests.snncore.diet_cases import (
    CPU,
    LAYERS,
    POOL,
    SPIKING,
    conv,
    dense,
    diet_spec,
    plain_ann,
    plain_loop,
    weights_of,
)


def double(layers: list[dict[str, Any]] | None = None, **training: Any) -> JobSpec:
    return diet_spec(layers, precision="float64", **training)


def made(job: JobSpec) -> SequentialNetwork:
    network = make_network(job, CPU)
    assert isinstance(network, SequentialNetwork)
    return network


def images(n: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (n, 1, 8, 8)))


def shown(x: Tensor, n_steps: int) -> Tensor:
    return x.flatten(1)[None].expand(n_steps, -1, -1)


# --- percentiles


@pytest.mark.parametrize("percentile", [100, 99.7, 90, 50, 1])
def test_the_percentile_of_a_step_is_one_of_its_numbers_and_the_highest_step_counts(percentile: float) -> None:
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 30, 7)))
    found = StepPercentile(percentile, 30 * 7)
    for part in x.split(8, dim=1):
        found.add(part)
    rank = 1 + round(percentile / 100 * (30 * 7 - 1))
    by_step = x.flatten(1).kthvalue(rank, dim=1).values
    assert found.highest() == by_step.max()


def test_one_step_repeated_is_looked_at_once() -> None:
    step = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 20, 3)))
    found = StepPercentile(90, 60)
    found.add(step.expand(50, -1, -1))
    assert found.held is not None
    assert found.held.shape[0] == 1
    assert found.highest() == step.flatten().kthvalue(1 + round(0.9 * 59)).values


# --- thresholds


def by_hand() -> tuple[SequentialNetwork, list[Tensor]]:
    """Two inputs of two steps, two neurons, one neuron: the numbers in the test follow by hand."""
    network = made(spiking_part(double([dense(2), SPIKING, dense(1), SPIKING])))
    first, second, _ = weights_of(network)
    with torch.no_grad():
        first.zero_()
        first[0, 0], first[1, 1] = 1.0, 2.0
        second.copy_(torch.tensor([[1.0, 0.5]]))
    x = torch.zeros(2, 64, dtype=torch.float64)
    x[0, 0], x[1, 1] = 0.5, 0.75  # currents of the first layer: [0.5, 0], [0, 1.5]
    return network, [x[None].expand(4, -1, -1)]


def test_thresholds_of_a_small_network_are_those_of_pencil_and_paper() -> None:
    """At percentile 100 the first layer gets 1.5, its highest current. The first sample then adds up 0.5, 1, 1.5 and
    2 > 1.5, the second 1.5 (at the threshold, no spike) and 3: it spikes at steps 2 to 4 and keeps 1.5. So the second
    neuron gets 1 from a spike of the first (step 4, sample 0), and 0.5 from one of the second."""
    network, inputs = by_hand()
    found = set_thresholds(network, lambda: inputs, 2, percentile=100)
    assert found == {"hidden_1": 1.5, "hidden_2": 1.0}


def test_a_layer_finds_its_threshold_while_the_ones_before_have_theirs() -> None:
    """The currents of the first layer are 0, 0, 0.5, 1.5: percentile 67 of them is 0.5. With it the first sample adds
    up to 1 > 0.5 in the second step, and sends 1; with the initial threshold of 1 it is silent until the third."""
    network, inputs = by_hand()
    assert arriving(network, "hidden_2", inputs[0])[:, 0, 0].tolist() == [0, 0, 1, 0]
    found = set_thresholds(network, lambda: inputs, 2, percentile=67)
    assert found == {"hidden_1": 0.5, "hidden_2": 1.0}
    assert arriving(network, "hidden_2", inputs[0])[:, 0, 0].tolist() == [0, 1, 1, 1]


def test_scaling_multiplies_all_thresholds_and_conversion_sets_all_leaks_to_one() -> None:
    network, inputs = by_hand()
    for _, layer in network.spiking_layers():
        layer.units.leak.data.fill_(0.3)  # type: ignore[union-attr, operator]
    set_thresholds(network, lambda: inputs, 2, percentile=100)
    scale_thresholds(network, 0.4)
    scalars = [layer.scalars() for _, layer in network.spiking_layers()]
    assert [part["v_threshold"] for part in scalars] == pytest.approx([0.6, 0.4])
    assert [part["leak"] for part in scalars] == [1.0, 1.0]


def test_batches_of_any_size_come_to_the_same_thresholds() -> None:
    job = double()
    x = images(24)
    found = []
    for size in (24, 7, 1):
        network = made(spiking_part(job))
        batches = [shown(part, 6) for part in x.split(size)]
        found.append(set_thresholds(network, lambda batches=batches: batches, 24, percentile=97))  # type: ignore[misc]
    assert found[1] == pytest.approx(found[0], rel=1e-12)
    assert found[2] == pytest.approx(found[0], rel=1e-12)


def test_thresholds_follow_from_a_plain_loop_over_steps() -> None:
    network, x = made(spiking_part(double())), images(16)
    found = set_thresholds(network, lambda: [shown(x, 10)], 16, percentile=95)
    assert found is not None
    weights = [weight.detach() for weight in weights_of(network)]
    current = torch.nn.functional.conv2d(x, weights[0], padding=1)
    first = torch.tensor(np.sort(current.flatten().numpy())[round(0.95 * (current.numel() - 1))])
    assert found["hidden_1"] == pytest.approx(float(first), rel=1e-12)
    one, high = torch.tensor(1.0).double(), torch.tensor(1e9).double()
    highest = -np.inf
    before = torch.zeros(16, 256, dtype=torch.float64)
    for n_steps in range(1, 11):
        _, (counts, _) = plain_loop(weights, [one, one], [first, high], x, n_steps, "next_step")
        spikes, before = counts - before, counts
        pooled = spikes.reshape(16, 4, 2, 4, 2, 4).mean(dim=(2, 4)).flatten(1)
        arrived = np.sort((pooled @ weights[1].T).flatten().numpy())
        highest = max(highest, arrived[round(0.95 * (arrived.size - 1))])
    assert found["hidden_2"] == pytest.approx(highest, rel=1e-12)


def test_a_layer_without_positive_currents_fails_with_what_to_do() -> None:
    network, inputs = by_hand()
    with torch.no_grad():
        weights_of(network)[1].mul_(-1)
    with pytest.raises(ConversionFailed, match=r"'hidden_2' gets no positive current.*percentile"):
        set_thresholds(network, lambda: inputs, 2, percentile=100)


def test_an_interrupted_conversion_says_so() -> None:
    network, inputs = by_hand()
    assert set_thresholds(network, lambda: inputs, 2, percentile=100, interrupted=lambda: True) is None


# --- the networks

RESIDUAL = [
    conv(4),
    SPIKING,
    {"kind": "residual", "layers": [conv(6, stride=2), SPIKING, conv(6)], "shortcut": [conv(6, stride=2, kernel=1)]},
    SPIKING,
    {"kind": "residual", "layers": [conv(6), SPIKING, conv(6)]},
    SPIKING,
    POOL,
    dense(5),
    SPIKING,
]


def test_the_twin_computes_what_a_plain_network_of_torch_computes() -> None:
    twin, x = made(ann_twin(double())), images(9)
    found = twin(shown(x, 1)).reading.values[:, 0]
    torch.testing.assert_close(found, plain_ann(weights_of(twin), x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layers", [LAYERS, RESIDUAL], ids=["stack", "residual"])
def test_the_network_takes_all_weights_of_its_twin(layers: list[dict[str, Any]]) -> None:
    job = double(layers)
    twin, network = made(ann_twin(job)), made(spiking_part(job))
    with torch.no_grad():
        for weight in weights_of(twin):
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    take_weights(network, twin)
    assert len(weights_of(network)) == len(weights_of(twin)) > 2
    assert all(torch.equal(*pair) for pair in zip(weights_of(network), weights_of(twin), strict=True))


@pytest.mark.parametrize("timing", ["next_step", "same_step"])
def test_the_spiking_network_is_a_plain_loop_with_its_gradients(timing: str) -> None:
    """Outputs, spikes, and the gradients of weights, leaks and thresholds, in double precision."""
    job = double()
    assert job.neuron is not None
    job = job.model_copy(update={"neuron": job.neuron.model_copy(update={"reset_timing": timing})})
    network, x = made(spiking_part(job)), images(6)
    units: list[Any] = [layer.units for _, layer in network.spiking_layers()]
    with torch.no_grad():
        for unit, leak, threshold in zip(units, (0.9, 0.8), (0.35, 0.12), strict=True):
            unit.leak.fill_(leak)
            unit.v_threshold.fill_(threshold)
    given = [*weights_of(network), *(unit.leak for unit in units), *(unit.v_threshold for unit in units)]
    plain = [parameter.detach().clone().requires_grad_() for parameter in given]
    presented = network(shown(x, 4))
    outputs, counts = plain_loop(plain[:3], plain[3:5], plain[5:], x, 4, timing)
    torch.testing.assert_close(presented.reading.values[:, 0], outputs, rtol=1e-10, atol=1e-12)
    for found, expected in zip(presented.counts.values(), counts, strict=True):
        assert 0 < expected.sum() < expected.numel() * 4
        assert torch.equal(found, expected)
    (presented.reading.values[:, 0].softmax(dim=1)[:, 3].log().sum()).backward()
    (outputs.softmax(dim=1)[:, 3].log().sum()).backward()  # type: ignore[no-untyped-call]
    for ours, theirs in zip(given, plain, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert theirs.grad.abs().max() > 0
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


def test_with_many_steps_the_rates_of_a_converted_network_follow_the_activations_of_its_twin() -> None:
    job = double([conv(4), SPIKING, POOL, dense(12), SPIKING])
    twin, network, x = made(ann_twin(job)), made(spiking_part(job, 400)), images(20)
    take_weights(network, twin)
    thresholds = set_thresholds(network, lambda: [shown(x, 200)], 20, percentile=100)
    assert thresholds is not None
    with torch.no_grad():
        sums = network(shown(x, 400)).reading.values[:, 0]
        wanted = twin(shown(x, 1)).reading.values[:, 0]
    worth = thresholds["hidden_1"] * thresholds["hidden_2"] / 400
    assert (sums * worth - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_what_arrives_inside_of_residual_layers_is_seen_where_it_arrives() -> None:
    """The current of a layer behind the sum is that of both branches."""
    network, x = made(spiking_part(double(RESIDUAL))), images(3)
    names = [name for name, _ in network.spiking_layers()]
    assert names == [
        "hidden_1",
        "residual_1_hidden_1",
        "hidden_2",
        "residual_2_hidden_1",
        "hidden_3",
        "hidden_4",
    ]
    thresholds = set_thresholds(network, lambda: [shown(x, 5)], 3, percentile=99)
    assert thresholds is not None
    with torch.no_grad():
        presented = network(shown(x, 5))
        behind = arriving(network, "hidden_3", shown(x, 5))
        inside = arriving(network, "residual_2_hidden_1", shown(x, 5))
    spikes = {name: train.dense(torch.float64) for name, train in presented.spikes.items()}
    weights = weights_of(network)
    inner, outer = weights[4], weights[5]

    def convolved(z: Tensor, weight: Tensor) -> Tensor:
        rows = z.reshape(15, 4, 4, 6).permute(0, 3, 1, 2)
        return torch.nn.functional.conv2d(rows, weight, padding=1).permute(0, 2, 3, 1).reshape(5, 3, -1)

    torch.testing.assert_close(inside, convolved(spikes["hidden_2"], inner))
    torch.testing.assert_close(behind, convolved(spikes["residual_2_hidden_1"], outer) + spikes["hidden_2"])
