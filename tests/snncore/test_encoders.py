"""How samples become input over time: small examples worked out by hand, and what holds for any input."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from snncore import train
from snncore.datasets import load
from snncore.encoders import encode, in_frames
from snncore.events import Finished
from snncore.spec import (
    Delta,
    Direct,
    Encoding,
    Latency,
    Poisson,
    ThresholdCrossing,
    image_shape,
    n_features,
    n_inputs,
    parse_job_spec,
    warnings_about,
)
from snncore.spikes import SpikeTrain
from snncore.streams import stream
from tests.snncore.jobs import tiny_job, tiny_spec
from tests.snncore.test_spec import locations

LATENCY = Latency(kind="latency", duration_ms=10.0)


def spikes(encoding: Encoding, x: Tensor, shape: tuple[int, int, int] | None = None) -> Tensor:
    """Zeros and ones `[T, B, M]`."""
    train = encode(encoding, x, stream(0, "test"), shape)
    assert isinstance(train, SpikeTrain)
    return train.dense(torch.float64)


def steps_of(z: Tensor) -> list[list[int]]:
    """The steps in which each neuron of the only sample spikes."""
    return [z[:, 0, neuron].nonzero()[:, 0].tolist() for neuron in range(z.shape[2])]


# -- features that sum to the same


def test_features_that_are_scaled_to_a_sum_cause_as_many_spikes_in_every_sample() -> None:
    """At 20 Hz a unit and a sum of 10: 0.2 spikes a step, however bright the sample; none where nothing is bright."""
    x = torch.tensor([[0.1, 0.3, 0.0], [10.0, 30.0, 0.0], [0.1, 0.3, -5.0], [0.0, 0.0, -1.0]])
    encoding = Poisson(kind="poisson", duration_ms=20_000.0, max_rate_hz=20.0, feature_sum=10.0)
    rates = spikes(encoding, x).mean(dim=0)
    assert rates[:3, 0].numpy() == pytest.approx(0.05, rel=0.1)
    assert rates[:3, 1].numpy() == pytest.approx(0.15, rel=0.1)
    assert not rates[3].any()
    assert not rates[:, 2].any()


def test_frames_of_a_sample_share_its_sum() -> None:
    encoding = Poisson(kind="poisson", duration_ms=4_000.0, frames=2, max_rate_hz=20.0, feature_sum=10.0)
    z = spikes(encoding, torch.tensor([[1.0, 3.0]]))
    assert float(z[:2_000].mean()) == pytest.approx(0.05, rel=0.2)
    assert float(z[2_000:].mean()) == pytest.approx(0.15, rel=0.2)


# -- images as sequences

NUMBERED = torch.arange(12.0).reshape(1, 12)
"""An image of 2 rows, 3 columns and 2 channels: row 0 is (0 1) (2 3) (4 5), row 1 is (6 7) (8 9) (10 11)."""


def test_an_image_is_shown_column_by_column_from_the_left() -> None:
    encoding = Direct(kind="direct", duration_ms=3.0, frames=3, scan="columns")
    current = encode(encoding, NUMBERED, stream(0, "test"), (2, 3, 2))
    assert isinstance(current, Tensor)
    assert current[:, 0].tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_an_image_is_shown_row_by_row_from_the_top() -> None:
    encoding = Direct(kind="direct", duration_ms=4.0, frames=2, scan="rows")
    current = encode(encoding, NUMBERED, stream(0, "test"), (2, 3, 2))
    assert isinstance(current, Tensor)
    assert current[:, 0].tolist() == [[0, 1, 2, 3, 4, 5]] * 2 + [[6, 7, 8, 9, 10, 11]] * 2


def test_the_scanned_columns_of_a_batch_stay_with_their_samples() -> None:
    x = torch.rand(5, 64, generator=torch.Generator().manual_seed(0))
    encoding = Direct(kind="direct", duration_ms=8.0, frames=8, scan="columns")
    frames = in_frames(encoding, x, (8, 8, 1))
    assert torch.equal(frames.permute(1, 2, 0).reshape(5, 64), x)


def test_scanned_images_spike_at_the_rates_of_their_columns() -> None:
    encoding = Poisson(kind="poisson", duration_ms=2_000.0, max_rate_hz=500.0, frames=2, scan="columns")
    rates = spikes(encoding, torch.tensor([[0.0, 1.0, 0.5, 0.0]]), (2, 2, 1)).reshape(2, 1_000, 2).mean(dim=1)
    assert rates[0].tolist() == pytest.approx([0.0, 0.25], abs=0.04)
    assert rates[1].tolist() == pytest.approx([0.5, 0.0], abs=0.04)


@pytest.mark.parametrize(
    ("parts", "location"),
    [
        ({"encoding": {"scan": "columns"}}, "encoding.frames"),
        ({"encoding": {"scan": "rows", "frames": 4, "duration_ms": 8.0}}, "encoding.frames"),
        (
            {
                "task": {"kind": "recall"},
                "dataset": {"kind": "store_recall", "n_values": 3, "n_slots": 10},
                "encoding": {"scan": "columns", "frames": 10},
                "architecture": {"readout": {"reduction": "mean_by_frame"}},
            },
            "encoding.scan",
        ),
        ({"encoding": {"scan": "diagonals"}}, "encoding.scan"),
    ],
)
def test_what_cannot_be_scanned_is_refused_where_it_is_wrong(parts: dict[str, Any], location: str) -> None:
    assert locations(tiny_job(**parts)) == {location}


def test_the_refusal_names_the_number_of_frames() -> None:
    with pytest.raises(ValueError, match="must be 14 with scan 'columns'"):
        tiny_spec(dataset={"kind": "mnist", "pooling": 2}, encoding={"scan": "columns", "frames": 2})


# -- latency


def test_a_brighter_feature_spikes_once_and_sooner() -> None:
    # floor(10 ln(x / (x - 0.2))): 10 ln(1.25) = 2.23, 10 ln(5/3) = 5.11, 10 ln(2) = 6.93, 10 ln(3) = 10.99
    z = spikes(LATENCY, torch.tensor([[1.0, 0.5, 0.4, 0.3, 0.2, 0.0, -1.0]]))
    assert steps_of(z) == [[2], [5], [6], [], [], [], []]


def test_the_time_scale_stretches_the_spike_times_and_each_frame_begins_anew() -> None:
    encoding = Latency(kind="latency", duration_ms=20.0, frames=2, threshold=0.1, time_scale=2.0)
    # 20 ln(10/9) = 2.1, 20 ln(5/4) = 4.46; in the second frame 20 ln(1.25) again, and 20 ln(1/(1-1/3)) = 8.1
    z = spikes(encoding, torch.tensor([[1.0, 0.5, 0.5, 0.3]]))
    assert steps_of(z) == [[2, 14], [4, 18]]


def test_the_short_time_scale_of_tf_spiking_puts_all_spikes_into_the_first_steps() -> None:
    encoding = Latency(kind="latency", duration_ms=100.0, time_scale=0.05)
    z = spikes(encoding, torch.linspace(0.25, 1.0, 50)[None])
    assert z.sum(dim=0).eq(1).all()
    assert max(step for (step,) in steps_of(z)) < 10


@given(st.lists(st.floats(0.0, 3.0, width=32), min_size=1, max_size=70), st.integers(1, 40))
def test_latencies_fall_as_features_rise(values: list[float], n_steps: int) -> None:
    z = spikes(LATENCY.model_copy(update={"duration_ms": float(n_steps)}), torch.tensor([values], dtype=torch.float32))
    assert z.shape == (n_steps, 1, len(values))
    firsts = [steps[0] if steps else math.inf for steps in steps_of(z)]
    assert z.sum(dim=0).max() <= 1
    order = np.argsort(values, kind="stable")[::-1]
    assert all(firsts[a] <= firsts[b] for a, b in itertools.pairwise(order))


# -- crossed thresholds


def test_neurons_spike_where_a_feature_crosses_their_threshold() -> None:
    encoding = ThresholdCrossing(kind="threshold_crossing", duration_ms=8.0, frames=4, levels=4)
    # one feature over four frames of two steps; thresholds 1/4, 1/2, 3/4, 1
    z = spikes(encoding, torch.tensor([[0.5, 1.0, 0.3, 0.0]]))
    rising, falling = [[0], [0], [2], [2]], [[6], [4], [4], [4]]
    assert steps_of(z) == rising + falling


def test_thresholds_of_the_neurons_of_a_feature_are_neighbours() -> None:
    encoding = ThresholdCrossing(kind="threshold_crossing", duration_ms=2.0, frames=2, levels=2, highest=4.0)
    # the first feature goes from 2 to 3.9, which crosses nothing, the second from 5 to 1
    z = spikes(encoding, torch.tensor([[2.0, 5.0, 3.9, 1.0]]))
    assert steps_of(z) == [[0], [], [], [], [0], [0], [1], [1]]


@pytest.mark.parametrize("levels", [3, 39, 49, 255])
def test_a_feature_at_the_highest_threshold_has_crossed_all(levels: int) -> None:
    encoding = ThresholdCrossing(kind="threshold_crossing", duration_ms=1.0, levels=levels)
    assert spikes(encoding, torch.tensor([[1.0]])).sum() == levels


def signals(n_frames: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(0.0, 1.5, width=32), min_size=n_frames, max_size=n_frames)


@given(st.integers(1, 40).flatmap(signals), st.integers(1, 20), st.integers(1, 3))
def test_summed_crossings_are_the_signal_in_steps_of_a_level(signal: list[float], levels: int, steps: int) -> None:
    frames = len(signal)
    encoding = ThresholdCrossing(
        kind="threshold_crossing", duration_ms=float(frames * steps), frames=frames, levels=levels
    )
    x = torch.tensor([signal], dtype=torch.float64)
    z = spikes(encoding, x)
    assert z.reshape(frames, steps, -1)[:, 1:].sum() == 0  # only at the first step of a frame
    up, down = z[::steps, 0].split(levels, dim=1)
    assert (up * down).sum() == 0
    quantised = [sum(value >= k / levels for k in range(1, levels + 1)) for value in signal]
    assert (up - down).sum(dim=1).cumsum(dim=0).tolist() == quantised


# -- delta modulation


def test_a_spike_where_a_feature_has_risen_by_the_threshold() -> None:
    encoding = Delta(kind="delta", duration_ms=10.0, frames=5, threshold=1.0)
    x = torch.tensor([[1.0, 2.0, 2.5, 0.0, 1.25]])
    assert steps_of(spikes(encoding, x)) == [[0, 2, 8]]
    with_off = encoding.model_copy(update={"off": True})
    assert steps_of(spikes(with_off, x)) == [[0, 2, 8], [6]]
    from_itself = with_off.model_copy(update={"before_first": "same"})
    assert steps_of(spikes(from_itself, x)) == [[2, 8], [6]]


@given(st.integers(1, 30).flatmap(signals), st.sampled_from([0.05, 0.25, 1.0]))
def test_delta_spikes_mark_the_large_changes(signal: list[float], threshold: float) -> None:
    frames = len(signal)
    encoding = Delta(kind="delta", duration_ms=float(frames), frames=frames, threshold=threshold, off=True)
    z = spikes(encoding, torch.tensor([signal], dtype=torch.float64))
    change = np.diff(signal, prepend=0.0)
    assert z[:, 0, 0].tolist() == (change >= threshold).tolist()
    assert z[:, 0, 1].tolist() == (change <= -threshold).tolist()


@pytest.mark.parametrize("kind", ["threshold_crossing", "delta"])
def test_changes_of_a_single_frame_are_warned_about(kind: str) -> None:
    document = {**tiny_job(), "encoding": {"kind": kind, "duration_ms": 8.0}}
    assert any("frames = 1" in warning for warning in warnings_about(parse_job_spec(document)))
    document["encoding"]["frames"] = 8
    assert warnings_about(parse_job_spec(document)) == []


def test_a_single_frame_compared_with_itself_is_refused() -> None:
    encoding = {"kind": "delta", "duration_ms": 8.0, "before_first": "same"}
    assert locations({**tiny_job(), "encoding": encoding}) == {"encoding.frames"}


# -- what all encodings share

ENCODINGS: list[dict[str, Any]] = [
    {"kind": "poisson", "group_size": 3, "max_rate_hz": 300.0},
    {"kind": "direct"},
    {"kind": "latency"},
    {"kind": "threshold_crossing", "levels": 5},
    {"kind": "delta"},
    {"kind": "delta", "off": True, "threshold": 0.3},
]
DATASETS: list[dict[str, Any]] = [
    {"dataset": {"kind": "digits"}, "encoding": {"duration_ms": 32.0, "frames": 1}},
    {"dataset": {"kind": "digits"}, "encoding": {"duration_ms": 32.0, "frames": 16}},
    {"dataset": {"kind": "digits"}, "encoding": {"duration_ms": 32.0, "frames": 8, "scan": "columns"}},
    {"dataset": {"kind": "mnist", "pooling": 4}, "encoding": {"duration_ms": 28.0, "frames": 7, "scan": "rows"}},
    {
        "task": {"kind": "recall"},
        "dataset": {"kind": "store_recall", "n_values": 3, "n_slots": 4, "n_train": 256},
        "encoding": {"duration_ms": 40.0, "frames": 4},
        "architecture": {"readout": {"reduction": "mean_by_frame"}},
    },
    {
        "task": {"kind": "softmax", "n_outputs": 5},
        "dataset": {"kind": "exponential", "n_features": 5, "n_train": 256},
        "encoding": {"duration_ms": 20.0},
        "architecture": {"readout": {"kind": "spike_count"}},
    },
]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding["kind"])
@pytest.mark.parametrize("parts", DATASETS, ids=lambda parts: f"{parts['dataset']['kind']} {parts['encoding']}")
def test_the_spec_knows_how_many_neurons_and_steps_the_encoding_makes(
    parts: dict[str, Any], encoding: dict[str, Any]
) -> None:
    job = parse_job_spec({**tiny_job(**parts), "encoding": {**parts["encoding"], **encoding}})
    x = torch.rand(3, n_features(job.dataset), generator=torch.Generator().manual_seed(0))
    made = encode(job.encoding, x, stream(0, "test"), image_shape(job.dataset))
    again = encode(job.encoding, x, stream(0, "test"), image_shape(job.dataset))
    if isinstance(made, SpikeTrain):
        assert isinstance(again, SpikeTrain)
        assert torch.equal(made.words, again.words)
        assert job.encoding.makes_spikes
        made = made.dense(torch.float32)
        assert made.any()
    assert made.shape == (job.encoding.n_steps, 3, n_inputs(job))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding["kind"])
def test_a_network_learns_from_every_encoding(encoding: dict[str, Any]) -> None:
    document = tiny_job(
        architecture={"n_hidden": 60},
        neuron={"tau_mem_ms": 20.0},
        training={"epochs": 4, "batch_size": 64, "optimiser": {"kind": "adam", "learning_rate": 0.01}},
    )
    document["encoding"] = {"duration_ms": 32.0, "frames": 8, "scan": "rows", **encoding}
    finished = [event for event in train(parse_job_spec(document)) if isinstance(event, Finished)]
    assert finished[0].result["metrics"]["test"]["accuracy"] > 0.3  # chance: 0.1


def test_the_images_of_a_dataset_have_as_many_features_as_they_say() -> None:
    for dataset in ({"kind": "digits"}, {"kind": "mnist"}, {"kind": "mnist", "pooling": 7}):
        job = tiny_spec(dataset=dataset)
        shape = image_shape(job.dataset)
        assert shape is not None
        assert math.prod(shape) == n_features(job.dataset)
    digits = load(tiny_spec().dataset, 0).train
    assert digits.x.shape[1] == 64


def test_the_examples_of_the_page_are_specs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "encodings.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert parse_job_spec({**tiny_job(), **yaml.safe_load(example)})
    kinds = {kind["properties"]["kind"]["const"] for kind in TypeAdapter(Encoding).json_schema()["$defs"].values()}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {"kind"} | kinds
