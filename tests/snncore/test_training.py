"""Whole runs: what they tell, how they stop, and that a resumed run comes to the bits of one left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from snncore import train
from snncore.errors import CheckpointMismatch, DeviceUnavailable, Diverged, OutOfMemory
from snncore.events import Checkpoint, Event, Finished, Log, Metric, Progress, Raster, Started, Stopped
from snncore.presets import get_preset
from snncore.spec import JobSpec, deep_merge, parse_job_spec
from tests.snncore.jobs import REAL_MNIST, tiny_spec
from tests.snncore.whole_runs import final, the

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    "training": {"epochs": 3, "batch_size": 256, "log_every_steps": 2, "gradient_clip_norm": 1.0},
    "neuron": {
        "kind": "mixed",
        "populations": [
            {"proportion": 1.0, "neuron": {"kind": "lif", "n_refractory": 1}},
            {"proportion": 1.0, "neuron": {"kind": "alif", "n_refractory": 1}},
        ],
    },
    "architecture": {"recurrence": {"delay": {"kind": "uniform", "low": 1, "high": 3}}},
}


REWIRING: dict[str, Any] = {
    "kind": "deep_r",
    "connectivity": 0.3,
    "temperature": 1e-4,
    "budget": "pooled",
    "initial_mask": "with_replacement",
}


@pytest.fixture(scope="module", params=[None, REWIRING], ids=["all synapses", "rewired"])
def job(request: pytest.FixtureRequest) -> JobSpec:
    training = {"rate_regulariser": {"target_hz": 60.0, "strength": 1.0}, "rewiring": request.param}
    return tiny_spec(**deep_merge(SMALL, {"training": training}))


@pytest.fixture(scope="module")
def uninterrupted(job: JobSpec) -> list[Event]:
    torch.set_num_threads(1)
    return list(train(job))


def test_a_run_tells_its_story_in_order(job: JobSpec, uninterrupted: list[Event]) -> None:
    assert isinstance(uninterrupted[0], Started)
    assert isinstance(uninterrupted[-1], Finished)
    progress = [event for event in uninterrupted if isinstance(event, Progress)]
    assert [event.step for event in progress] == list(range(1, job.n_training_steps + 1))
    assert progress[-1].fraction == 1.0
    assert all(event.samples_per_s > 0 and event.eta_s >= 0 for event in progress)
    series = {(event.name, event.split) for event in uninterrupted if isinstance(event, Metric)}
    assert {("batch_loss", "train"), ("learning_rate", "train"), ("gradient_norm", "train")} <= series
    for split in ("train", "validation", "test"):
        assert {("loss", split), ("accuracy", split), ("firing_rate_hz.hidden", split)} <= series
    assert the(Started, uninterrupted).environment["engine"] == "fused-cpu"


@pytest.mark.parametrize(
    "training",
    [{"engine": "reference"}, {"backward": {"kind": "checkpointed", "every_steps": 4}}],
    ids=["reference", "checkpointed"],
)
def test_another_engine_and_another_way_back_come_to_the_same_training(
    job: JobSpec, uninterrupted: list[Event], training: dict[str, Any]
) -> None:
    """In double precision: sums are made in another order, which two epochs do not blow up."""
    double = {"training": {"precision": "float64", "epochs": 2}}
    document = deep_merge(job.model_dump(mode="json"), double)
    first = list(train(parse_job_spec(document)))
    other = list(train(parse_job_spec(deep_merge(document, {"training": training}))))
    expected, found = the(Finished, first).result, the(Finished, other).result
    assert found["metrics"]["test"]["loss"] == pytest.approx(expected["metrics"]["test"]["loss"], rel=1e-9)
    assert found["firing"] == expected["firing"]
    assert the(Started, other).environment["engine"] == training.get("engine", "fused-cpu")


def test_the_result_says_what_was_reached_and_what_it_cost(job: JobSpec, uninterrupted: list[Event]) -> None:
    result = the(Finished, uninterrupted).result
    matrix = np.array(result["confusion_matrix"])
    assert matrix.shape == (10, 10)
    assert matrix.trace() / matrix.sum() == pytest.approx(result["metrics"]["test"]["accuracy"])
    assert matrix.sum() == 359  # a fifth of 1,797
    assert 0 < result["firing"]["hidden"]["rate_hz"] < 500
    assert 0 <= result["firing"]["hidden"]["silent_share"] <= 1
    cost = result["cost"]
    spikes = cost["spikes_per_sample"]
    reached = {"input": 12.0, "hidden": 11.0 + 10.0}
    if job.training.rewiring is not None:
        best = load(next(e.data for e in reversed(uninterrupted) if isinstance(e, Checkpoint) and e.kind == "best"))
        existing = {name: int(torch.count_nonzero(w)) for name, w in best.items() if name.endswith(".weight")}
        reached["input"] = existing["network/layers.hidden.synapses.weight"] / 64
        reached["hidden"] = existing["network/layers.hidden.recurrence.weight"] / 12 + 10
    operations = sum(spikes[layer] * n for layer, n in reached.items())
    assert cost["synaptic_operations_per_sample"] == cost["accumulates_per_sample"] == pytest.approx(operations)
    assert cost["multiply_accumulates_per_sample"] == 0
    assert cost["energy"]["total_nj"] == pytest.approx(operations * 0.9e-3)
    assert cost["wall_time_s"] > 0
    assert cost["peak_memory_bytes"] > 1e7


def test_rasters_hold_the_spikes_that_the_rates_were_made_of(job: JobSpec, uninterrupted: list[Event]) -> None:
    rasters = [event for event in uninterrupted if isinstance(event, Raster)]
    assert {(raster.split, raster.epoch) for raster in rasters} == {
        ("validation", 1),
        ("validation", 2),
        ("validation", 3),
        ("test", 3),
    }
    assert {raster.layer for raster in rasters} == {"input", "hidden"}
    assert {raster.sample for raster in rasters} == {0, 1, 2, 3}
    hidden = next(raster for raster in rasters if raster.layer == "hidden")
    assert hidden.spikes.shape == (10, 12)
    assert hidden.spikes.dtype == np.bool_
    assert hidden.dt_ms == job.encoding.dt_ms
    assert hidden.label in range(10)


def test_the_same_spec_comes_to_the_same_bits_and_another_seed_does_not(
    job: JobSpec, uninterrupted: list[Event]
) -> None:
    assert final(list(train(job))) == final(uninterrupted)
    other = final(list(train(job.model_copy(update={"seed": 1}))))
    assert other["weights"] != final(uninterrupted)["weights"]


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 6, 9, 14, 15])
def test_a_stopped_and_resumed_run_comes_to_the_bits_of_one_left_alone(
    job: JobSpec, uninterrupted: list[Event], stop_after: int
) -> None:
    """Stopped before the first batch, in the middle of an epoch, at its end, before validation, before the test."""
    events: list[Event] = []
    steps_done = 0

    def should_stop() -> str | None:
        return "pause" if steps_done >= stop_after else None

    for event in train(job, should_stop=should_stop):
        events.append(event)
        if isinstance(event, Progress):
            steps_done = event.step
    assert the(Stopped, events).reason == "pause"
    last = [event for event in events if isinstance(event, Checkpoint)][-1]
    assert last.kind == "last"
    assert last.step == stop_after

    resumed = list(train(job, resume=last.data))
    assert the(Started, resumed).resumed_from_step == stop_after
    assert final([e for e in events if not isinstance(e, Started | Stopped)] + resumed) == final(uninterrupted)


def test_a_run_killed_anywhere_goes_on_from_its_newest_checkpoint(job: JobSpec, uninterrupted: list[Event]) -> None:
    """Every checkpoint of a run that leaves one at each batch is a place to go on from."""
    events = list(train(job, checkpoint_interval_s=0.0))
    assert final(events) == final(uninterrupted)
    last = [event for event in events if isinstance(event, Checkpoint) and event.kind == "last"]
    assert len(last) > job.n_training_steps
    for checkpoint in last[::5]:
        before = [event for event in events[: events.index(checkpoint)] if not isinstance(event, Started)]
        assert final(before + list(train(job, resume=checkpoint.data))) == final(uninterrupted)


def test_closing_the_stream_stops_the_training(job: JobSpec) -> None:
    run = train(job)
    next(run)
    run.close()
    assert list(run) == []


def test_a_checkpoint_of_another_spec_or_of_another_kind_is_refused(job: JobSpec, uninterrupted: list[Event]) -> None:
    data = {event.kind: event.data for event in uninterrupted if isinstance(event, Checkpoint)}
    with pytest.raises(CheckpointMismatch, match="another spec"):
        list(train(job.model_copy(update={"seed": 5}), resume=data["last"]))
    with pytest.raises(CheckpointMismatch, match="only a 'last' checkpoint"):
        list(train(job, resume=data["best"]))
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        list(train(job, resume=data["last"][:-10]))


def test_a_device_that_is_not_there_is_an_error_and_not_another_device(job: JobSpec) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceUnavailable, match="cuda:3"):
        list(train(job.model_copy(update={"device": "cuda:3"})))


def test_a_diverging_run_says_where_and_what_to_do() -> None:
    overflowing = {"optimiser": {"kind": "adam", "learning_rate": 100.0}, "epochs": 3, "log_every_steps": 1}
    huge = {"weights": {"kind": "normal", "gain": 1000.0}}
    spec = tiny_spec(
        training={**overflowing, "rate_regulariser": None},
        architecture={"readout": {"kind": "leaky", **huge}},
        neuron={"kind": "lif", "reset": "none"},
        encoding={"kind": "direct", "gain": 1e6, "duration_ms": 10.0},
    )
    run = train(spec)
    finite = all(math.isfinite(e.value) for e in run if isinstance(e, Metric) and e.name == "loss")
    assert finite  # large, but a saturated network has a finite loss
    with pytest.raises(Diverged, match=r"learning_rate|gradient_clip_norm"):
        list(train(_with_infinite_weights(spec)))


def _with_infinite_weights(spec: JobSpec) -> JobSpec:
    """Float32 overflows at a decoupled weight decay of -lr * decay * w with lr 100 and decay 10, step after step."""
    optimiser = {"kind": "adam", "learning_rate": 100.0, "weight_decay": 10.0}
    document = deep_merge(spec.model_dump(), {"training": {"optimiser": optimiser, "epochs": 40}})
    return parse_job_spec(document)


def test_a_silent_network_is_reported_after_the_first_batch() -> None:
    events = list(train(tiny_spec(neuron={"kind": "lif", "v_threshold": 1e5})))
    warnings = [event.message for event in events if isinstance(event, Log) and event.level == "warning"]
    assert any("'hidden' fired no spike" in warning for warning in warnings)


def test_periodic_checkpoints_come_when_asked_for() -> None:
    events = list(train(tiny_spec(training={"epochs": 4, "checkpoint_every_epochs": 2})))
    assert [e.epoch for e in events if isinstance(e, Checkpoint) and e.kind == "periodic"] == [2, 4]


def test_the_final_weights_are_those_that_were_asked_for() -> None:
    events = {}
    for choice in ("best", "last"):
        events[choice] = list(train(tiny_spec(training={"epochs": 3, "final_weights": choice})))
    assert the(Finished, events["best"]).result["weights"]["kind"] == "best"
    assert the(Finished, events["last"]).result["weights"] == {"kind": "last", "epoch": 3}


@pytest.mark.parametrize(
    "architecture",
    [
        {"kind": "feedforward", "layers": [20, 15], "readout": {"kind": "spike_count", "group_size": 2}},
        {"kind": "recurrent", "n_hidden": 15, "readout": {"kind": "spike_count", "recurrent": True}},
        {"kind": "feedforward", "layers": [20], "readout": {"kind": "leaky", "reduction": "mean"}},
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_architecture_learns_something(architecture: dict[str, Any], precision: str) -> None:
    spec = tiny_spec(
        architecture=architecture,
        neuron={"v_threshold": 0.5},
        training={
            "epochs": 6,
            "batch_size": 64,
            "precision": precision,
            "optimiser": {"kind": "adam", "learning_rate": 0.01},
        },
    )
    assert the(Finished, list(train(spec))).result["metrics"]["test"]["accuracy"] > 0.35


@pytest.mark.slow
def test_the_demo_preset_reads_digits() -> None:
    result = the(Finished, list(train(get_preset("digits/lsnn").parse()))).result
    assert result["metrics"]["test"]["accuracy"] >= 0.93


@pytest.mark.slow
def test_800_iterations_of_the_softmax_preset_reach_093() -> None:
    document = deep_merge(get_preset("renner/softmax-exp-4").spec, {"training": {"epochs": 4}})
    result = the(Finished, list(train(parse_job_spec(document)))).result
    assert result["metrics"]["test"]["accuracy"] >= 0.93


def test_running_out_of_memory_says_what_to_lower() -> None:
    wanting = tiny_spec(
        encoding={"duration_ms": 1_000.0},
        training={"batch_size": 1_000, "final_weights": "last"},
        architecture={"kind": "feedforward", "layers": [65_536], "readout": {"kind": "leaky"}},
    )
    with pytest.raises(OutOfMemory, match=r"training.batch_size"):
        list(train(wanting))


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MNIST, reason="NO MNIST HERE: name a folder that holds mnist/ in SPIKESMITH_DATA")
@pytest.mark.parametrize("name", ["mnist/lsnn", "mnist/feedforward"])
def test_mnist_presets_learn_from_a_part_of_the_real_data(name: str) -> None:
    part = {"dataset": {"n_train": 4_000, "n_validation": 500, "n_test": 1_000}, "training": {"epochs": 2}}
    result = the(Finished, list(train(parse_job_spec(deep_merge(get_preset(name).spec, part))))).result
    assert result["metrics"]["test"]["accuracy"] > 0.8
