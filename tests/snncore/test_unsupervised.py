"""Unsupervised runs: what they tell, how labels come about, and that resumed ones come to the same bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from snncore import datasets, train
from snncore.datasets import Samples
from snncore.errors import CheckpointMismatch
from snncore.events import Checkpoint, Event, Finished, Log, Metric, Progress, Raster, ReceptiveFields, Started, Stopped
from snncore.plasticity import labelling
from snncore.plasticity.competition import CompetitiveNetwork
from snncore.plasticity.evaluation import evaluate
from snncore.presets import get_preset
from snncore.spec import JobSpec, SpecError, deep_merge, estimate, parse_job_spec, useful_threads
from tests.snncore.jobs import REAL_MNIST
from tests.snncore.whole_runs import final, result_of

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC: dict[str, Any] = {
    "task": {"kind": "classification"},
    "dataset": {"kind": "digits"},
    "encoding": {"kind": "poisson", "duration_ms": 100.0, "dt_ms": 1.0, "max_rate_hz": 450.0},
    "architecture": {"kind": "competitive", "n_neurons": 30, "circuit": {"fidelity": "fast", "w_inhibition": 40.0}},
    "neuron": {"kind": "conductance_lif"},
    "training": {
        "kind": "stdp",
        "epochs": 2,
        "weight_total": 16.0,
        "labelling": {"n_samples": 400},
        "evaluate_every": 600,
        "log_every_steps": 130,
    },
    "recording": {"kind": "spikes", "n_samples": 1, "receptive_fields": {"every_epochs": 2, "n_neurons": 7}},
}
ORIGINAL: dict[str, Any] = {
    "encoding": {"dt_ms": 0.5, "duration_ms": 50.0},
    "architecture": {"circuit": {"fidelity": "original", "rest_ms": 20.0, "retry": {"most_attempts": 2}}},
    "dataset": {"test_fraction": 0.4, "validation_fraction": 0.4},
    "training": {"evaluate_every": 100, "labelling": {"n_samples": 100}},
}
FORMS: dict[str, dict[str, Any]] = {
    "fast": {},
    "batches": {"training": {"batch_size": 40, "log_every_steps": 5}},
    "original": ORIGINAL,
}


def job_of(**changes: Any) -> JobSpec:
    return parse_job_spec(deep_merge(SPEC, changes))


@pytest.fixture(scope="module", params=list(FORMS))
def job(request: pytest.FixtureRequest) -> JobSpec:
    return job_of(**FORMS[request.param])


@pytest.fixture(scope="module")
def uninterrupted(job: JobSpec) -> list[Event]:
    torch.set_num_threads(1)
    return list(train(job))


def test_a_run_tells_its_story_in_order(job: JobSpec, uninterrupted: list[Event]) -> None:
    assert isinstance(uninterrupted[0], Started)
    assert isinstance(uninterrupted[-1], Finished)
    steps = [event.step for event in uninterrupted if isinstance(event, Progress)]
    assert steps == sorted(set(steps))
    assert steps[-1] == job.n_training_steps
    series = {(event.name, event.split) for event in uninterrupted if isinstance(event, Metric)}
    assert {("accuracy", split) for split in ("train", "validation", "test")} <= series
    assert {("spikes_per_sample", "train"), ("attempts_per_sample", "train"), ("theta_mv", "train")} <= series
    layers = {event.layer for event in uninterrupted if isinstance(event, Raster)}
    assert {"input", "excitatory"} <= layers
    assert ("inhibitory" in layers) == (job.encoding.dt_ms == 0.5)


def test_receptive_fields_are_told_before_the_first_epoch_and_after_those_asked_for(
    job: JobSpec, uninterrupted: list[Event]
) -> None:
    first, last = (event for event in uninterrupted if isinstance(event, ReceptiveFields))
    assert (first.epoch, last.epoch) == (0, 2)
    assert first.shape == last.shape == (8, 8, 1)
    assert first.labels is None
    assert last.labels is not None
    assert first.weights.shape == last.weights.shape == (7, 64)
    assert len(last.labels) == 7
    checkpoint = next(e for e in reversed(uninterrupted) if isinstance(e, Checkpoint) and e.kind == "last")
    assert (load(checkpoint.data)["network/weights"][:, :7].numpy() == last.weights.T).all()


def test_the_cost_counts_every_synapse_that_a_spike_goes_through(job: JobSpec, uninterrupted: list[Event]) -> None:
    cost = result_of(uninterrupted)["cost"]
    spikes = cost["spikes_per_sample"]
    if "inhibitory" in spikes:
        expected = 30 * spikes["input"] + spikes["excitatory"] + 29 * spikes["inhibitory"]
    else:
        expected = 30 * spikes["input"] + 29 * spikes["excitatory"]
    assert cost["synaptic_operations_per_sample"] == pytest.approx(expected)
    assert cost["energy"]["total_nj"] == pytest.approx(expected * 0.9e-3)
    assert cost["multiply_accumulates_per_sample"] == 0


def test_digits_are_learned_without_their_classes() -> None:
    result = result_of(list(train(job_of(training={"epochs": 3}, architecture={"n_neurons": 60}))))
    assert result["metrics"]["test"]["accuracy"] > 0.75  # 0.87
    matrix = np.array(result["confusion_matrix"])
    right = matrix.trace() / 359  # test samples, answered or not
    assert right == pytest.approx(result["metrics"]["test"]["accuracy"])
    labels = result["labelling"]
    assert sum(labels["neurons_per_class"]) + labels["unlabelled"] == 60


@pytest.mark.parametrize("stop_after", [3, 11])
def test_an_interrupted_run_goes_on_to_the_same_bits(job: JobSpec, uninterrupted: list[Event], stop_after: int) -> None:
    asked = 0

    def should_stop() -> str | None:
        nonlocal asked
        asked += 1
        return "pause" if asked > stop_after else None

    before = list(train(job, should_stop=should_stop))
    assert isinstance(before[-1], Stopped)
    last = before[-2]
    assert isinstance(last, Checkpoint)
    assert last.kind == "last"
    after = list(train(job, resume=last.data))
    assert isinstance(after[0], Started)
    assert after[0].resumed_from_step == last.step
    assert final(before[:-1] + after) == final(uninterrupted)


def test_checkpoints_in_between_change_nothing(job: JobSpec, uninterrupted: list[Event]) -> None:
    events = list(train(job, checkpoint_interval_s=0.0))
    assert sum(isinstance(event, Checkpoint) for event in events) > 5
    assert final(events) == final(uninterrupted)


def test_a_run_is_resumed_from_each_of_its_checkpoints() -> None:
    job = job_of(**ORIGINAL)
    whole = list(train(job, checkpoint_interval_s=0.0))
    last = [event for event in whole if isinstance(event, Checkpoint) and event.kind == "last"]
    for checkpoint in last[:: max(1, len(last) // 4)]:
        resumed = list(train(job, resume=checkpoint.data))
        assert final(resumed)["result"] == final(whole)["result"]


def test_a_checkpoint_of_another_spec_is_refused() -> None:
    events = train(job_of(), should_stop=lambda: "pause")
    (data,) = [event.data for event in events if isinstance(event, Checkpoint)]
    with pytest.raises(CheckpointMismatch, match="another spec"):
        list(train(job_of(seed=1), resume=data))


def test_a_checkpoint_from_before_a_field_with_a_default_is_resumed_from() -> None:
    job = job_of()
    (data,) = [event.data for event in train(job, should_stop=lambda: "pause") if isinstance(event, Checkpoint)]
    field = b',\\"feature_sum\\":null'
    assert data.count(field) == 1
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(field, b"")
    older = len(header).to_bytes(8, "little") + header + data[8 + length :]
    assert result_of(list(train(job, resume=older)))["metrics"] == result_of(list(train(job)))["metrics"]


@pytest.mark.parametrize("form", ["fast", "batches"])
def test_one_thread_and_two_come_to_the_same_bits(form: str) -> None:
    job = job_of(**deep_merge(FORMS[form], {"training": {"epochs": 1}}))
    one = final(list(train(job)))
    torch.set_num_threads(2)
    assert final(list(train(job))) == one


def test_neurons_are_never_labelled_by_test_samples() -> None:
    job = job_of()
    network, data = CompetitiveNetwork(job), datasets.load(job.dataset, 0)
    assert isinstance(data.test, Samples)
    with pytest.raises(ValueError, match="training samples only"):
        evaluate(job, network, data.test, "test", None, 1, lambda: False)


def test_the_labels_of_a_run_do_not_depend_on_the_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the classes of the test samples moved on by one, labels stay, and right answers become wrong ones."""
    job = job_of(training={"epochs": 1})
    honest = result_of(list(train(job)))
    load_splits = datasets.load

    def with_wrong_classes(*args: Any) -> datasets.Splits:
        splits = load_splits(*args)
        test = splits.test
        assert isinstance(test, Samples)
        assert test.y is not None
        return replace(splits, test=replace(test, y=(test.y + 1) % 10))

    monkeypatch.setattr(datasets, "load", with_wrong_classes)
    misled = result_of(list(train(job)))
    assert misled["labelling"] == honest["labelling"]
    assert misled["metrics"]["validation"] == honest["metrics"]["validation"]
    assert misled["metrics"]["test"]["accuracy"] < 0.1 < 0.4 < honest["metrics"]["test"]["accuracy"]


def test_a_neuron_gets_the_class_that_it_answers_with_the_highest_mean() -> None:
    y = np.array([0, 0, 0, 1, 2])
    counts = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 3], [2, 0, 0], [0, 0, 1]], np.int32)
    labels = labelling.assign(counts, y, 3)
    # neuron 0: means 1, 2, 0; neuron 1 is silent; neuron 2: means 1, 0, 1, of equal ones the first
    assert labels.tolist() == [1, labelling.NO_CLASS, 0]
    # of the classes 0 and 1 with a neuron each; neuron 1 has no say; nobody fires for the last sample
    shown = np.array([[3, 9, 2], [1, 9, 4], [0, 9, 0]], np.int32)
    answers = labelling.answer(shown, labels, 3)
    assert answers.tolist() == [1, 0, labelling.NO_CLASS]
    assert labelling.confusion(np.array([1, 1, 2]), answers, 3) == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_the_answer_is_by_mean_not_by_sum() -> None:
    labels = np.array([0, 0, 0, 1])
    assert labelling.answer(np.array([[2, 2, 2, 3]], np.int32), labels, 2).tolist() == [1]


def test_samples_without_an_answer_are_shown_again_brighter() -> None:
    retry = {"retry": {"enough_spikes": 5, "raise_hz": 150.0, "most_attempts": 4}}
    job = job_of(encoding={"max_rate_hz": 60.0}, architecture={"circuit": retry})
    network, data = CompetitiveNetwork(job), datasets.load(job.dataset, 0)
    x = np.ascontiguousarray(data.train[:200].x, np.float32)  # type: ignore[union-attr]
    answers = network.respond(x, 5)
    assert answers.attempts.min() >= 1
    assert answers.attempts.max() == 4
    answered = answers.counts.sum(axis=1) >= 5
    assert (answers.attempts[~answered] == 4).all()
    assert answers.attempts[answered].mean() < 4
    once = CompetitiveNetwork(job_of(encoding={"max_rate_hz": 60.0})).respond(x, 5)
    assert (once.attempts == 1).all()
    assert answers.input_spikes.mean() > 2 * once.input_spikes.mean()


def test_input_spikes_are_as_many_and_as_scattered_as_poisson_spikes() -> None:
    """Bernoulli with p = x max_rate dt in each step, independent of each other: mean, variance, and no lagged
    correlation, of 8,000 presentations."""
    network = CompetitiveNetwork(job_of())
    x = np.zeros(64, np.float32)
    x[:4] = [1.0, 0.5, 0.1, 8.4]  # the last one above one spike a step
    spikes = np.stack([network.draw(x, number, 9) for number in range(8_000)])
    p = np.array([0.45, 0.225, 0.045, 1.0])
    assert not spikes[:, :, 4:].any()
    assert spikes[:, :, 3].all()
    error = np.sqrt(p * (1 - p) / (8_000 * 100))
    assert (np.abs(spikes[:, :, :4].mean(axis=(0, 1)) - p)[:3] < 5 * error[:3]).all()
    by_step = spikes[:, :, :3].mean(axis=0)
    assert (np.abs(by_step - p[:3]) < 5 * np.sqrt(p * (1 - p) / 8_000)[:3]).all()
    counts = spikes[:, :, :3].sum(axis=1)
    assert counts.var(axis=0) == pytest.approx(100 * p[:3] * (1 - p[:3]), rel=0.1)
    lagged = (spikes[:, 1:, 0] & spikes[:, :-1, 0]).mean()
    assert lagged == pytest.approx(0.45**2, rel=0.05)
    assert (spikes[0] != spikes[1]).any()
    assert (network.draw(x, 17, 9) == spikes[17]).all()


def test_a_batch_of_one_group_sums_up_what_its_samples_change_apart() -> None:
    """Without normalisation and far from the borders, changes are a sum over samples that see the same weights."""
    training = {"batch_size": 6, "weight_total": None, "precision": "float64", "rule": {"kind": "pair"}}
    job = job_of(training=training | {"evaluate_every": None}, neuron={"theta_initial_mv": 14.0})
    data = datasets.load(job.dataset, 0)
    x = np.ascontiguousarray(data.train[:6].x, np.float32)  # type: ignore[union-attr]
    whole = CompetitiveNetwork(job)
    first, theta = whole.weights.copy(), whole.theta.copy()
    whole.learn_batch(x, np.arange(6), 3, 1)
    changes, rises = np.zeros_like(first), np.zeros_like(theta)
    for sample in range(6):
        alone = CompetitiveNetwork(job)
        alone.learn_batch(x[sample : sample + 1], np.array([sample]), 3, 1)
        changes += alone.weights - first
        rises += alone.theta - theta * alone.network.decay_theta**100
    assert np.abs(changes).max() > 1e-3
    assert whole.weights == pytest.approx(np.clip(first + changes, 0, 1), abs=1e-12)
    assert whole.theta == pytest.approx(theta * whole.network.decay_theta**100 + rises, abs=1e-12)


def test_weights_keep_their_sum_and_their_borders(job: JobSpec) -> None:
    network, data = CompetitiveNetwork(job), datasets.load(job.dataset, 0)
    x = np.ascontiguousarray(data.train[:80].x, np.float32)  # type: ignore[union-attr]
    if job.training.batch_size > 1:
        network.learn_batch(x[:40], np.arange(40), 3, 1)
    else:
        network.learn(x, np.arange(80), 3)
    weights = network.learned()["weights"]
    assert weights.sum(axis=0) == pytest.approx(np.full(30, 16.0), rel=1e-5)
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_a_network_that_stays_silent_is_reported() -> None:
    events = list(train(job_of(neuron={"theta_initial_mv": 200.0}, training={"epochs": 1})))
    assert any("no neuron fired" in event.message for event in events if isinstance(event, Log))
    result = result_of(events)
    assert result["metrics"]["test"] == {"accuracy": 0.0, "unanswered_share": 1.0}
    assert result["labelling"]["unlabelled"] == 30


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"architecture": {"kind": "feedforward", "layers": [4], "readout": {"kind": "leaky"}}}, "architecture.kind"),
    ({"neuron": {"kind": "lif"}}, "neuron"),
    ({"training": {"kind": "bptt", "epochs": 1, "batch_size": 4}}, "training.kind"),
    ({"encoding": {"kind": "direct", "duration_ms": 100.0}}, "encoding.kind"),
    ({"encoding": {"frames": 4}}, "encoding.frames"),
    ({"encoding": {"group_size": 2}}, "encoding.group_size"),
    ({"task": {"kind": "classification", "loss": "mse"}}, "task"),
    ({"device": "cuda"}, "device"),
    ({"architecture": {"circuit": {"rest_ms": 30.5}}}, "architecture.circuit.rest_ms"),
    ({"architecture": {"circuit": {"longest_delay_ms": 2.5}}}, "architecture.circuit.longest_delay_ms"),
    ({"architecture": {"circuit": {"rest_ms": 3.0, "longest_delay_ms": 5.0}}}, "architecture.circuit.rest_ms"),
    ({"architecture": {"circuit": {"rest_ms": 3.0}}, "training": {"batch_size": 2}}, "training.batch_size"),
    ({"neuron": {"v_reset_mv": -40.0}}, "neuron.v_reset_mv"),
    ({"training": {"labelling": {"n_samples": 5_000}}}, "training.labelling.n_samples"),
    ({"training": {"evaluate_every": 601, "batch_size": 2}}, "training.evaluate_every"),
    ({"training": {"weight_total": 65.0}}, "training.weight_total"),
    ({"dataset": {"kind": "digits", "validation_fraction": 0.0}}, "training.final_weights"),
    ({"dataset": {"kind": "exponential", "n_features": 9}}, "dataset.kind"),
]


@pytest.mark.parametrize(("changes", "place"), BROKEN, ids=[place for _, place in BROKEN])
def test_what_cannot_work_is_refused_by_its_field(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(SpecError) as error:
        job_of(**changes)
    assert place in {".".join(map(str, problem.loc)) for problem in error.value.problems}


def test_another_fidelity_replaces_the_circuit_as_a_whole() -> None:
    resolved = job_of(architecture={"circuit": {"w_inhibition": 3.0}}).model_dump(mode="json")
    other = parse_job_spec(deep_merge(resolved, {"architecture": {"circuit": {"fidelity": "original"}}}))
    assert other == job_of(architecture={"circuit": {"fidelity": "original"}})


def test_the_estimate_counts_plastic_weights_and_thresholds() -> None:
    job = job_of()
    expected = estimate(job)
    assert expected.parameters == 64 * 30 + 30
    assert expected.steps == 2 * job.steps_per_epoch
    assert expected.flops > 0
    assert useful_threads(job, 8) == 1
    assert useful_threads(job_of(training={"batch_size": 40}), 8) == 4


@pytest.mark.skipif(not REAL_MNIST, reason="NO MNIST HERE: name a folder that holds mnist/ in SPIKESMITH_DATA")
@pytest.mark.slow
def test_a_hundred_neurons_learn_mnist() -> None:
    spec = deep_merge(get_preset("diehl-cook/100@quick").spec, {"dataset": {"n_test": 2_000}})
    assert result_of(list(train(parse_job_spec(spec))))["metrics"]["test"]["accuracy"] > 0.75
