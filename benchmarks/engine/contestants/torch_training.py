"""What all contestants that are made of torch share: Adam, a step, the losses and the end of W4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, mse_loss

from benchmarks.engine import workloads
from benchmarks.engine.contestants import Training
from benchmarks.engine.workloads import Workload

Rate = Callable[[], float]
Layer = tuple[list[nn.Parameter], Callable[[Tensor], Tensor]]
"""What learns, and input `[T, B, M]` to spikes `[T, B, N]`."""
Layers = tuple[list[nn.Parameter], Callable[[Tensor], list[Tensor]]]
"""The same, with the spikes of each layer."""


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def parameter(array: np.ndarray) -> nn.Parameter:
    return nn.Parameter(tensor(array).clone())


def training(
    parameters: Iterable[nn.Parameter],
    forward: Callable[[], tuple[Tensor, Rate]],
    learning_rate: float = workloads.LEARNING_RATE,
) -> Training:
    """`forward` returns the loss and a function that tells the firing rate. Adam is torch's fused one for all."""
    adam = torch.optim.Adam(list(parameters), lr=learning_rate, fused=True)
    last: dict[str, object] = {}

    def step() -> None:
        # What the last step kept for its report must not count as memory of this one.
        last.clear()
        adam.zero_grad()
        loss, rate = forward()
        loss.backward()
        adam.step()
        last.update(loss=loss.detach(), rate=rate)

    return Training(
        step,
        loss=lambda: float(last["loss"]),  # type: ignore[arg-type]
        firing_rate=lambda: last["rate"](),  # type: ignore[operator]
    )


def rate_of(layers: Sequence[Tensor]) -> Rate:
    """The firing rate of the neurons of all layers `[T, B, N]`, later."""
    held = [z.detach() for z in layers]

    def rate() -> float:
        return float(sum(z.sum(dtype=torch.float64) for z in held)) / sum(z.numel() for z in held)

    return rate


def group_loss(weighted: Tensor, target: Tensor) -> Tensor:
    """W1: squared error of the mean rates in Hz of the groups of output neurons."""
    outputs = weighted[:, -workloads.W1_OUTPUTS :]
    rates = outputs.reshape(-1, workloads.W1_GROUPS, workloads.W1_GROUP_SIZE).mean(dim=2)
    return mse_loss(rates, target)


class Ending(nn.Module):
    """W4 after its LSTM: two dense layers at every step, and the loss."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.hidden = parameter(work.weights["hidden"])
        self.hidden_bias = parameter(work.weights["hidden_bias"])
        self.output = parameter(work.weights["output"])
        self.output_bias = parameter(work.weights["output_bias"])
        self.register_buffer("target", tensor(work.target).repeat(work.n_steps))

    def forward(self, h: Tensor) -> Tensor:
        """The loss for the LSTM's outputs `[T, B, 30]`."""
        logits = linear(linear(h, self.hidden, self.hidden_bias), self.output, self.output_bias)
        assert isinstance(self.target, Tensor)
        return cross_entropy(logits.flatten(0, 1), self.target)


def lstm(work: Workload) -> nn.LSTM:
    """The LSTM of W4. torch has two biases where one is meant; the second stays zero."""
    weights = work.weights
    module = nn.LSTM(weights["dense"].shape[0], workloads.W4_LSTM)
    with torch.no_grad():
        module.weight_ih_l0.copy_(tensor(weights["lstm_input"]))
        module.weight_hh_l0.copy_(tensor(weights["lstm_recurrent"]))
        module.bias_ih_l0.copy_(tensor(weights["lstm_bias"]))
        module.bias_hh_l0.zero_().requires_grad_(False)
    return module


@dataclass(frozen=True)
class Setting:
    """What a library's own part has to fill in: its spiking layers. The rest is the same for all."""

    recurrent: Callable[[Workload], Layer]
    """W1 and W2."""
    feed_forward: Callable[[Workload], Layers]
    """W3."""
    flower: Callable[[Workload], Layer]
    """W4: the dense layer and the 1200 units."""
    unit: float = 1.0
    """How much larger the library's weights are than ours for the same network (W1 to W3): Adam's steps are, too."""


def build(work: Workload, setting: Setting) -> Training:
    """The training of a workload with a library's spiking layers, its input dense and prepared."""
    x, target = tensor(work.x), tensor(work.target)
    learning_rate = workloads.LEARNING_RATE * setting.unit
    if work.name in ("W1", "W2"):
        assert work.kernel is not None
        parameters, layer = setting.recurrent(work)
        kernel = tensor(work.kernel)
        readout = parameter(work.weights["readout"]) if work.name == "W2" else None

        def forward() -> tuple[Tensor, Rate]:
            z = layer(x)
            weighted = torch.einsum("t,tbn->bn", kernel, z)
            if readout is None:
                return group_loss(weighted, target), rate_of([z])
            return cross_entropy(linear(weighted, readout), target), rate_of([z])

        return training([*parameters, *([] if readout is None else [readout])], forward, learning_rate)
    if work.name == "W3":
        parameters, layers = setting.feed_forward(work)

        def forward_3() -> tuple[Tensor, Rate]:
            spikes = layers(x)
            return cross_entropy(spikes[-1].sum(dim=0), target), rate_of(spikes)

        return training(parameters, forward_3, learning_rate)
    parameters, layer = setting.flower(work)
    memory, ending = lstm(work), Ending(work)

    def forward_4() -> tuple[Tensor, Rate]:
        z = layer(x)
        return ending(memory(z)[0]), rate_of([z])

    learned = [p for p in memory.parameters() if p.requires_grad]
    return training([*parameters, *learned, *ending.parameters()], forward_4)
