"""Whole runs of decision pools: what they tell, and that a resumed run comes to the bits of one left alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from snncore import train
from snncore.events import (
    Checkpoint,
    Event,
    Finished,
    Log,
    Metric,
    Progress,
    Raster,
    ReceptiveFields,
    Started,
    Stopped,
)
from snncore.plasticity.decisions import Decisions
from snncore.plasticity.reaction_times import kolmogorov_smirnov, most_frequent_confusions, report
from snncore.presets import get_preset
from snncore.spec import JobSpec, deep_merge, parse_job_spec
from tests.snncore.jobs import REAL_MNIST
from tests.snncore.pools_cases import pools_spec
from tests.snncore.whole_runs import final, the

pytestmark = pytest.mark.usefixtures("one_thread")

LEARNING: dict[str, Any] = {
    "training": {"epochs": 2, "batch_size": 128, "precision": "float32", "n_measured": 300, "log_every_steps": 3},
    "recording": {"kind": "spikes", "n_samples": 2, "receptive_fields": {}},
}


@pytest.fixture(scope="module")
def job() -> JobSpec:
    return pools_spec(LEARNING)


@pytest.fixture(scope="module")
def uninterrupted(job: JobSpec) -> list[Event]:
    torch.set_num_threads(1)
    return list(train(job))


def test_pools_learn_digits(job: JobSpec, uninterrupted: list[Event]) -> None:
    result = the(Finished, uninterrupted).result
    assert result["metrics"]["test"]["accuracy"] > 0.75
    assert result["metrics"]["test"]["vote_accuracy"] > 0.75
    assert result["metrics"]["test"]["miss_share"] < 0.1
    errors = [e.value for e in uninterrupted if isinstance(e, Metric) and e.name == "rate_error_hz"]
    assert errors[1] < 0.9 * errors[0]


def test_a_run_tells_its_story_in_order(job: JobSpec, uninterrupted: list[Event]) -> None:
    assert the(Started, uninterrupted).environment["engine"] == "pools-cpu"
    assert uninterrupted[0] is the(Started, uninterrupted)
    assert uninterrupted[-1] is the(Finished, uninterrupted)
    progress = [event for event in uninterrupted if isinstance(event, Progress)]
    assert [event.step for event in progress] == list(range(1, job.n_training_steps + 1))
    series = {(event.name, event.split) for event in uninterrupted if isinstance(event, Metric)}
    assert {("batch_rate_error_hz", "train"), ("rate_error_hz", "train"), ("learning_rate", "train")} <= series
    for split in ("train", "validation", "test"):
        for name in ("accuracy", "vote_accuracy", "miss_share", "correct_reaction_time_ms", "firing_rate_hz.pools"):
            assert (name, split) in series
    assert not [event for event in uninterrupted if isinstance(event, Log)]


def test_the_result_says_what_was_decided_when_and_at_what_cost(job: JobSpec, uninterrupted: list[Event]) -> None:
    result = the(Finished, uninterrupted).result
    json.dumps(result)
    decisions, metrics = result["decisions"], result["metrics"]
    matrix = np.array(result["confusion_matrix"])
    assert matrix.trace() / 359 == pytest.approx(metrics["test"]["accuracy"])
    for split, n in (("train", 300), ("validation", 180), ("test", 359)):
        told = decisions["splits"][split]
        counted = {which: sum(counts) for which, counts in told["histograms"].items()}
        assert told["n"] == n
        assert counted["correct"] == round(n * metrics[split]["accuracy"])
        assert counted["correct"] + counted["wrong"] + told["n_missed"] == n
        assert told["correct_against_wrong"]["n"] == [counted["correct"], counted["wrong"]]
        assert told["median_ms"]["correct"] < told["median_ms"]["wrong"]
        assert 0 <= told["fast_error_share"] < 0.5
    assert len(decisions["edges_ms"]) == len(told["histograms"]["correct"]) + 1
    assert decisions["edges_ms"][-1] == 120.0
    n_train, n_test = decisions["train_against_test"]["n"]
    assert n_train == n_test <= 300
    pairs = decisions["splits"]["test"]["confusions"]
    assert all(matrix[pair["label"], pair["response"]] == pair["count"] for pair in pairs)
    cost = result["cost"]
    assert cost["synaptic_operations_per_sample"] == pytest.approx(30 * cost["spikes_per_sample"]["input"])
    assert cost["energy"]["total_nj"] == pytest.approx(cost["synaptic_operations_per_sample"] * 0.9e-3)
    assert result["firing"]["pools"]["rate_hz"] == pytest.approx(cost["spikes_per_sample"]["pools"] / 30 / 0.12)


def test_rasters_hold_what_was_decided_on(job: JobSpec, uninterrupted: list[Event]) -> None:
    """The accumulators that are read first come to the bound where the reaction time says."""
    rasters = [event for event in uninterrupted if isinstance(event, Raster)]
    assert {(raster.split, raster.epoch) for raster in rasters} == {("validation", 1), ("validation", 2), ("test", 2)}
    assert {raster.layer for raster in rasters} == {"input", "pools"}
    assert {raster.sample for raster in rasters} == {0, 1}
    last = [raster for raster in rasters if raster.split == "test" and raster.layer == "pools"]
    for raster in last:
        assert raster.spikes.shape == (120, 30)
        assert raster.reading is not None
        evidence = np.array(raster.reading["outputs"])
        assert evidence.shape == (120, 10)
        assert raster.reading["predictions"] == [raster.prediction]
        first = np.flatnonzero(evidence.max(axis=1) >= 4.0)
        assert raster.prediction == (evidence[first[0]].argmax() if len(first) else None)


def test_receptive_fields_are_the_weights_by_neuron(job: JobSpec, uninterrupted: list[Event]) -> None:
    fields = [event for event in uninterrupted if isinstance(event, ReceptiveFields)]
    assert [event.epoch for event in fields] == [0, 1, 2]
    assert fields[-1].shape == (8, 8, 1)
    assert fields[-1].labels == [neuron // 3 for neuron in range(30)]
    last = load([event for event in uninterrupted if isinstance(event, Checkpoint)][-1].data)
    np.testing.assert_array_equal(fields[-1].weights, last["network/layers.pools.synapses.weight"].numpy())
    assert fields[0].weights.min() >= 0
    assert fields[-1].weights.min() < -0.1


def test_what_is_learned_does_not_depend_on_the_size_of_batches(job: JobSpec, uninterrupted: list[Event]) -> None:
    other = deep_merge(job.model_dump(mode="json"), {"training": {"batch_size": 1_000}})
    found = the(Finished, list(train(parse_job_spec(other)))).result
    assert found["metrics"] == the(Finished, uninterrupted).result["metrics"]


@pytest.mark.parametrize("stop_after", [0, 4, 10, 13, 20])
def test_a_stopped_and_resumed_run_comes_to_the_bits_of_one_left_alone(
    job: JobSpec, uninterrupted: list[Event], stop_after: int
) -> None:
    """Before the first batch, in the middle of an epoch, before its decisions, in the second, and at the end."""
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
    assert (last.kind, last.step) == ("last", stop_after)
    resumed = list(train(job, resume=last.data))
    assert the(Started, resumed).resumed_from_step == stop_after
    assert final([e for e in events if not isinstance(e, Started | Stopped)] + resumed) == final(uninterrupted)


def test_a_run_killed_anywhere_goes_on_from_its_newest_checkpoint(job: JobSpec, uninterrupted: list[Event]) -> None:
    events = list(train(job, checkpoint_interval_s=0.0))
    assert final(events) == final(uninterrupted)
    last = [event for event in events if isinstance(event, Checkpoint) and event.kind == "last"]
    assert len(last) > job.n_training_steps
    for checkpoint in last[7::15]:
        before = [event for event in events[: events.index(checkpoint)] if not isinstance(event, Started)]
        assert final(before + list(train(job, resume=checkpoint.data))) == final(uninterrupted)


def test_the_last_weights_are_tested_where_they_are_wanted(job: JobSpec) -> None:
    wanted = {"dataset": {"validation_fraction": 0.0}, "training": {"final_weights": "last", "epochs": 1}}
    events = list(train(parse_job_spec(deep_merge(job.model_dump(mode="json"), wanted))))
    result = the(Finished, events).result
    assert result["weights"] == {"kind": "last", "epoch": 1}
    assert set(result["metrics"]) == {"train", "test"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"training": {"learning_rate": 1e-9}}, "fired no spike"),
        ({"architecture": {"decision": {"bound": 900.0}}}, "came to the bound for 0%"),
    ],
)
def test_pools_that_cannot_answer_are_warned_of(job: JobSpec, parts: dict[str, Any], said: str) -> None:
    short = {"training": {"epochs": 1}, "recording": {"kind": "none"}}
    events = list(train(parse_job_spec(deep_merge(deep_merge(job.model_dump(mode="json"), short), parts))))
    assert any(said in event.message for event in events if isinstance(event, Log))
    assert the(Finished, events).result["metrics"]["test"]["accuracy"] == 0


def decisions(labels: list[int], responses: list[int], times_ms: list[float]) -> Decisions:
    spikes = np.zeros(30, np.int64)
    answers = np.array(responses)
    return Decisions(np.array(labels), answers, np.array(times_ms), answers, np.zeros(10, np.int64), spikes, 0)


def test_misses_count_as_wrong_and_have_no_reaction_time() -> None:
    found = decisions([1, 2, 3, 4], [1, 2, 4, -1], [10.0, 20.0, 60.0, 0.0])
    metrics = found.metrics()
    assert (metrics["accuracy"], metrics["miss_share"]) == (0.5, 0.25)
    assert (metrics["correct_reaction_time_ms"], metrics["wrong_reaction_time_ms"]) == (15.0, 60.0)
    assert np.array(found.confusion(10)).sum() == 3
    assert "correct_reaction_time_ms" not in decisions([1], [-1], [0.0]).metrics()


def test_the_report_counts_by_hand(job: JobSpec) -> None:
    """Bins of 2.4 ms up to 120 ms; a time is the end of its step, so that 2.4 ms is still in the first."""
    found = decisions([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, -1], [2.4, 10.0, 120.0, 1.0, 50.0, 0.0])
    told = report(job, {"train": found, "test": found})
    split = told["splits"]["test"]
    assert split["histograms"]["correct"][0] == split["histograms"]["correct"][-1] == 1
    assert split["histograms"]["wrong"][0] == 1
    assert (split["n"], split["n_missed"]) == (6, 1)
    assert split["median_ms"] == {"correct": 10.0, "wrong": 25.5}
    assert split["fast_error_share"] == 0.5  # 1 ms is faster than the median correct answer
    assert split["confusions"] == [
        {"label": 0, "response": 1, "count": 1},
        {"label": 1, "response": 0, "count": 1},
    ]
    assert told["train_against_test"] == {"d": 0.0, "p": 1.0, "n": [5, 5]}


def test_distributions_are_told_apart_by_their_distance_and_number() -> None:
    """Those of 1..4 and 3..6: half of the first lie below all of the second."""
    found = kolmogorov_smirnov(np.arange(1.0, 5.0), np.arange(3.0, 7.0))
    assert found is not None
    assert found["d"] == 0.5
    assert found["n"] == [4, 4]
    assert found["p"] == pytest.approx(0.771, abs=0.001)
    assert kolmogorov_smirnov(np.array([]), np.arange(3.0)) is None


def test_confusions_come_most_frequent_first() -> None:
    found = most_frequent_confusions([[9, 0, 2], [5, 9, 0], [0, 2, 9]])
    assert [(pair["label"], pair["response"], pair["count"]) for pair in found] == [(1, 0, 5), (0, 2, 2), (2, 1, 2)]


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MNIST, reason="needs MNIST in SPIKESMITH_DATA")
def test_the_quick_preset_decides_on_real_digits_and_is_slow_where_it_is_wrong() -> None:
    events = list(train(parse_job_spec(get_preset("beyeler/decision@quick").spec)))
    result = the(Finished, events).result
    told = result["decisions"]
    assert result["metrics"]["test"]["accuracy"] >= 0.85
    apart = told["splits"]["test"]["correct_against_wrong"]
    assert apart["p"] < 0.01
    medians = told["splits"]["test"]["median_ms"]
    assert medians["correct"] < medians["wrong"]
    assert told["train_against_test"]["p"] > 0.05
