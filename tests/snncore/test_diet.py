"""Runs of the training 'diet': what they tell, what they come to, and that interruptions leave no trace."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load

from snncore import train
from snncore.errors import Diverged
from snncore.events import Checkpoint, Event, Log, Metric, Progress, Raster, Started, Stopped
from snncore.spec import JobSpec, ann_twin, spiking_part
from snncore.training.checkpoints import read_metadata
from tests.snncore.diet_cases import diet_spec
from tests.snncore.whole_runs import final
from tests.snncore.whole_runs import result_of as result

pytestmark = pytest.mark.usefixtures("one_thread")

LAYERS = ("hidden_1", "hidden_2")


@pytest.fixture(scope="module")
def job() -> JobSpec:
    return diet_spec(dropout_rate=0.1, checkpoint_every_epochs=2, schedule={"kind": "cosine"})


@pytest.fixture(scope="module")
def uninterrupted(job: JobSpec) -> list[Event]:
    torch.set_num_threads(1)
    return list(train(job))


def series(events: list[Event], name: str, split: str) -> dict[int, float]:
    """The values by epoch."""
    return {e.epoch: e.value for e in events if isinstance(e, Metric) and (e.name, e.split) == (name, split)}


def test_epochs_and_steps_count_over_both_trainings(job: JobSpec, uninterrupted: list[Event]) -> None:
    progress = [event for event in uninterrupted if isinstance(event, Progress)]
    assert job.n_training_steps == 2 * 5 + 2 * 5  # 1,258 digits in batches of 256
    assert [event.step for event in progress] == list(range(1, 21))
    assert {(event.epochs, event.steps) for event in progress} == {(4, 20)}
    assert [event.epoch for event in progress] == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    assert all(event.eta_s > 0 for event in progress[:-1])
    assert progress[-1].fraction == 1.0
    assert progress[-1].eta_s == 0


def test_each_phase_has_series_of_its_own(uninterrupted: list[Event]) -> None:
    for name in ("loss", "accuracy"):
        for split in ("train", "validation"):
            assert sorted(series(uninterrupted, f"ann.{name}", split)) == [1, 2]
            assert sorted(series(uninterrupted, name, split)) == [3, 4]
        assert sorted(series(uninterrupted, f"ann.{name}", "test")) == [2]
        assert sorted(series(uninterrupted, f"converted.{name}", "test")) == [2]
        assert sorted(series(uninterrupted, f"converted_9_steps_1.{name}", "test")) == [2]
        assert sorted(series(uninterrupted, name, "test")) == [4]
    for layer in LAYERS:
        for kind in ("leak", "v_threshold"):
            steps = [e.step for e in uninterrupted if isinstance(e, Metric) and e.name == f"{kind}.{layer}"]
            assert steps == [10, 15, 20]  # as converted, and after each epoch
        assert sorted(series(uninterrupted, f"firing_rate_hz.{layer}", "validation")) == [3, 4]
    rates = series(uninterrupted, "learning_rate", "train")
    assert rates[3] > rates[4] > 0  # the cosine belongs to the second training
    assert set(series(uninterrupted, "ann.learning_rate", "train").values()) == {0.01}


def test_the_result_has_the_three_networks_side_by_side(uninterrupted: list[Event]) -> None:
    found = result(uninterrupted)
    conversion = found["conversion"]
    assert set(conversion) == {
        "ann",
        "ann_epochs",
        "converted",
        "fine_tuned",
        "thresholds",
        "leaks",
        "spikes_per_neuron",
    }
    assert set(conversion["ann"]) == {"train", "validation", "test"}
    assert conversion["ann"]["test"]["accuracy"] == series(uninterrupted, "ann.accuracy", "test")[2]
    assert conversion["fine_tuned"] == found["metrics"]
    at_encoding, compared = conversion["converted"]
    assert (at_encoding["steps"], at_encoding["scaling_factor"], at_encoding["n_samples"]) == (4, 0.5, 359)
    assert (compared["steps"], compared["scaling_factor"], compared["n_samples"]) == (9, 1.0, 359)
    assert at_encoding["accuracy"] == series(uninterrupted, "converted.accuracy", "test")[2]
    assert compared["loss"] == series(uninterrupted, "converted_9_steps_1.loss", "test")[2]
    for judged in (at_encoding, compared):
        assert all(0 < judged["spikes_per_neuron"][layer] < judged["steps"] for layer in LAYERS)
    for layer in LAYERS:
        for kind, values in (("leak", conversion["leaks"]), ("v_threshold", conversion["thresholds"])):
            by_epoch = series(uninterrupted, f"{kind}.{layer}", "train")
            assert values[layer]["final"] == by_epoch[found["weights"]["epoch"]]
        assert conversion["leaks"][layer]["initial"] == 1.0
        assert 0 < conversion["leaks"][layer]["final"] <= 1.0
        assert conversion["thresholds"][layer]["initial"] != conversion["thresholds"][layer]["final"]
        rate = found["firing"][layer]["rate_hz"]
        assert conversion["spikes_per_neuron"][layer] == pytest.approx(rate * 4 / 1000)
    assert found["epochs"] == 4
    assert found["weights"]["epoch"] in (3, 4)


def test_checkpoints_say_which_epoch_they_are_of_and_the_best_weights_are_those_in_spikes(
    job: JobSpec, uninterrupted: list[Event]
) -> None:
    kept = [event for event in uninterrupted if isinstance(event, Checkpoint)]
    assert [(e.epoch, e.step) for e in kept if e.kind == "periodic"] == [(2, 10), (4, 20)]
    assert all(e.epoch in (3, 4) for e in kept if e.kind == "best")
    assert {read_metadata(e.data)["spec"] for e in kept} == {job.model_dump_json()}
    names = set(load(next(e.data for e in kept if e.kind == "best")))
    assert any("v_threshold" in name for name in names)


def test_rasters_are_of_the_spiking_network(uninterrupted: list[Event]) -> None:
    rasters = [event for event in uninterrupted if isinstance(event, Raster)]
    assert {(raster.split, raster.epoch) for raster in rasters} == {("validation", 3), ("validation", 4), ("test", 4)}
    assert {raster.layer for raster in rasters} == set(LAYERS)


def test_the_two_trainings_have_the_dropout_that_is_theirs(job: JobSpec) -> None:
    def rates(part: JobSpec) -> list[float]:
        return [layer.rate for layer in part.architecture.layers if layer.kind == "dropout"]  # type: ignore[union-attr]

    assert rates(ann_twin(job)) == [0.3]
    assert rates(spiking_part(job)) == [0.1]
    assert rates(spiking_part(diet_spec())) == [0.3]


def test_the_networks_learn() -> None:
    """More than a tenth, which is chance, and the spiking network from where the conversion has left it."""
    slow = {"optimiser": {"kind": "adam", "learning_rate": 0.01}, "batch_size": 64}
    form = diet_spec(epochs=3, **slow, ann={"epochs": 10, **slow})
    conversion = result(list(train(form)))["conversion"]
    assert conversion["ann"]["test"]["accuracy"] > 0.85
    assert conversion["converted"][0]["accuracy"] > 0.3
    assert conversion["fine_tuned"]["test"]["accuracy"] > max(0.85, conversion["converted"][0]["accuracy"])


# --- interruptions


def stopped(job: JobSpec, at: int) -> tuple[list[Event], bytes]:
    """A run that is told to stop when it asks for the `at`-th time; its events, and the checkpoint that it left."""
    asked = 0

    def should_stop() -> str | None:
        nonlocal asked
        asked += 1
        return "pause" if asked > at else None

    events = list(train(job, should_stop=should_stop))
    assert isinstance(events[-1], Stopped)
    (*_, last) = [event for event in events if isinstance(event, Checkpoint) and event.kind == "last"]
    return events[:-1], last.data


def times_asked(job: JobSpec) -> int:
    asked = 0

    def should_stop() -> None:
        nonlocal asked
        asked += 1

    for _ in train(job, should_stop=should_stop):
        pass
    return asked


def test_a_run_stopped_in_any_phase_goes_on_to_the_same_bits(job: JobSpec, uninterrupted: list[Event]) -> None:
    """Before the first batch, in the first training, its validation and test, while thresholds are found, while the
    converted network is tested, and in spikes up to the last test."""
    n = times_asked(job)
    phases = set()
    for at in [0, 3, 5, 12, 13, 15, 17, 20, n - 8, n - 4, n - 1]:
        events, last = stopped(job, at)
        found = {e.name for e in events if isinstance(e, Metric)}
        phases.add(("ann.accuracy" in found, "converted.accuracy" in found, "accuracy" in found))
        resumed = list(train(job, resume=last))
        assert isinstance(resumed[0], Started)
        assert resumed[0].resumed_from_step is not None
        assert final(events + resumed) == final(uninterrupted)
    assert len(phases) == 4  # of which two end in the conversion: before and after it has come to a first result


def test_a_run_killed_anywhere_goes_on_from_its_newest_checkpoint(job: JobSpec, uninterrupted: list[Event]) -> None:
    events = list(train(job, checkpoint_interval_s=0.0))
    assert final(events) == final(uninterrupted)
    last = [event for event in events if isinstance(event, Checkpoint) and event.kind == "last"]
    assert len(last) > job.n_training_steps
    for checkpoint in last[::6]:
        before = [event for event in events[: events.index(checkpoint)] if not isinstance(event, Started)]
        assert final(before + list(train(job, resume=checkpoint.data))) == final(uninterrupted)


def test_early_stopping_ends_each_training_by_itself() -> None:
    """At such a learning rate nothing changes any more: patience is over after the second epoch."""
    still = {"optimiser": {"kind": "adam", "learning_rate": 1e-20}, "early_stopping": {"patience": 1}}
    job = diet_spec(epochs=5, **still, ann={"epochs": 6, "batch_size": 256, **still})
    events = list(train(job))
    assert sorted(series(events, "ann.loss", "validation")) == [1, 2]
    assert sorted(series(events, "loss", "validation")) == [7, 8]
    found = result(events)
    assert found["conversion"]["ann_epochs"] == 2
    assert (found["epochs"], found["weights"]["epoch"]) == (8, 7)
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert (steps[9], steps[10]) == (10, 31)


def test_a_training_that_diverges_names_its_own_fields() -> None:
    wild = {"optimiser": {"kind": "adam", "learning_rate": 100.0, "eps": 1e-30, "weight_decay": 10.0}}
    with pytest.raises(Diverged, match=r"training\.ann\.optimiser\.learning_rate or set training\.ann\.gradient_clip"):
        list(train(diet_spec(ann={"epochs": 40, "batch_size": 256, **wild})))


def test_the_log_says_what_conversion_alone_came_to() -> None:
    events = list(train(diet_spec()))
    said = [event.message for event in events if isinstance(event, Log) and event.level == "info"]
    assert [line.split(":")[0] for line in said] == [
        "converted only, 4 steps, scaling factor 0.5",
        "converted only, 9 steps, scaling factor 1",
    ]
