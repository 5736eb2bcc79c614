"""What a run decides by what it has seen: when to stop, how fast to learn, which weights to keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from snncore import train
from snncore.events import Checkpoint, Event, Finished, Log, Metric, Progress, Raster, Started, Stopped
from snncore.spec import JobSpec
from snncore.training.checkpoints import Plateau
from snncore.training.optimiser import watch
from tests.snncore.hybrid_cases import UNIT, dense, sequential, spiking
from tests.snncore.jobs import tiny_spec
from tests.snncore.whole_runs import final

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    "dataset": {"validation_fraction": 0.1},
    "encoding": {"kind": "direct", "duration_ms": 8.0, "frames": 8, "scan": "columns", "gain": 0.1},
}
LAYERS = [
    {"kind": "dropout", "rate": 0.2, "over_time": "constant"},
    dense(8),
    spiking(UNIT),
    {"kind": "lstm", "n_units": 4},
    {"kind": "dropout", "rate": 0.3},
]


def job_of(readout: str = "every_step", **training: Any) -> JobSpec:
    parts = {**SMALL, "training": {"batch_size": 512, **training}}
    return tiny_spec(**sequential(LAYERS, {"kind": readout}, **parts))


def series(events: list[Event], name: str, split: str) -> list[float]:
    """The values by epoch; a resumed run says the same again."""
    points = {e.epoch: e.value for e in events if isinstance(e, Metric) and (e.name, e.split) == (name, split)}
    return [points[epoch] for epoch in sorted(points)]


def result(events: list[Event]) -> dict[str, Any]:
    assert isinstance(events[-1], Finished)
    return events[-1].result


def weights(events: list[Event], kind: str) -> dict[str, bytes]:
    data = [event.data for event in events if isinstance(event, Checkpoint) and event.kind == kind][-1]
    return {name: t.numpy().tobytes() for name, t in load(data).items() if name.startswith("network/")}


# --- early stopping


def test_a_run_ends_after_so_many_epochs_without_a_better_validation_split_and_tests_the_best_weights() -> None:
    fast = {"optimiser": {"kind": "adam", "learning_rate": 3.0}}  # so that it gets worse again soon
    job = job_of(epochs=20, early_stopping={"patience": 2}, selection="loss", **fast)
    events = list(train(job))
    losses = series(events, "loss", "validation")
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 20
    found = result(events)
    assert found["epochs"] == best + 2
    assert found["weights"] == {"kind": "best", "epoch": best}
    assert found["metrics"]["validation"]["loss"] == losses[best - 1]
    assert weights(events, "best") != weights(events, "last")
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert steps[-1] == (best + 2) * job.steps_per_epoch


def test_a_run_that_stays_exactly_as_good_as_it_was_is_not_better() -> None:
    """At such a learning rate single precision changes nothing."""
    still = {"optimiser": {"kind": "adam", "learning_rate": 1e-20}}
    events = list(train(job_of(epochs=9, early_stopping={"patience": 3}, **still)))
    assert len(set(series(events, "loss", "validation"))) == 1
    assert result(events)["weights"]["epoch"] == 1
    assert result(events)["epochs"] == 4


# --- resumed runs

RESUMED: dict[str, Any] = {
    "epochs": 6,
    "early_stopping": {"patience": 2},
    "schedule": {"kind": "plateau", "factor": 0.5, "patience": 1, "min_delta": 0.05, "split": "validation"},
    "optimiser": {"kind": "adam", "learning_rate": 0.1},
    "selection": "true_label_probability",
}


@pytest.fixture(scope="module")
def uninterrupted() -> list[Event]:
    torch.set_num_threads(1)
    return list(train(job_of(**RESUMED)))


def test_the_run_that_gets_interrupted_has_plateaus_and_stops_early(uninterrupted: list[Event]) -> None:
    assert len(set(series(uninterrupted, "learning_rate", "train"))) > 1
    assert result(uninterrupted)["epochs"] < RESUMED["epochs"]


@pytest.mark.parametrize("stop_after", [1, 3, 5, 8])
def test_a_resumed_run_comes_to_the_same_bits_with_dropout_plateaus_and_early_stopping(
    uninterrupted: list[Event], stop_after: int
) -> None:
    """Stopped in the middle of an epoch and at its end (an epoch has three batches)."""
    job = job_of(**RESUMED)
    events: list[Event] = []

    def should_stop() -> str | None:
        return "pause" if sum(isinstance(event, Progress) for event in events) >= stop_after else None

    run = train(job, should_stop=should_stop)
    while not events or not isinstance(events[-1], Stopped | Finished):
        events.append(next(run))
    assert isinstance(events[-1], Stopped)
    last = [event for event in events if isinstance(event, Checkpoint) and event.kind == "last"][-1]
    resumed = list(train(job, resume=last.data))
    assert isinstance(resumed[0], Started)
    assert resumed[0].resumed_from_step == stop_after
    assert final(events[:-1] + resumed) == final(uninterrupted)


def test_a_run_that_has_stopped_early_stays_stopped_when_it_is_resumed(uninterrupted: list[Event]) -> None:
    last = [event for event in uninterrupted if isinstance(event, Checkpoint) and event.kind == "last"][-1]
    again = list(train(job_of(**RESUMED), resume=last.data))
    assert not [event for event in again if isinstance(event, Progress)]
    assert result(again)["metrics"] == result(uninterrupted)["metrics"]
    assert result(again)["epochs"] == result(uninterrupted)["epochs"]


# --- the probability of the right class


@pytest.mark.parametrize("readout", ["every_step", "leaky"])
def test_the_probability_of_the_true_label_is_the_mean_softmax_of_what_was_read(readout: str) -> None:
    """By hand from the recorded readings of all test samples: over the windows of each sample, then over samples."""
    job = tiny_spec(
        **{
            **sequential(LAYERS, {"kind": readout}, **SMALL, recording={"kind": "spikes", "n_samples": 64}),
            "dataset": {"validation_fraction": 0.1, "test_fraction": 0.02},
        },
    )
    events = list(train(job))
    shown = [e for e in events if isinstance(e, Raster) and e.split == "test" and e.reading is not None]
    assert len(shown) == round(1_797 * 0.02)
    probabilities, right = [], []
    for raster in shown:
        assert raster.reading is not None
        outputs = np.array(raster.reading["outputs"])
        assert outputs.shape == (8 if readout == "every_step" else 1, 10)
        softmax = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        probabilities.append(softmax[:, raster.label].mean())
        right.append(softmax.mean(axis=0).argmax() == raster.label)
    metrics = result(events)["metrics"]["test"]
    assert metrics["true_label_probability"] == pytest.approx(np.mean(probabilities), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(np.mean(right))
    assert series(events, "true_label_probability", "test") == [metrics["true_label_probability"]]


@pytest.mark.parametrize("selection", ["accuracy", "loss", "true_label_probability"])
def test_the_best_weights_are_the_best_by_what_was_chosen(selection: str) -> None:
    events = list(train(job_of(epochs=5, selection=selection, optimiser={"kind": "adam", "learning_rate": 0.1})))
    losses = np.negative(series(events, "loss", "validation"))
    chosen = losses if selection == "loss" else series(events, selection, "validation")
    standing = list(zip(chosen, losses, strict=True))
    assert result(events)["weights"]["epoch"] == standing.index(max(standing)) + 1


# --- the protocol of the seed


def test_the_protocol_of_the_seed_chooses_on_the_test_split_and_says_so() -> None:
    part = {"dataset": {"validation_fraction": 0.0}}
    training = {"batch_size": 512, "epochs": 3, "seed_protocol": True, "selection": "loss"}
    job = tiny_spec(**{**sequential(LAYERS, {"kind": "every_step"}, **SMALL), **part, "training": training})
    events = list(train(job))
    found = result(events)
    assert found["seed_protocol"] is True
    assert any("seed_protocol" in event.message for event in events if isinstance(event, Log))
    losses = [e.value for e in events if isinstance(e, Metric) and (e.name, e.split) == ("loss", "test")]
    assert len(losses) == 3 + 1  # every epoch, and the weights of the best one at the end
    assert found["weights"]["epoch"] == int(np.argmin(losses[:3])) + 1
    assert found["metrics"]["test"]["loss"] == losses[-1] == min(losses)
    assert "validation" not in found["metrics"]
    assert not series(events, "loss", "validation")


def test_a_run_that_keeps_to_its_validation_split_looks_at_the_test_split_once() -> None:
    events = list(train(job_of(epochs=3)))
    assert result(events)["seed_protocol"] is False
    assert len([e for e in events if isinstance(e, Metric) and (e.name, e.split) == ("loss", "test")]) == 1


# --- plateaus


def test_a_plateau_is_so_many_epochs_without_a_rise_by_more_than_the_least_that_counts() -> None:
    schedule = tiny_spec(training={"schedule": {"kind": "plateau", "patience": 2, "min_delta": 0.01}}).training.schedule
    plateau, counts = Plateau(), []
    for accuracy in (0.5, 0.505, 0.51, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7):
        watch(plateau, schedule, accuracy)  # type: ignore[arg-type]
        counts.append(plateau.count)
    assert counts == [0, 0, 1, 1, 1, 1, 1, 2, 2, 3]


def test_a_plateau_lowers_the_learning_rate_from_the_next_epoch_on() -> None:
    schedule = {"kind": "plateau", "factor": 0.5, "patience": 2, "min_delta": 0.9}
    events = list(train(job_of(epochs=6, schedule=schedule, optimiser={"kind": "adam", "learning_rate": 0.01})))
    # the first epoch is better than nothing, by no more than 0.9: a plateau is seen after epochs 3 and 5
    assert series(events, "learning_rate", "train") == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_plateaus_are_those_of_the_split_that_is_watched(split: str) -> None:
    schedule = {"kind": "plateau", "factor": 0.5, "patience": 1, "min_delta": 0.02, "split": split}
    events = list(train(job_of(epochs=6, schedule=schedule, optimiser={"kind": "adam", "learning_rate": 0.1})))
    best, plateaus, expected = -1.0, 0, []
    for accuracy in series(events, "accuracy", split):
        expected.append(0.1 * 0.5**plateaus)
        if accuracy > best + 0.02:
            best = accuracy
        else:
            plateaus += 1
    assert plateaus > 0
    assert series(events, "learning_rate", "train") == pytest.approx(expected)
