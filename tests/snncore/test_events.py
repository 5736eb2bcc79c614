"""Samples that are events: how they are binned, how recordings become arrays, and that networks learn from them."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snncore import train
from snncore.datasets import EventSamples, load, recordings
from snncore.encoders import encode_events
from snncore.errors import DatasetUnavailable
from snncore.events import Finished, Log
from snncore.spec import Events, JobSpec, estimate, n_classes, n_features, n_inputs, parse_job_spec, split_sizes
from snncore.spikes import SpikeTrain
from snncore.training.batches import prepare
from tests.snncore.jobs import tiny_job
from tests.snncore.test_spec import locations

CPU = torch.device("cpu")


def event_job(dataset: dict[str, Any], **parts: dict[str, Any]) -> dict[str, Any]:
    document = tiny_job(dataset=dataset, **parts)
    return {**document, "encoding": {"kind": "events", "duration_ms": 20.0, **parts.get("encoding", {})}}


def three_samples() -> EventSamples:
    """A sample of two events, one without any, and one of three, of which two fall together."""
    return EventSamples(
        starts=np.array([0, 2, 2, 5]),
        times_ms=np.array([0.0, 3.5, 1.2, 1.9, 7.0], np.float32),
        addresses=np.array([1, 70, 0, 0, 2], np.int32),
        y=np.array([4, 5, 6]),
    )


def dense(train: SpikeTrain) -> list[list[list[int]]]:
    """The steps and neurons of the spikes of each sample."""
    z = train.dense(torch.uint8)
    return [z[:, b].nonzero().tolist() for b in range(z.shape[1])]


# -- binning


def test_a_neuron_spikes_once_in_each_step_in_which_events_fall() -> None:
    spikes, unseen = encode_events(Events(kind="events", duration_ms=8.0), three_samples(), 71, CPU)
    assert spikes.dense(torch.uint8).shape == (8, 3, 71)
    assert dense(spikes) == [[[0, 1], [3, 70]], [], [[1, 0], [7, 2]]]
    assert unseen == 0


def test_events_after_the_presentation_are_left_out_and_counted() -> None:
    spikes, unseen = encode_events(Events(kind="events", duration_ms=3.5, dt_ms=0.5), three_samples(), 71, CPU)
    assert dense(spikes) == [[[0, 1]], [], [[2, 0], [3, 0]]]
    assert unseen == 2 / 5


def test_choosing_samples_copies_no_events() -> None:
    samples = three_samples()
    chosen = samples[np.array([2, 0, 2])][1:]
    assert chosen.times_ms is samples.times_ms
    assert chosen.y.tolist() == [4, 6]
    assert len(chosen) == 2
    spikes, _ = encode_events(Events(kind="events", duration_ms=8.0), chosen, 71, CPU)
    assert dense(spikes) == [[[0, 1], [3, 70]], [[1, 0], [7, 2]]]


@given(st.data())
def test_bits_are_the_events(data: st.DataObject) -> None:
    n_addresses, n_steps = data.draw(st.integers(1, 140)), data.draw(st.integers(1, 9))
    event = st.tuples(st.integers(0, n_steps + 2), st.integers(0, n_addresses - 1))
    recorded = data.draw(st.lists(st.lists(event, max_size=20), min_size=1, max_size=4))
    flat = [event for events in recorded for event in events]
    samples = EventSamples(
        starts=np.cumsum([0, *map(len, recorded)]),
        times_ms=np.array([0.25 * step + 0.125 for step, _ in flat], np.float32),
        addresses=np.array([address for _, address in flat], np.int32),
        y=np.zeros(len(recorded), np.int64),
    )
    encoding = Events(kind="events", duration_ms=0.25 * n_steps, dt_ms=0.25)
    spikes, unseen = encode_events(encoding, samples, n_addresses, CPU)
    expected = [sorted({(step, address) for step, address in events if step < n_steps}) for events in recorded]
    assert dense(spikes) == [[list(pair) for pair in pairs] for pairs in expected]
    assert unseen == sum(step >= n_steps for step, _ in flat) / max(1, len(flat))


def test_a_batch_of_events_has_classes_and_no_features() -> None:
    job = parse_job_spec(event_job({"kind": "shd"}))
    batch = prepare(job, three_samples(), "train", 0, dtype=torch.float32, device=CPU)
    assert batch.x.shape == (3, 0)
    assert batch.y is not None
    assert batch.y.tolist() == [4, 5, 6]
    assert isinstance(batch.inputs, SpikeTrain)
    assert batch.inputs.n_neurons == n_inputs(job) == 700


# -- the spec


@pytest.mark.parametrize(
    ("document", "location"),
    [
        ({**tiny_job(), "encoding": {"kind": "events", "duration_ms": 10.0}}, "encoding.kind"),
        (tiny_job(dataset={"kind": "shd"}), "encoding.kind"),
        (event_job({"kind": "shd", "n_train": 8_000}), "dataset.n_validation"),
        (event_job({"kind": "nmnist", "pooling": 4}), "dataset.pooling"),
        (event_job({"kind": "shd"}, encoding={"frames": 2}), "encoding.frames"),
        (event_job({"kind": "shd"}, encoding={"duration_ms": 10.5}), "encoding.duration_ms"),
        (
            event_job(
                {"kind": "shd"},
                task={"kind": "softmax", "n_outputs": 700},
                architecture={"readout": {"kind": "spike_count"}},
            ),
            "task.kind",
        ),
    ],
)
def test_events_go_with_their_encoding_and_with_classification(document: dict[str, Any], location: str) -> None:
    assert locations(document) == {location}


@pytest.mark.parametrize(
    ("dataset", "features", "classes"),
    [
        ({"kind": "nmnist"}, 34 * 34 * 2, 10),
        ({"kind": "nmnist", "pooling": 2}, 17 * 17 * 2, 10),
        ({"kind": "shd"}, 700, 20),
        ({"kind": "dvs_gesture"}, 32 * 32 * 2, 11),
        ({"kind": "dvs_gesture", "pooling": 1}, 128 * 128 * 2, 11),
    ],
)
def test_the_sizes_of_the_recordings(dataset: dict[str, Any], features: int, classes: int) -> None:
    job = parse_job_spec(event_job(dataset))
    assert n_features(job.dataset) == n_inputs(job) == features
    assert n_classes(job.dataset) == job.n_outputs == classes


def test_recordings_do_not_count_as_memory() -> None:
    few, many = (
        estimate(parse_job_spec(event_job({"kind": "nmnist", "n_train": n, "n_test": n // 5}))) for n in (1_000, 50_000)
    )
    assert few.peak_memory_bytes == many.peak_memory_bytes


# -- made recordings


class MadeSpokenDigits:
    """As tonic shows SHD: microseconds, and a polarity that is always 1. A class has 35 channels of its own."""

    made = 0

    def __init__(self, save_to: str, train: bool) -> None:
        type(self).made += 1
        self.location_on_system = str(Path(save_to) / "SHD")
        self.data: list[str] = []
        self.labels = np.arange(400 if train else 100) * 20 // (400 if train else 100)  # ordered by class

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        draw = np.random.default_rng(index)
        events = np.zeros(60, dtype=[("t", int), ("x", int), ("p", int)])
        events["t"] = np.sort(draw.integers(0, 25_000, 60))
        events["x"] = 35 * self.labels[index] + draw.integers(0, 35, 60)
        events["p"] = 1
        return events, self.labels[index]


@pytest.fixture
def made_recordings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """`MadeSpokenDigits` in the place of tonic, and an empty cache."""
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path))
    monkeypatch.setenv("SPIKESMITH_DATA", "")
    monkeypatch.setattr(recordings, "_tonic", lambda kind: (SimpleNamespace(SHD=MadeSpokenDigits), "0.1"))
    monkeypatch.setattr(MadeSpokenDigits, "made", 0)
    return tmp_path


SMALL = {"kind": "shd", "n_train": 320, "n_validation": 80, "n_test": 100}


def small_job(**parts: dict[str, Any]) -> JobSpec:
    document = event_job(SMALL, training={"epochs": 8, "batch_size": 32, **parts.pop("training", {})}, **parts)
    return parse_job_spec(document)


def test_recordings_are_converted_once_and_then_mapped(made_recordings: Path) -> None:
    job = small_job()
    first, again = load(job.dataset, 0), load(job.dataset, 0)
    assert MadeSpokenDigits.made == 2  # the training and the test recordings
    assert {name: len(getattr(first, name)) for name in ("train", "validation", "test")} == split_sizes(job.dataset)
    assert isinstance(again.train, EventSamples)
    assert isinstance(again.train.times_ms, np.memmap)
    assert sorted(path.name for path in (made_recordings / "events").iterdir() if path.is_dir()) == [
        "shd-test-tonic-0.1",
        "shd-train-tonic-0.1",
    ]
    assert np.array_equal(first.train.y, again.train.y)


def test_recordings_are_shuffled_and_keep_their_events(made_recordings: Path) -> None:
    job = small_job()
    splits, other = load(job.dataset, 0), load(job.dataset.model_copy(update={"split_seed": 1}), 0)
    train, validation = splits.train, splits.validation
    assert isinstance(train, EventSamples)
    assert isinstance(validation, EventSamples)
    assert not np.array_equal(train.y, other.train.y)
    assert train.chosen is not None
    assert validation.chosen is not None
    assert sorted([*train.chosen, *validation.chosen]) == list(range(400))
    assert len(np.unique(train.y[:100])) == 20
    source = MadeSpokenDigits("", train=True)
    for sample in range(0, 320, 40):
        events, label = source[int(train.chosen[sample])]
        times_ms, neurons = train.events(sample)
        assert times_ms.tolist() == pytest.approx((events["t"] / 1000).tolist())
        assert neurons.tolist() == events["x"].tolist()
        assert train.y[sample] == label


@pytest.mark.slow
def test_a_network_learns_from_events(made_recordings: Path) -> None:
    job = small_job(architecture={"n_hidden": 40}, training={"optimiser": {"kind": "adam", "learning_rate": 0.01}})
    job = parse_job_spec({**job.model_dump(), "encoding": {"kind": "events", "duration_ms": 20.0}})
    events = list(train(job))
    finished = next(event for event in events if isinstance(event, Finished)).result
    assert finished["metrics"]["test"]["accuracy"] > 0.5  # chance: 0.05
    # a fifth of the events lies between 20 and 25 ms
    assert any("of the events of the first batch" in log.message for log in events if isinstance(log, Log))
    assert 40 < finished["cost"]["spikes_per_sample"]["input"] <= 60


def test_too_few_recordings_are_an_error_that_says_so(made_recordings: Path) -> None:
    dataset = small_job().dataset.model_copy(update={"n_train": 400})
    with pytest.raises(DatasetUnavailable, match="have 400 train recordings, and 480 are asked for"):
        load(dataset, 0)


def test_events_outside_of_the_sensor_leave_nothing_behind(
    made_recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = MadeSpokenDigits.__getitem__

    def damaged(self: MadeSpokenDigits, index: int) -> tuple[Any, Any]:
        events, label = shown(self, index)
        if index == 7:
            events["x"][3] = 700
        return events, label

    with monkeypatch.context() as patch:
        patch.setattr(MadeSpokenDigits, "__getitem__", damaged)
        with pytest.raises(DatasetUnavailable, match="cannot be read"):
            load(small_job().dataset, 0)
    assert not any(path.is_dir() for path in (made_recordings / "events").iterdir())
    assert len(load(small_job().dataset, 0).train) == 320


def test_without_tonic_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(DatasetUnavailable, match=r"pip install 'spikesmith\[events\]'"):
        load(small_job().dataset, 0)


# -- tonic itself, on small files in the formats of the published ones

WRITTEN = [
    [(0.0, 3, 5, 0), (12.5, 33, 0, 1), (70.25, 0, 33, 1)],
    [(1.0, 1, 2, 1)],
    [(2.0, 2, 3, 0), (2.0, 2, 3, 1)],
    [(3.0, 7, 8, 1), (90.0, 9, 9, 0)],
    [(4.0, 11, 12, 0)],
]
"""Recordings of classes 0 to 4: events with their time in ms, column, row and polarity."""


def nmnist_archive(folder: Path, part: str) -> Path:
    """Five bytes an event: column, row, polarity and the upper bits of the time, the others; microseconds."""
    file = folder / f"{part}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for label, events in enumerate(WRITTEN):
            content = b""
            for time_ms, x, y, p in events:
                t = int(1000 * time_ms)
                content += bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])
            archive.writestr(f"{part.capitalize()}/{label}/{9 - label:05}.bin", content)
    return file


def shd_archive(folder: Path, part: str) -> Path:
    """HDF5 with the seconds of the spikes of each recording in half precision, their units and the labels."""
    import h5py

    plain, file = folder / f"shd_{part}.h5", folder / f"shd_{part}.h5.zip"
    with h5py.File(plain, "w") as hdf:
        times = hdf.create_dataset("spikes/times", len(WRITTEN), dtype=h5py.vlen_dtype(np.float16))
        units = hdf.create_dataset("spikes/units", len(WRITTEN), dtype=h5py.vlen_dtype(np.uint16))
        for index, events in enumerate(WRITTEN):
            times[index] = np.array([time_ms / 1000 for time_ms, *_ in events], np.float16)
            units[index] = np.array([20 * x for _, x, *_ in events], np.uint16)
        hdf["labels"] = np.arange(len(WRITTEN), dtype=np.uint16)
        hdf["extra/keys"] = np.array([b"zero", b"one"])
        hdf["extra/speaker"] = np.zeros(len(WRITTEN), np.uint16)
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(plain, plain.name)
    plain.unlink()
    return file


def gesture_archive(folder: Path, part: str) -> Path:
    """An array of column, row, polarity and whole milliseconds for each gesture, in a folder for each user."""
    name = f"ibmGesture{part.capitalize()}"
    file = folder / f"{name}.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for label, events in enumerate(WRITTEN):
            array = io.BytesIO()
            np.save(array, np.array([[x, y, p, int(time_ms)] for time_ms, x, y, p in events], np.int64))
            member = tarfile.TarInfo(f"{name}/user{9 - label:02}_led/{label}.npy")
            member.size = len(array.getvalue())
            archive.addfile(member, io.BytesIO(array.getvalue()))
    return file


@pytest.mark.parametrize(
    ("kind", "tonic_name", "archive", "expected"),
    [
        ("nmnist", "NMNIST", nmnist_archive, lambda t, x, y, p: (t, (34 * y + x) * 2 + p)),
        ("shd", "SHD", shd_archive, lambda t, x, y, p: (t, 20 * x)),
        ("dvs_gesture", "DVSGesture", gesture_archive, lambda t, x, y, p: (int(t), (32 * (y // 4) + x // 4) * 2 + p)),
    ],
)
def test_tonic_reads_the_published_formats(
    kind: str, tonic_name: str, archive: Any, expected: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tonic = pytest.importorskip("tonic.datasets", reason="tonic is not installed: pip install 'spikesmith[events]'")
    folder = tmp_path / "data" / tonic_name
    folder.mkdir(parents=True)
    monkeypatch.setenv("SPIKESMITH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SPIKESMITH_CACHE", str(tmp_path / "cache"))
    for part in ("train", "test"):
        content = archive(folder, part).read_bytes()
        # tonic takes an archive that is there already for the published one by its MD5
        monkeypatch.setattr(getattr(tonic, tonic_name), f"{part}_md5", md5(content).hexdigest())
    dataset = {"kind": kind, "n_train": 4, "n_validation": 1, "n_test": 5}
    splits = load(parse_job_spec(event_job(dataset, training={"batch_size": 4})).dataset, 0)
    for samples in (splits.train, splits.validation, splits.test):
        assert isinstance(samples, EventSamples)
        for sample, label in enumerate(samples.y):
            times_ms, neurons = samples.events(sample)
            seen = list(zip(times_ms.tolist(), neurons.tolist(), strict=True))
            wanted = [expected(*event) for event in WRITTEN[label]]
            assert [neuron for _, neuron in seen] == [neuron for _, neuron in wanted]
            assert [time for time, _ in seen] == pytest.approx([time for time, _ in wanted], rel=1e-3, abs=1e-3)
    assert sorted([*splits.train.y, *splits.validation.y]) == sorted(splits.test.y) == [0, 1, 2, 3, 4]
