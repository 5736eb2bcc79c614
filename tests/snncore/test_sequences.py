"""Samples that are sequences of frames: store and recall, and pixels one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snncore.datasets import load
from snncore.datasets.idx import averaged
from snncore.datasets.store_recall import SILENT, sequences
from snncore.encoders import encode
from snncore.engines import ReferenceEngine
from snncore.networks import Network
from snncore.readouts import readout_kernel, windows
from snncore.spec import Direct, ExponentialVectors, Poisson, StoreRecall
from snncore.spikes import SpikeTrain
from snncore.streams import stream
from tests.snncore.jobs import tiny_spec

DATASET = StoreRecall(kind="store_recall", n_values=3, n_slots=10, command_probability=0.25)


def test_every_sequence_keeps_the_rules_of_store_and_recall() -> None:
    samples = sequences(DATASET, 2_000, stream(0, "test"))
    assert samples.y is not None
    slots = samples.x.reshape(2_000, 10, 5)
    for sequence, answers in zip(slots, samples.y, strict=True):
        stored: int | None = None
        last_was_store = False
        recalls = 0
        for slot, answer in zip(sequence, answers, strict=True):
            values, store, recall = slot[:3], slot[3], slot[4]
            assert not (store and recall)
            if recall:
                assert stored is not None  # a recall without a store
                assert not last_was_store  # the slot after a store carries no command
                assert values.sum() == 0
                assert answer == stored
                stored, recalls = None, recalls + 1
            else:
                assert values.sum() == 1
                assert answer == SILENT
            if store:
                assert stored is None  # commands come by turns
                stored = int(values.argmax())
            last_was_store = bool(store)
        assert stored is None  # ends with nothing left to recall
        assert recalls >= 1


def test_values_and_commands_come_as_often_as_they_should() -> None:
    samples = sequences(StoreRecall(kind="store_recall", n_values=4), 4_000, stream(1, "test"))
    slots = samples.x.reshape(4_000, 12, 6)
    assert slots[:, :, :4].sum((0, 1)) / slots[:, :, :4].sum() == pytest.approx([0.25] * 4, abs=0.01)
    # given that a sequence is kept it has a recall at least, so commands are more frequent than their probability
    assert 1 / 6 < (slots[:, :, 4:].sum() / (4_000 * 12)) < 1 / 4
    stores = slots[:, :, 4].sum()
    assert stores == slots[:, :, 5].sum()


@pytest.mark.parametrize(
    "dataset", [DATASET, ExponentialVectors(kind="exponential", n_features=3, n_train=50, fresh=True)]
)
def test_fresh_samples_differ_from_epoch_to_epoch_and_come_back_the_same(
    dataset: StoreRecall | ExponentialVectors,
) -> None:
    first, again = load(dataset, 3), load(dataset, 3)
    assert np.array_equal(first.train_in(2).x, again.train_in(2).x)
    assert not np.array_equal(first.train_in(1).x, first.train_in(2).x)
    assert np.array_equal(first.validation.x, again.validation.x)
    fixed = load(dataset.model_copy(update={"fresh": False}), 3)
    assert fixed.train_in(1) is fixed.train_in(2)


def test_each_frame_spikes_at_its_own_rates() -> None:
    encoding = Poisson(kind="poisson", duration_ms=3_000.0, max_rate_hz=500.0, group_size=2, frames=3)
    x = torch.tensor([[0.0, 1.0, 0.5, 0.0, 2.0, 0.1]])
    train = encode(encoding, x, stream(0, "test"))
    assert isinstance(train, SpikeTrain)
    rates = train.dense(torch.float64).reshape(3, 1_000, 4).mean(dim=1)
    expected = [[0, 0, 0.5, 0.5], [0.25, 0.25, 0, 0], [1, 1, 0.05, 0.05]]
    for rate, row in zip(rates, expected, strict=True):
        assert rate.tolist() == pytest.approx(row, abs=0.04)


def test_pixels_come_one_after_the_other_as_currents() -> None:
    encoding = Direct(kind="direct", duration_ms=6.0, gain=2.0, frames=3)
    current = encode(encoding, torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), stream(0, "test"))
    assert isinstance(current, torch.Tensor)
    assert current.shape == (6, 2, 1)
    assert current[:, 0, 0].tolist() == pytest.approx([0.2, 0.2, 0.4, 0.4, 0.6, 0.6])


def test_pooled_images_are_means_of_blocks() -> None:
    images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert averaged(images, 2).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]


@pytest.mark.parametrize(
    "readout",
    [{"kind": "leaky", "reduction": "mean_by_frame"}, {"kind": "spike_count", "by_frame": True, "warmup_ms": 4.0}],
)
def test_an_output_for_each_frame_is_what_a_readout_of_that_window_alone_gives(readout: dict[str, object]) -> None:
    """The fused engine's one sum over time, window by window, against the readout of all frames at once."""
    job = tiny_spec(
        task={"kind": "recall"},
        dataset={"kind": "store_recall", "n_values": 3, "n_slots": 4, "n_train": 256},
        encoding={"duration_ms": 40.0, "frames": 4},
        architecture={"readout": readout},
        neuron={"v_threshold": 0.2},
        training={"precision": "float64"},
    )
    network = Network(job, torch.device("cpu"))
    x = torch.from_numpy(load(job.dataset, 0).validation.x[:5]).double()
    inputs = encode(job.encoding, x, stream(0, "test"))
    shown = network(inputs)
    assert shown.reading.values.shape == (5, 4, 3)
    layers = [layer.for_engine() for _, layer in network.spiking_layers()]
    z = ReferenceEngine()(inputs, layers, keep_z=True).z
    assert z is not None
    for s, (start, stop) in enumerate(windows(job)):
        if readout["kind"] == "spike_count":
            expected = z[start:stop].sum(dim=0)
            assert shown.reading.rates_hz is not None
            assert torch.allclose(shown.reading.rates_hz[:, s], expected * 1000 / (stop - start))
        else:
            weighted = torch.einsum("t,tbn->bn", readout_kernel(job)[s], z)
            assert network.output is not None
            expected = weighted @ network.output.synapses.weight.T
        assert torch.allclose(shown.reading.values[:, s], expected)
    assert z.any()
