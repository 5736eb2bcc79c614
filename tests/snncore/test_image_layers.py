"""Convolutions, pooling, residual sums and LIF layers with one leak and threshold: against a plain loop, in both
engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from snncore import image_layers, spec, train
from snncore.engines.interface import as_numbers
from snncore.events import Checkpoint, Event, Metric
from snncore.image_layers import Convolution
from snncore.sequential import SequentialNetwork
from snncore.stages import at_each_step
from tests.snncore.hybrid_cases import CPU, batch_of, draws
from tests.snncore.image_cases import CASES, IMAGE, PlainLoop, conv, lif, residual, sequential
from tests.snncore.jobs import tiny_spec


def job_of(case: str, **training: Any) -> spec.JobSpec:
    return tiny_spec(**{**CASES[case], "training": {"precision": "float64", **training}})


def gradients(network: SequentialNetwork, values: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Of a function of what is read, by parameter."""
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = torch.autograd.grad((values * weights).sum() + values.square().sum(), list(named.values()))
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize("engine", ["reference", "fused"])
@pytest.mark.parametrize("case", CASES)
def test_a_network_on_images_is_the_plain_loop_and_so_are_its_gradients(case: str, engine: str) -> None:
    job = job_of(case, engine=engine)
    network, x = SequentialNetwork(job, CPU), batch_of(job)
    loop = PlainLoop(job, network)
    shown = network(x, draws)
    expected = loop(x)
    assert torch.allclose(shown.reading.values, expected, rtol=1e-10, atol=1e-10)
    assert shown.spikes.keys() == loop.spikes.keys() == dict(network.spiking_layers()).keys()
    for name, fired in loop.spikes.items():
        assert torch.equal(shown.spikes[name].dense(torch.float64), fired)
        assert torch.allclose(shown.counts[name], fired.sum(dim=0))
        assert 0.02 < float(fired.detach().mean()) < 0.9
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=expected.shape)).to(CPU)
    ours, theirs = gradients(network, shown.reading.values, weights), gradients(network, expected, weights)
    for name, gradient in theirs.items():
        assert float(gradient.norm()) > 0, name
        assert torch.allclose(ours[name], gradient, rtol=1e-8, atol=1e-8), name


def test_layers_inside_of_a_residual_one_have_names_that_say_where_they_are() -> None:
    network = SequentialNetwork(job_of("residual blocks with and without a convolution beside"), CPU)
    inner = "residual_{}_hidden_1"
    assert [name for name, _ in network.spiking_layers()] == [
        "hidden_1", inner.format(1), "hidden_2", inner.format(2), "hidden_3",
    ]  # fmt: skip
    assert "stages.residual_1.shortcut.residual_1_shortcut_conv2d_1.weight" in dict(network.named_parameters())


def test_what_is_the_same_at_all_steps_is_convolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the first neurons: a convolution, the mask of a presentation, pooling, another convolution."""
    held = {"kind": "dropout", "rate": 0.3, "over_time": "constant"}
    layers = [conv(3), held, {"kind": "average_pool"}, residual([conv(3)]), lif(), conv(2), lif()]
    job = tiny_spec(**sequential(layers, {"kind": "accumulator"}, encoding=IMAGE))
    network, x = SequentialNetwork(job, CPU), batch_of(job, batch=3)
    seen: list[int] = []

    def counting(images: Tensor, *rest: Any) -> Tensor:
        seen.append(len(images))
        return torch.nn.functional.conv2d(images, *rest)

    monkeypatch.setattr(image_layers, "conv2d", counting)
    once = network(x, draws).reading.values
    assert seen == [3, 3, 3 * job.encoding.n_steps]
    seen.clear()
    each = network(as_numbers(x, torch.float64).contiguous(), draws).reading.values
    assert seen == [3 * job.encoding.n_steps] * 3
    assert torch.equal(once, each)


def test_a_function_of_a_step_is_called_once_only_where_all_it_takes_repeats() -> None:
    x = torch.arange(6.0, dtype=torch.float64, device=CPU).reshape(1, 2, 3)
    calls: list[int] = []

    def add(a: Tensor, b: Tensor) -> Tensor:
        calls.append(len(a))
        return a + b

    still = x.expand(4, -1, -1)
    assert at_each_step(add, still, still).stride(0) == 0
    at_each_step(add, still, still.contiguous())
    assert calls == [1, 4]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, "same"), (3, 2, 1), (2, 1, 0), (5, 3, 4), (1, 2, 0)])
def test_the_synapses_of_a_convolution_are_those_that_are_there(kernel: int, stride: int, padding: Any) -> None:
    """Counted one by one: the inputs that reach each unit are where its gradient is not zero."""
    layer = spec.Conv2d(kind="conv2d", channels=3, kernel=kernel, stride=stride, padding=padding, bias=False)
    made = Convolution(layer, (7, 6, 2), name="c", seed=0, dtype=torch.float64, device=CPU)
    x = torch.ones(1, 1, 84, dtype=torch.float64, device=CPU)
    reached = torch.autograd.functional.jacobian(lambda h: made(h)[0, 0], x)[:, 0, 0]
    n_synapses = int(torch.count_nonzero(reached))
    assert spec.connections(layer, (7, 6, 2)) == n_synapses
    assert made.fan_out() == n_synapses / 84


def test_initial_weights_follow_fan_out_or_nothing_at_all() -> None:
    he = {"kind": "he_fan_out", "gain": 3.0}
    layers = [conv(64, weights=he), {"kind": "dense", "n_units": 50, "weights": {"kind": "fixed_normal", "std": 0.02}}]
    network = SequentialNetwork(tiny_spec(**sequential(layers, {"kind": "accumulator"}, encoding=IMAGE)), CPU)
    p = {name: weight.detach() for name, weight in network.named_parameters()}
    assert float(p["stages.conv2d_1.weight"].std()) == pytest.approx(3 * (2 / (9 * 64)) ** 0.5, rel=0.1)
    assert float(p["stages.dense_1.synapses.weight"].std()) == pytest.approx(0.02, rel=0.02)


@pytest.mark.usefixtures("one_thread")
def test_a_convolutional_run_that_is_resumed_ends_with_the_same_bits() -> None:
    held = {"kind": "dropout", "rate": 0.2, "over_time": "constant"}
    layers = [conv(4), lif(), held, {"kind": "average_pool"}, residual([conv(4), lif(), conv(4)]), lif()]
    parts = sequential(layers, {"kind": "accumulator"}, encoding=IMAGE)
    job = tiny_spec(**{**parts, "training": {"epochs": 2}})
    events = train(job, checkpoint_interval_s=0.0)
    last = next(event for event in events if isinstance(event, Checkpoint) and event.kind == "last" and event.step == 7)
    events.close()
    again, alone = list(train(job, resume=last.data)), list(train(job))

    def end(events: list[Event]) -> tuple[dict[str, bytes], dict[tuple[str, str, int], float]]:
        """The weights that came of it, and the series after that step."""
        weights = [load(e.data) for e in events if isinstance(e, Checkpoint) and e.kind == "best"][-1]
        series = {(e.name, e.split, e.step): e.value for e in events if isinstance(e, Metric) and e.step > 7}
        return {name: tensor.numpy().tobytes() for name, tensor in weights.items()}, series

    same = [ours == theirs for ours, theirs in zip(end(again), end(alone), strict=True)]
    assert same == [True, True]
