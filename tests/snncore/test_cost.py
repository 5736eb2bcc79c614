"""What a sample costs: operations counted by hand in tiny networks of every kind, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from snncore import train
from snncore.cost import Link, energy
from snncore.events import Finished
from snncore.networks import make_network
from snncore.spec import Conv2d, Energy, JobSpec, SpecError, connections, embeddable, parse_job_spec
from tests.snncore.hybrid_cases import LIF, UNIT, dense, sequential, spiking
from tests.snncore.jobs import tiny_job, tiny_spec
from tests.snncore.test_embedding import inner_job, outer_document

CPU = torch.device("cpu")
STEPS = {"duration_ms": 10.0}
POISSON = {"kind": "poisson", **STEPS}
DIRECT = {"kind": "direct", **STEPS}
COLUMNS = {"kind": "direct", "duration_ms": 16.0, "frames": 8, "scan": "columns"}
LEAKY = {"kind": "leaky"}
CONV = {"kind": "conv2d", "channels": 2}


def stack(*layers: dict[str, Any], readout: dict[str, Any] = LEAKY, **parts: Any) -> dict[str, Any]:
    return sequential(list(layers), readout, **({"encoding": POISSON} | parts))


def residual(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "residual", "layers": list(layers)}


# The digits are 8 x 8 pixels of ten classes, so that there are 64 inputs (8 a column) and 10 outputs. Of each case: the
# spikes a sample, then by layer the multiply-accumulates, the accumulates and the synapses.
CASES: dict[str, tuple[dict[str, Any], dict[str, float], dict[str, tuple[float, float, float]]]] = {
    "recurrent, spikes": (
        {"architecture": {"n_hidden": 3}, "encoding": POISSON},
        {"input": 10, "hidden": 4},
        {"hidden": (0, 10 * 3 + 4 * 2, 64 * 3 + 3 * 2), "output": (0, 4 * 10, 30)},
    ),
    "recurrent, one constant current": (
        {"architecture": {"n_hidden": 3}, "encoding": DIRECT},
        {"hidden": 4},
        {"hidden": (64 * 3, 4 * 2, 64 * 3 + 3 * 2), "output": (0, 4 * 10, 30)},
    ),
    "recurrent, a current for each of 8 columns, which lasts two steps": (
        {"architecture": {"n_hidden": 3}, "encoding": COLUMNS},
        {"hidden": 4},
        {"hidden": (8 * 3 * 8, 4 * 2, 8 * 3 + 3 * 2), "output": (0, 4 * 10, 30)},
    ),
    "recurrent, outputs inside": (
        {
            "architecture": {"n_hidden": 3, "readout": {"kind": "spike_count", "recurrent": True}},
            "encoding": POISSON,
        },
        {"input": 10, "hidden": 4, "output": 2},
        {"hidden": (0, 10 * 13 + (4 + 2) * 12, 64 * 13 + 13 * 12)},
    ),
    "feedforward": (
        {
            "architecture": {"kind": "feedforward", "layers": [3, 2], "readout": {"kind": "spike_count"}},
            "encoding": POISSON,
        },
        {"input": 10, "hidden_1": 4, "hidden_2": 5, "output": 6},
        {"hidden_1": (0, 10 * 3, 64 * 3), "hidden_2": (0, 4 * 2, 3 * 2), "output": (0, 5 * 10, 2 * 10)},
    ),
    "hybrid": (
        stack(
            dense(5), spiking(UNIT), {"kind": "lstm", "n_units": 3}, dense(4), spiking(LIF, autapses=False),
            readout={"kind": "accumulator"},
        ),
        {"input": 10, "hidden_1": 4, "hidden_2": 2},
        {
            "hidden_1": (0, 10 * 5, 64 * 5),
            "lstm_1": (12 * 3 * 10, 4 * 12, 12 * 5 + 12 * 3),
            "hidden_2": (3 * 4 * 10, 2 * 3, 3 * 4 + 4 * 3),
            "output": (0, 2 * 10, 40),
        },
    ),
    "an ordinary network of numbers that stay the same": (
        stack(dense(5, activation="relu"), dense(4), readout={"kind": "every_step"}, encoding=DIRECT),
        {},
        {"dense_1": (64 * 5, 0, 64 * 5), "dense_2": (5 * 4, 0, 5 * 4), "output": (40, 0, 40)},
    ),
    "the same of spikes": (
        stack(dense(5, activation="relu"), dense(4), readout={"kind": "every_step"}),
        {"input": 10},
        {"dense_1": (0, 10 * 5, 64 * 5), "dense_2": (5 * 4 * 10, 0, 5 * 4), "output": (40 * 10, 0, 40)},
    ),
    "peephole cells": (
        stack({"kind": "peephole_lstm"}, {"kind": "dropout", "rate": 0.5}, encoding=DIRECT),
        {},
        {"peephole_lstm_1": (4 * 64 + 7 * 64 * 10, 0, 11 * 64), "output": (640 * 10, 0, 640)},
    ),
    "units without synapses, of spikes": (
        stack(spiking(UNIT)),
        {"input": 10, "hidden_1": 4},
        {"hidden_1": (0, 10, 64), "output": (0, 4 * 10, 640)},
    ),
    "units without synapses, of a current": (
        stack(spiking(UNIT), encoding=DIRECT),
        {"hidden_1": 4},
        {"output": (0, 4 * 10, 640)},
    ),
    # A kernel of 3 at stride 1 lies on 3 pixels of a side, at its two ends on 2: 3 * 8 - 2 = 22 pairs, 10 of 4 pixels.
    "convolutions and pooling": (
        stack(
            CONV, spiking(UNIT), {"kind": "average_pool"}, {"kind": "relu"}, {**CONV, "channels": 3}, spiking(UNIT),
            encoding=DIRECT,
        ),
        {"hidden_1": 16, "hidden_2": 4},
        {
            "conv2d_1": (22**2 * 2, 0, 22**2 * 2),
            "conv2d_2": (0, 16 * (10**2 * 2 * 3) / 32, 10**2 * 2 * 3),
            "output": (0, 4 * 10, 4 * 4 * 3 * 10),
        },
    ),
    "a sum of spikes": (
        stack(residual({**CONV, "channels": 1}, spiking(UNIT)), dense(4), spiking(UNIT)),
        {"input": 10, "residual_1_hidden_1": 6, "hidden_1": 2},
        {
            "residual_1_conv2d_1": (0, 10 * 22**2 / 64, 22**2),
            "hidden_1": (0, (10 + 6) * 4, 64 * 4),
            "output": (0, 2 * 10, 40),
        },
    ),
    "a sum of spikes and a current, which are numbers": (
        stack(residual({**CONV, "channels": 1}, spiking(UNIT)), dense(4), spiking(UNIT), encoding=DIRECT),
        {"residual_1_hidden_1": 6, "hidden_1": 2},
        {
            "residual_1_conv2d_1": (22**2, 0, 22**2),
            "hidden_1": (64 * 4 * 10, 0, 64 * 4),
            "output": (0, 2 * 10, 40),
        },
    ),
}  # fmt: skip


def check(found: dict[str, Any], job: JobSpec, expected: Mapping[str, tuple[float, float, float]]) -> None:
    """Held against operations by layer, at 4.6 and 0.9 pJ."""
    products, sums, synapses = (sum(layer[i] for layer in expected.values()) for i in range(3))
    assert found["multiply_accumulates_per_sample"] == pytest.approx(products)
    assert found["accumulates_per_sample"] == pytest.approx(sums)
    by_layer = {name: 4.6e-3 * layer[0] + 0.9e-3 * layer[1] for name, layer in expected.items()}
    assert found["energy"]["by_layer_nj"] == pytest.approx(by_layer)
    assert found["energy"]["total_nj"] == pytest.approx(sum(by_layer.values()))
    assert found["energy"]["dense_nj"] == pytest.approx(4.6e-3 * synapses * job.encoding.frames)
    assert found["energy"]["ratio"] == pytest.approx(sum(by_layer.values()) / found["energy"]["dense_nj"])


@pytest.mark.parametrize("case", CASES)
def test_operations_and_energy_are_those_counted_by_hand(case: str) -> None:
    parts, spikes, expected = CASES[case]
    job = tiny_spec(**parts)
    found = energy(make_network(job, CPU).links(), spikes, job.recording.energy, job.encoding.frames)
    check(found, job, expected)


def test_the_synapses_of_an_embedded_network_count_as_well() -> None:
    """15 inputs, 12 neurons, 3 in the place of the inner input, and 6 with 6 outputs that are frozen."""
    inner = inner_job()
    job = parse_job_spec(outer_document(embeddable(inner).model_dump(mode="json")))
    frozen = {
        "layers.hidden.synapses.weight": torch.ones(12, 3, device=CPU, dtype=torch.float32),
        "layers.hidden.recurrence.weight": 1 - torch.eye(12, device=CPU, dtype=torch.float32),
    }
    spikes = {"input": 5.0, "hidden": 7.0, "embedded_input": 2.0, "embedded_hidden": 3.0, "output": 1.0}
    expected = {
        "hidden": (0, 5 * 12 + 7 * 11, 15 * 12 + 12 * 11),
        "embedded_input": (0, 7 * 3, 12 * 3),
        "embedded_hidden": (0, 2 * 12 + (3 + 1) * 11, 3 * 12 + 12 * 11),
    }
    found = energy(make_network(job, CPU, frozen).links(), spikes, job.recording.energy, job.encoding.frames)
    check(found, job, expected)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (2, "same"), (1, 0), (3, 2)])
def test_the_products_of_a_convolution_are_counted_exactly_at_its_borders(
    kernel: int, stride: int, padding: Any
) -> None:
    """An image of ones with weights of one comes to the number of pixels that each unit sees."""
    layer = Conv2d(kind="conv2d", channels=2, kernel=kernel, stride=stride, padding=padding)
    image, weight = torch.ones(1, 3, 7, 6, device=CPU), torch.ones(2, 3, kernel, kernel, device=CPU)
    seen = torch.nn.functional.conv2d(image, weight, None, stride, layer.border)
    assert connections(layer, (7, 6, 3)) == int(seen.sum())


def test_other_networks_say_what_they_are_made_of_as_links() -> None:
    """Two excitatory neurons with an inhibitory one each, which silences the other."""
    links = [
        Link("excitatory", synapses=6, senders=frozenset({"input"}), fan_out=2),
        Link("inhibitory", synapses=2, senders=frozenset({"excitatory"}), fan_out=1),
        Link("excitatory", synapses=2, senders=frozenset({"inhibitory"}), fan_out=1),
    ]
    spikes = {"input": 30, "excitatory": 4, "inhibitory": 5}
    found = energy(links, spikes, Energy(multiply_accumulate_pj=1000, accumulate_pj=100))
    assert found["accumulates_per_sample"] == 69
    assert found["energy"]["by_layer_nj"] == {"excitatory": pytest.approx(6.5), "inhibitory": pytest.approx(0.4)}
    assert found["energy"]["dense_nj"] == pytest.approx(10)
    assert energy([], {}, Energy())["energy"]["ratio"] is None


def test_the_result_of_a_run_says_what_its_network_cost() -> None:
    layers = [{**CONV, "stride": 2}, spiking(UNIT), dense(6), spiking(LIF)]
    constants = {"multiply_accumulate_pj": 2.0, "accumulate_pj": 1.0}
    recording = {"kind": "none", "energy": constants}
    job = tiny_spec(**stack(*layers, encoding=DIRECT, recording=recording))
    finished = list(train(job))[-1]
    assert isinstance(finished, Finished)
    cost = json.loads(json.dumps(finished.result["cost"]))
    spikes, products = cost["spikes_per_sample"], 11**2 * 2  # 3 pixels of a side, and 2 at one of its ends
    assert spikes.keys() == {"hidden_1", "hidden_2"}
    sums = spikes["hidden_1"] * 6 + spikes["hidden_2"] * 10
    assert cost["multiply_accumulates_per_sample"] == products
    assert cost["accumulates_per_sample"] == cost["synaptic_operations_per_sample"] == pytest.approx(sums)
    assert cost["energy"]["total_nj"] == pytest.approx((2 * products + sums) / 1000)
    assert cost["energy"]["dense_nj"] == pytest.approx(2 * (products + 32 * 6 + 60) / 1000)
    assert {name: cost["energy"][name] for name in constants} == constants


def test_energies_of_operations_are_not_negative() -> None:
    with pytest.raises(SpecError) as caught:
        parse_job_spec(tiny_job(recording={"kind": "none", "energy": {"accumulate_pj": -1.0}}))
    assert [problem.loc for problem in caught.value.problems] == [("recording", "energy", "accumulate_pj")]
