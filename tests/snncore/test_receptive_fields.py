"""Receptive fields: which weights are told, when, and where there are none to tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from snncore import train
from snncore.events import Checkpoint, Event, ReceptiveFields
from snncore.spec import JobSpec, SpecError, parse_job_spec
from tests.snncore.jobs import tiny_spec

DENSE_FIRST, RELU_FIRST = (
    {
        "kind": "sequential",
        "layers": [{"kind": "dropout", "rate": 0.5}, {"kind": "dense", "n_units": 9, **more}, {"kind": "spiking"}],
        "readout": {"kind": "leaky"},
    }
    for more in ({}, {"activation": "relu"})
)
FEEDFORWARD = {"kind": "feedforward", "layers": [7, 5], "readout": {"kind": "leaky"}}
RECURRENT = {"kind": "recurrent", "n_hidden": 12, "readout": {"kind": "spike_count", "recurrent": True}}


def recording(**receptive_fields: Any) -> dict[str, Any]:
    return {"kind": "spikes", "n_samples": 1, "receptive_fields": receptive_fields}


def told(job: JobSpec) -> list[ReceptiveFields]:
    return [event for event in train(job) if isinstance(event, ReceptiveFields)]


def weights(events: list[Event], kind: str, name: str) -> Any:
    (data,) = [event.data for event in events if isinstance(event, Checkpoint) and event.kind == kind]
    return load(data)[f"network/{name}"]


def test_they_are_told_before_the_first_epoch_then_every_so_many_and_after_the_last() -> None:
    job = tiny_spec(training={"epochs": 3}, recording=recording(every_epochs=2))
    fields = told(job)
    updates = job.steps_per_epoch
    assert [(one.epoch, one.step) for one in fields] == [(0, 0), (2, 2 * updates), (3, 3 * updates)]
    assert len({one.weights.tobytes() for one in fields}) == 3
    assert told(tiny_spec()) == []


def test_a_run_that_early_stopping_ends_tells_its_last_ones() -> None:
    training = {"epochs": 9, "early_stopping": {"patience": 1}, "optimiser": {"kind": "adam", "learning_rate": 1e-9}}
    fields = told(tiny_spec(training=training, recording=recording(every_epochs=100)))
    assert fields[0].epoch == 0
    assert 1 < fields[-1].epoch < 9


@pytest.mark.parametrize(
    ("architecture", "layer", "tensor"),
    [
        (RECURRENT, "hidden", "layers.hidden.synapses.weight"),
        (FEEDFORWARD, "hidden_1", "layers.hidden_1.synapses.weight"),
    ],
)
def test_they_are_the_weights_on_the_input(architecture: dict[str, Any], layer: str, tensor: str) -> None:
    events = list(train(tiny_spec(architecture=architecture, recording=recording())))
    _, fields = [event for event in events if isinstance(event, ReceptiveFields)]
    assert (fields.layer, fields.shape, fields.labels) == (layer, (8, 8, 1), None)
    assert fields.weights.dtype == np.float32
    assert np.array_equal(fields.weights, weights(events, "best", tensor))


@pytest.mark.parametrize("architecture", [DENSE_FIRST, RELU_FIRST])
def test_dense_layers_have_them_too(architecture: dict[str, Any]) -> None:
    _, fields = told(tiny_spec(architecture=architecture, recording=recording()))
    assert (fields.layer, fields.weights.shape) == ("dense_1", (9, 64))


def test_of_the_first_neurons_only() -> None:
    _, fields = told(tiny_spec(recording=recording(n_neurons=5)))
    assert fields.weights.shape == (5, 64)


@pytest.mark.parametrize(
    "encoding", [{"scan": "columns", "frames": 8, "duration_ms": 16.0}, {"kind": "poisson", "group_size": 2}]
)
def test_an_input_that_is_no_picture_gives_fields_without_a_shape(encoding: dict[str, Any]) -> None:
    _, fields = told(tiny_spec(encoding=encoding, recording=recording()))
    assert fields.shape is None


@pytest.mark.parametrize("first", [{"kind": "lstm", "n_units": 4}, {"kind": "spiking"}])
def test_a_network_whose_input_meets_no_synapses_has_none(first: dict[str, Any]) -> None:
    architecture = {"kind": "sequential", "layers": [first, {"kind": "spiking"}], "readout": {"kind": "leaky"}}
    with pytest.raises(SpecError) as caught:
        tiny_spec(architecture=architecture, recording=recording())
    assert [problem.loc for problem in caught.value.problems] == [("recording", "receptive_fields")]


COMPETITIVE: dict[str, Any] = {
    "task": {"kind": "classification"},
    "dataset": {"kind": "digits"},
    "encoding": {"kind": "poisson", "duration_ms": 50.0, "max_rate_hz": 63.75},
    "architecture": {"kind": "competitive", "n_neurons": 9, "circuit": {"fidelity": "fast"}},
    "neuron": {"kind": "conductance_lif"},
    "training": {"kind": "stdp", "epochs": 1, "weight_total": 8.0, "labelling": {"n_samples": 200}},
}


def test_a_competitive_network_tells_the_class_of_each_neuron_with_them() -> None:
    job = parse_job_spec({**COMPETITIVE, "recording": recording(n_neurons=7)})
    first, last = told(job)
    assert (first.epoch, first.labels, first.layer) == (0, None, "excitatory")
    assert (last.epoch, last.weights.shape, last.shape) == (1, (7, 64), (8, 8, 1))
    assert last.labels is not None
    assert len(last.labels) == 7
    assert {label for label in last.labels if label is not None} <= set(range(10))
