"""A trained network, frozen, inside another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from safetensors.torch import load

from snncore import train
from snncore.encoders import encode
from snncore.errors import NetworkUnavailable
from snncore.events import Checkpoint, Event, Finished, Raster, Stopped
from snncore.networks import Network
from snncore.spec import JobSpec, SpecError, embeddable, estimate, needed_jobs, parse_job_spec
from snncore.streams import stream
from snncore.tasks import make_task
from snncore.training import checkpoints
from tests.snncore.jobs import tiny_job, tiny_spec

CPU = torch.device("cpu")


def inner_job(**parts: dict[str, Any]) -> JobSpec:
    return tiny_spec(
        **{
            "task": {"kind": "softmax", "n_outputs": 3},
            "dataset": {"kind": "exponential", "n_features": 3, "n_train": 512, "n_validation": 64, "n_test": 64},
            "architecture": {
                "n_hidden": 6,
                "readout": {"kind": "spike_count", "recurrent": True, "group_size": 2},
                "recurrence": {"delay": {"kind": "uniform", "low": 1, "high": 3}},
            },
            "neuron": {"v_threshold": 0.3},
            **parts,
        }
    )


def outer_document(network: Mapping[str, Any], **parts: dict[str, Any]) -> dict[str, Any]:
    return tiny_job(
        **{
            "task": {"kind": "recall", "loss": "rate_mse"},
            "dataset": {"kind": "store_recall", "n_values": 3, "n_slots": 4, "n_train": 256},
            "encoding": {"duration_ms": 40.0, "frames": 4, "group_size": 3},
            "architecture": {
                "embedded": {"job": "job_1", "network": network},
                "readout": {"kind": "spike_count", "recurrent": True, "group_size": 2, "by_frame": True},
            },
            "neuron": {"kind": "alif", "v_threshold": 0.3},
            "training": {"batch_size": 64, "optimiser": {"kind": "adam", "learning_rate": 0.01}},
            **parts,
        }
    )


def best_of(events: list[Event]) -> bytes:
    return [event.data for event in events if isinstance(event, Checkpoint) and event.kind == "best"][-1]


@pytest.fixture(scope="module")
def inner() -> bytes:
    return best_of(list(train(inner_job(), checkpoint_interval_s=0)))


@pytest.fixture(scope="module")
def outer() -> JobSpec:
    return parse_job_spec(outer_document(embeddable(inner_job()).model_dump(mode="json")))


@pytest.fixture(scope="module")
def finished(inner: bytes, outer: JobSpec) -> list[Event]:
    return list(train(outer, networks={"job_1": inner}, checkpoint_interval_s=0))


def test_the_frozen_weights_are_the_same_bits_after_the_training_and_the_others_are_not(
    inner: bytes, finished: list[Event]
) -> None:
    before, after = load(inner), load(best_of(finished))
    for name in ("synapses.weight", "recurrence.weight"):
        assert torch.equal(after[f"network/layers.embedded.{name}"], before[f"network/layers.hidden.{name}"])
    start = Network(
        parse_job_spec(outer_document(embeddable(inner_job()).model_dump(mode="json"))),
        CPU,
        {key.removeprefix("network/"): tensor for key, tensor in before.items()},
    ).state_dict()
    trained = {k.removeprefix("network/"): v for k, v in after.items() if k.startswith("network/")}
    moved = {name for name in start if not torch.equal(start[name], trained[name])}
    assert moved == {
        "layers.hidden.synapses.weight",
        "layers.hidden.recurrence.weight",
        "layers.embedded_input.synapses.weight",
    }


def test_the_run_tells_of_the_embedded_layers(finished: list[Event]) -> None:
    last = finished[-1]
    assert isinstance(last, Finished)
    assert set(last.result["firing"]) == {"hidden", "embedded_input", "embedded_hidden", "output"}
    rasters = [event for event in finished if isinstance(event, Raster) and event.split == "test" and event.sample == 0]
    assert {raster.layer: raster.spikes.shape[1] for raster in rasters} == {
        "input": 15,
        "hidden": 12,
        "embedded_input": 3,
        "embedded_hidden": 6,
        "output": 6,
    }
    (reading,) = [raster.reading for raster in rasters if raster.reading is not None]
    assert reading["windows_ms"] == [[0.0, 10.0], [10.0, 20.0], [20.0, 30.0], [30.0, 40.0]]
    assert len(reading["outputs"]) == len(reading["targets"]) == len(reading["labels"]) == 4
    assert all(len(row) == 3 for row in reading["outputs"])


def test_the_gradient_through_the_frozen_network_is_that_of_the_plain_loop(inner: bytes) -> None:
    gradients = {}
    weights = {k.removeprefix("network/"): v for k, v in load(inner).items()}
    for engine in ("reference", "fused"):
        network = embeddable(inner_job()).model_dump(mode="json")
        job = parse_job_spec(
            outer_document(network, training={"batch_size": 64, "engine": engine, "precision": "float64"})
        )
        made, task = Network(job, CPU, weights), make_task(job)
        x = torch.rand(7, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        y = torch.tensor([[-1, 0, 1, 2]]).repeat(7, 1)
        shown = made(encode(job.encoding, x, stream(0, "test")))
        task.judge(shown.reading, x, y).loss.backward()  # type: ignore[no-untyped-call]
        gradients[engine] = {name: p.grad for name, p in made.named_parameters()}
    frozen = {name for name, gradient in gradients["fused"].items() if gradient is None}
    assert frozen == {"layers.embedded.synapses.weight", "layers.embedded.recurrence.weight"}
    for name, gradient in gradients["reference"].items():
        if gradient is not None:
            assert gradient.abs().max() > 0, name
            assert torch.allclose(gradients["fused"][name], gradient, rtol=1e-9, atol=1e-12), name  # type: ignore[arg-type]


def test_the_delays_of_the_embedded_network_are_those_that_it_was_trained_with(inner: bytes, outer: JobSpec) -> None:
    weights = {k.removeprefix("network/"): v for k, v in load(inner).items()}
    whole, alone = Network(outer, CPU, weights), Network(inner_job(), CPU)
    inside: Any = whole.layers["embedded"]
    trained: Any = alone.layers["hidden"]
    assert torch.equal(inside.recurrence.delay, trained.recurrence.delay)


def test_an_interrupted_run_goes_on_to_the_same_bits(inner: bytes, outer: JobSpec, finished: list[Event]) -> None:
    asked = iter([None, None, "pause"])
    first = list(train(outer, networks={"job_1": inner}, should_stop=lambda: next(asked, None)))
    assert isinstance(first[-1], Stopped)
    last = [event.data for event in first if isinstance(event, Checkpoint) and event.kind == "last"][-1]
    again = best_of(list(train(outer, networks={"job_1": inner}, resume=last)))
    expected, found = load(best_of(finished)), load(again)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_without_the_network_or_with_another_the_run_says_so(inner: bytes, outer: JobSpec) -> None:
    with pytest.raises(NetworkUnavailable, match="job_1 was not given"):
        next(train(outer))
    with pytest.raises(NetworkUnavailable, match="cannot be used"):
        next(train(outer, networks={"job_1": b"nonsense"}))
    other = inner_job(neuron={"v_threshold": 0.4})
    data = checkpoints.weights_to_bytes(other, Network(other, CPU).state_dict(), kind="best", epoch=1, step=1)
    with pytest.raises(NetworkUnavailable, match="another network"):
        next(train(outer, networks={"job_1": data}))
    data = checkpoints.weights_to_bytes(inner_job(), {"readout.weight": torch.ones(1)}, kind="best", epoch=1, step=1)
    with pytest.raises(NetworkUnavailable, match=r"no weights 'layers\.hidden\.synapses\.weight'"):
        next(train(outer, networks={"job_1": data}))


def test_a_network_that_rewired_itself_in_double_precision_is_embedded_with_its_gaps() -> None:
    rewiring = {"kind": "deep_r", "connectivity": 0.3}
    sparse = inner_job(training={"epochs": 1, "precision": "float64", "rewiring": rewiring})
    data = best_of(list(train(sparse, checkpoint_interval_s=0)))
    job = parse_job_spec(outer_document(embeddable(sparse).model_dump(mode="json")))
    made: Any = Network(job, CPU, checkpoints.embedded_network(job, {"job_1": data})).layers["embedded"]
    for part in ("synapses", "recurrence"):
        weight, trained = getattr(made, part).weight, load(data)[f"network/layers.hidden.{part}.weight"]
        assert weight.dtype == torch.float32
        assert torch.equal(weight, trained.float())
        assert 0.5 < float((weight == 0).double().mean()) < 1


@pytest.mark.parametrize(
    ("parts", "location"),
    [
        ({"architecture": {"readout": {"kind": "leaky"}}, "task": {"kind": "softmax", "n_outputs": 3}}, "readout"),
        ({"architecture": {"kind": "feedforward", "layers": [4], "readout": {"kind": "spike_count"}}}, "kind"),
    ],
)
def test_networks_of_another_form_cannot_be_embedded(parts: dict[str, Any], location: str) -> None:
    job = tiny_spec(**{key: value for key, value in parts.items() if key == "architecture"})
    with pytest.raises(SpecError) as refused:
        embeddable(job)
    assert any(problem.loc[-1] == location for problem in refused.value.problems)


def test_an_embedding_network_cannot_be_embedded_itself(outer: JobSpec) -> None:
    with pytest.raises(SpecError, match="embeds another"):
        embeddable(outer)


def test_a_job_knows_whose_network_it_needs(outer: JobSpec) -> None:
    assert needed_jobs(outer) == ["job_1"]
    assert needed_jobs(inner_job()) == []


def test_the_estimate_counts_what_is_trained(outer: JobSpec, inner: bytes) -> None:
    weights = {k.removeprefix("network/"): v for k, v in load(inner).items()}
    trained = sum(p.numel() for p in Network(outer, CPU, weights).parameters() if p.requires_grad)
    assert estimate(outer).parameters == trained - outer.architecture.n_hidden  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("parts", "location"),
    [
        ({"architecture": {"readout": {"group_size": 3}}}, "architecture.readout.group_size"),
        ({"architecture": {"readout": {"recurrent": False}}}, "architecture.readout"),
        ({"encoding": {"dt_ms": 0.5}}, "encoding.dt_ms"),
        ({"dataset": {"n_values": 4}}, "architecture.embedded.network.n_outputs"),
        (
            {"architecture": {"embedded": {"connection": {"delay": {"kind": "constant", "steps": 90}}}}},
            "architecture.embedded.connection.delay.steps",
        ),
        ({"architecture": {"embedded": {"job": "../x"}}}, "architecture.embedded.job"),
    ],
)
def test_what_does_not_fit_around_an_embedded_network_is_named(parts: dict[str, Any], location: str) -> None:
    from snncore.spec import deep_merge

    document = deep_merge(outer_document(embeddable(inner_job()).model_dump(mode="json")), parts)
    with pytest.raises(SpecError) as refused:
        parse_job_spec(document)
    assert location in {".".join(map(str, problem.loc)) for problem in refused.value.problems}
