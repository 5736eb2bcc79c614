"""Streams, synapses, readouts, encoders, tasks: each against the plain statement of what it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from snncore.encoders import encode
from snncore.networks import Network
from snncore.readouts import Reading, group_counts, leaky_kernel, readout_kernel, windows
from snncore.spec.encoding import Direct, Poisson
from snncore.spec.estimate import estimate
from snncore.spec.synapses import ConstantDelay, NormalWeights, UniformDelay
from snncore.spikes import SpikeTrain
from snncore.streams import stream
from snncore.synapses import Synapses
from snncore.tasks import make_task
from snncore.training.optimiser import learning_rate, rate_loss
from tests.snncore.jobs import tiny_spec

CPU = torch.device("cpu")


def test_a_stream_is_named_by_seed_purpose_and_counters_alone() -> None:
    first = stream(7, "encode", 3, 1).random(100)
    assert np.array_equal(first, stream(7, "encode", 3, 1).random(100))
    others = [stream(8, "encode", 3, 1), stream(7, "shuffle", 3, 1), stream(7, "encode", 1, 3), stream(7, "encode", 3)]
    for other in others:
        assert abs(np.corrcoef(first, other.random(100))[0, 1]) < 0.5
        assert not np.isin(first, other.random(1000)).any()


def test_a_stream_takes_two_counters_at_most() -> None:
    with pytest.raises(ValueError, match="at most two"):
        stream(0, "encode", 1, 2, 3)


def synapses(n_pre: int, n_post: int, delay: Any, **more: Any) -> Synapses:
    form = NormalWeights(kind="normal")
    return Synapses(
        n_pre, n_post, name="test", seed=1, weights=form, delay=delay, dtype=torch.float64, device=CPU, **more
    )


@pytest.mark.parametrize(
    "delay", [ConstantDelay(kind="constant", steps=2), UniformDelay(kind="uniform", low=0, high=3)]
)
def test_feed_forward_current_arrives_after_the_delay_of_each_synapse(delay: Any) -> None:
    layer = synapses(4, 3, delay)
    z = (torch.rand(9, 2, 4, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    steps = layer.delay if isinstance(delay, UniformDelay) else torch.full((3, 4), 2)
    expected = torch.zeros(9, 2, 3, dtype=torch.float64)
    for t in range(9):
        for post in range(3):
            for pre in range(4):
                if t >= steps[post, pre]:
                    expected[t, :, post] += layer.weight[post, pre].detach() * z[t - steps[post, pre], :, pre]
    assert torch.allclose(layer(z), expected)


def test_a_repeated_input_is_projected_once_and_comes_out_the_same() -> None:
    layer = synapses(4, 3, ConstantDelay(kind="constant", steps=1))
    x = torch.rand(2, 4, dtype=torch.float64)
    repeated = x.expand(5, 2, 4)
    assert torch.allclose(layer(repeated), layer(repeated.contiguous()))


def test_initial_weights_have_the_stated_spread_and_no_autapses() -> None:
    layer = synapses(400, 400, ConstantDelay(kind="constant", steps=1), autapses=False)
    assert float(layer.weight.detach().std()) == pytest.approx(1 / math.sqrt(400), rel=0.01)
    assert layer.weight.diagonal().count_nonzero() == 0


@pytest.mark.parametrize("window", [(19, 20), (0, 20), (13, 20), (5, 9)])
def test_the_leaky_kernel_is_the_leaky_loop(window: tuple[int, int]) -> None:
    start, stop = window
    z = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    decay, psp, trace = math.exp(-1 / 5), 0.0, []
    for value in z.tolist():
        psp = decay * psp + (1 - decay) * value
        trace.append(psp)
    expected = sum(trace[start:stop]) / (stop - start)
    assert float(leaky_kernel(5.0, 1.0, start, stop) @ z[:stop]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("readout", "expected"),
    [
        ({"kind": "leaky"}, [(9, 10)]),
        ({"kind": "leaky", "reduction": "mean"}, [(0, 10)]),
        ({"kind": "leaky", "reduction": "mean", "window_ms": 3.0}, [(7, 10)]),
        ({"kind": "spike_count", "warmup_ms": 4.0}, [(4, 10)]),
    ],
)
def test_an_output_is_read_from_its_window(readout: dict[str, Any], expected: list[tuple[int, int]]) -> None:
    job = tiny_spec(architecture={"readout": readout}, encoding={"duration_ms": 10.0})
    assert windows(job) == expected
    kernel = readout_kernel(job)
    assert kernel.shape == (1, 10)
    if readout["kind"] == "spike_count":
        assert kernel[0].tolist() == [0.0] * 4 + [1.0] * 6


def test_group_counts_are_means_over_the_group_after_the_warm_up() -> None:
    z = torch.zeros(10, 1, 4)
    z[0] = 1  # warm-up: does not count
    z[2:6, 0, 0] = 1
    z[5, 0, 3] = 1
    readout = {"kind": "spike_count", "group_size": 2, "warmup_ms": 1.0}
    job = tiny_spec(architecture={"readout": readout}, encoding={"duration_ms": 5.0, "dt_ms": 0.5})
    counted = torch.einsum("st,tbn->bsn", readout_kernel(job).float(), z)
    reading = group_counts(counted, group_size=2, window_ms=4.0)
    assert reading.values.tolist() == [[[2.0, 0.5]]]
    assert reading.rates_hz is not None
    assert reading.rates_hz.tolist() == [[[500.0, 125.0]]]  # over the 8 steps of 0.5 ms that count


def test_poisson_spikes_come_at_the_rate_of_the_feature_and_never_above_one() -> None:
    encoding = Poisson(kind="poisson", duration_ms=2000.0, dt_ms=0.5, max_rate_hz=400.0, group_size=3)
    x = torch.tensor([[0.0, 0.25, 1.0, 40.0]])
    train = encode(encoding, x, stream(0, "test"))
    assert isinstance(train, SpikeTrain)
    z = train.dense(torch.float32)
    assert z.shape == (4000, 1, 12)
    assert set(z.unique().tolist()) == {0.0, 1.0}
    rates = z.mean(dim=0).reshape(4, 3)
    assert rates[0].tolist() == [0, 0, 0]
    assert rates[1].tolist() == pytest.approx([0.05] * 3, abs=0.015)
    assert rates[2].tolist() == pytest.approx([0.2] * 3, abs=0.03)
    assert rates[3].tolist() == [1, 1, 1]
    assert not torch.equal(z[:, 0, 6], z[:, 0, 7])


def test_direct_encoding_is_a_constant_current() -> None:
    z = encode(Direct(kind="direct", duration_ms=5.0, gain=2.0), torch.tensor([[0.5, 1.0]]), stream(0, "test"))
    assert isinstance(z, torch.Tensor)
    assert z.tolist() == [[[1.0, 2.0]]] * 5


def softmax_job(mapping: str, n_features: int, n_outputs: int) -> Any:
    return tiny_spec(
        task={"kind": "softmax", "mapping": mapping, "n_outputs": n_outputs},
        dataset={"kind": "exponential", "n_features": n_features, "n_train": 300},
        architecture={"readout": {"kind": "spike_count", "recurrent": True}},
    )


def test_the_softmax_task_wants_the_softmax_of_the_mapped_input_in_hertz() -> None:
    x = torch.tensor([[1.0, 2.0, 0.5, 0.0]], dtype=torch.float64)
    identity: Any = make_task(softmax_job("identity", 4, 4))
    assert identity.targets(x, None)[0, 0].tolist() == pytest.approx((200 * x.softmax(1)).tolist()[0])
    difference: Any = make_task(softmax_job("difference", 4, 2))
    assert difference.targets(x, None)[0, 0].tolist() == pytest.approx(
        (200 * torch.tensor([0.5, 2.0], dtype=torch.float64).softmax(0)).tolist()
    )
    linear: Any = make_task(softmax_job("linear", 4, 3))
    assert linear.matrix.shape == (3, 4)
    assert linear.targets(x, None)[0, 0].tolist() == pytest.approx((200 * (x @ linear.matrix.T).softmax(1)).tolist()[0])


def test_the_softmax_loss_is_half_the_squared_error_and_ties_are_wrong() -> None:
    task = make_task(softmax_job("identity", 3, 3))
    x = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    targets = 200 * x.softmax(1)
    rates = targets + torch.tensor([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    judged = task.judge(Reading(rates[:, None], rates[:, None]), x, None)
    assert float(judged.loss) == pytest.approx(0.5 * 25 / 2)
    assert judged.correct.tolist() == [True, True]
    tied = torch.tensor([[50.0, 50.0, 0.0], [0.0, 50.0, 50.0]])
    assert task.judge(Reading(tied[:, None], tied[:, None]), x, None).correct.tolist() == [False, False]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_classification_takes_the_largest_output(loss: str) -> None:
    task = make_task(tiny_spec(task={"loss": loss}))
    values = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    judged = task.judge(Reading(values[:, None], None), torch.zeros(2, 1), torch.tensor([0, 2]))
    p = values.softmax(1)
    expected = {
        "cross_entropy": -(p[0, 0].log() + p[1, 2].log()) / 2,
        "mse": ((p[0] - torch.tensor([1.0, 0, 0])).square().sum() + (p[1] - torch.tensor([0, 0, 1.0])).square().sum())
        / 2,
    }[loss]
    assert float(judged.loss) == pytest.approx(float(expected))
    assert judged.correct.tolist() == [True, False]


def test_the_rate_term_is_the_mean_squared_distance_in_kilohertz() -> None:
    regulariser = tiny_spec(training={"rate_regulariser": {"target_hz": 50.0, "strength": 4.0}}).training
    assert regulariser.rate_regulariser is not None
    counts = torch.tensor([[10.0, 0.0]] * 2)  # 10 spikes in 100 ms: 100 Hz; the other neuron is silent
    term = rate_loss({"hidden": counts, "output": torch.ones(2, 3)}, regulariser.rate_regulariser, 100, 1.0)
    assert float(term) == pytest.approx(4.0 * 0.05**2)


def test_learning_rate_schedules_depend_on_the_step_alone() -> None:
    def rates(schedule: dict[str, Any], steps: list[int]) -> list[float]:
        optimiser = {"kind": "adam", "learning_rate": 0.1}
        training = tiny_spec(training={"epochs": 4, "schedule": schedule, "optimiser": optimiser}).training
        return [learning_rate(training, step, steps_per_epoch=10) for step in steps]

    assert rates({"kind": "constant"}, [0, 39]) == [0.1, 0.1]
    assert rates({"kind": "step", "factor": 0.5, "every_epochs": 2}, [0, 19, 20, 39]) == [0.1, 0.1, 0.05, 0.05]
    cosine = {"kind": "cosine", "final_fraction": 0.2, "warmup_steps": 4}
    assert rates(cosine, [0, 3, 4, 22, 40]) == pytest.approx([0.025, 0.1, 0.1, 0.06, 0.02])


@pytest.mark.parametrize(
    "architecture",
    [
        {"kind": "recurrent", "n_hidden": 9, "readout": {"kind": "leaky", "bias": False}},
        {
            "kind": "recurrent",
            "n_hidden": 9,
            "recurrence": {"autapses": True},
            "readout": {"kind": "spike_count", "group_size": 2, "recurrent": True},
        },
        {"kind": "feedforward", "layers": [8, 5], "readout": {"kind": "spike_count"}},
        {"kind": "feedforward", "layers": [8], "readout": {"kind": "leaky"}},
    ],
)
def test_the_estimate_counts_the_parameters_that_the_network_has(architecture: dict[str, Any]) -> None:
    job = tiny_spec(architecture=architecture)
    network = Network(job, CPU)
    no_synapses = 0 if "autapses" in str(architecture) or architecture["kind"] == "feedforward" else 9
    assert estimate(job).parameters == sum(p.numel() for p in network.parameters()) - no_synapses


def test_a_network_keeps_no_state_between_calls() -> None:
    network = Network(tiny_spec(), CPU)
    x = (torch.rand(10, 3, 64, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    first = network(x).reading.values
    network(torch.ones(10, 3, 64))
    assert torch.equal(first, network(x).reading.values)


@pytest.mark.parametrize("recurrent_outputs", [True, False])
def test_every_tensor_of_a_network_is_on_the_device_that_it_was_asked_for(recurrent_outputs: bool) -> None:
    """The meta device refuses to meet a tensor of any other, so a forgotten `.to(device)` fails here without a GPU."""
    readout = {"kind": "spike_count", "recurrent": True} if recurrent_outputs else {"kind": "leaky"}
    job = tiny_spec(
        architecture={"readout": readout, "recurrence": {"delay": {"kind": "uniform", "low": 1, "high": 3}}},
        neuron={"kind": "alif", "n_refractory": 2},
        training={"engine": "reference"},
    )
    meta = torch.device("meta")
    x = torch.ones(7, 64, device=meta)
    shown = Network(job, meta)(encode(job.encoding, x, stream(0, "test")))
    assert shown.reading.values.shape == (7, 1, 10)
    assert all(part.device == meta for part in [*shown.spikes.values(), *shown.counts.values()])
    task = make_task(job)
    loss = task.judge(shown.reading, x, torch.zeros(7, dtype=torch.int64, device=meta)).loss
    loss.backward()
    assert loss.device == meta
