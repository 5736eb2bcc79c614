"""The layers of a network as numbers: neurons, synapses, parameters, and what a time step of them takes in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snncore.spec.dataset import image_shape
from snncore.spec.neuron import LayerLIF, LIFUnit, Neuron
from snncore.spec.sequential import LSTM, AveragePool, Conv2d, Dense, Dropout, PeepholeLSTM, ReLU, Residual, Spiking
from snncore.spec.shapes import PlacedLayer, connections
from snncore.spec.synapses import Delay

if TYPE_CHECKING:
    from snncore.spec.job import JobSpec

# What is held for a unit, sample and time step, as measured: tests/snncore/test_hybrid_memory.py.
NUMBERS_A_DENSE_UNIT = 1.75  # the value and its gradient, some of which are gone when others come
NUMBERS_A_SPIKING_UNIT = 2
NUMBERS_A_STEADY_SPIKING_UNIT = 1.5  # whose current is held once
NUMBERS_AN_LSTM_UNIT = 15  # four gates and their gradients, state, output and theirs
NUMBERS_A_DROPPED = 2
NUMBERS_DROPPED_BY_ONE_MASK = 1
NUMBERS_A_PEEPHOLE_LSTM = 28
PARAMETERS_OF_A_PEEPHOLE_LSTM = 15
NUMBERS_A_CONVOLVED = 0.5  # neurons behind them keep them, and rectification keeps its own values
NUMBERS_A_POOLED = 1.25
NUMBERS_A_RECTIFIED = 1.25


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A spiking or leaky layer: its neurons, the synapses a time step goes through (multiply-accumulates), and the
    trainable parameters."""

    n_neurons: int
    synapses: int
    parameters: int
    neuron: Neuron | None
    """None: a leaky layer, which does not spike."""
    weights_of_further_delays: int = 0
    """Where synapses have delays of their own, there is a matrix for each delay: the places of all but the first."""
    numbers_a_step: int = 0
    """What passes between layers that do not hand on spikes, for each sample and time step, and its gradient."""
    shared_weights: int | None = None
    """Of a convolution, whose synapses share them."""
    steady: bool = False
    """Whether what it takes is the same at all time steps, so that its synapses are gone through once."""

    @property
    def weights(self) -> int:
        """What is held of them."""
        return self.synapses if self.shared_weights is None else self.shared_weights


def further_weights(delay: Delay, synapses: int) -> int:
    """What `synapses` with such delays have for `weights_of_further_delays`."""
    return (delay.longest - delay.shortest) * synapses


def trained_weights(neuron: Neuron, n_neurons: int, spec: JobSpec) -> int:
    """Parameters of the neurons themselves."""
    if not isinstance(neuron, LIFUnit | LayerLIF):
        return 0
    owners = 1
    if isinstance(neuron, LIFUnit):
        shape = image_shape(spec.dataset)
        owners = {"unit": n_neurons, "channel": shape[2] if shape else 0, "layer": 1}[neuron.sharing]
    return owners * {"both": 2, "none": 0}.get(neuron.trained, 1)


def _held(numbers: float, part: PlacedLayer, spec: JobSpec) -> int:
    """Numbers of a layer by time step; what is the same at all of them is held once."""
    return round(numbers * part.after.n / (spec.encoding.n_steps if part.steady else 1))


def sequential_shape(spec: JobSpec, part: PlacedLayer) -> LayerShape:
    """A layer of an architecture 'sequential'."""
    layer, before, n = part.layer, part.before.n, part.after.n
    match layer:
        case Dense():
            parameters, numbers = before * n + (n if layer.bias else 0), round(NUMBERS_A_DENSE_UNIT * n)
            return LayerShape(n, before * n, parameters, None, numbers_a_step=numbers, steady=part.steady)
        case Conv2d():
            assert part.before.image is not None
            weights = layer.kernel**2 * part.before.image[2] * layer.channels
            parameters = weights + (layer.channels if layer.bias else 0)
            held = NUMBERS_A_CONVOLVED + (0 if layer.activation == "linear" else NUMBERS_A_RECTIFIED)
            numbers = _held(held, part, spec)
            synapses = connections(layer, part.before.image)
            return LayerShape(n, synapses, parameters, None, 0, numbers, weights, part.steady)
        case LSTM():
            weights = 4 * n * (before + n)
            numbers = NUMBERS_AN_LSTM_UNIT * n
            return LayerShape(n, weights, weights + 4 * n, None, numbers_a_step=numbers)
        case PeepholeLSTM():
            parameters, numbers = PARAMETERS_OF_A_PEEPHOLE_LSTM * n, NUMBERS_A_PEEPHOLE_LSTM * n
            return LayerShape(n, parameters, parameters, None, numbers_a_step=numbers)
        case Dropout():
            held = NUMBERS_A_DROPPED if layer.over_time == "independent" else NUMBERS_DROPPED_BY_ONE_MASK
            return LayerShape(n, 0, 0, None, numbers_a_step=held * n)
        case AveragePool():
            return LayerShape(n, 0, 0, None, numbers_a_step=_held(NUMBERS_A_POOLED, part, spec))
        case ReLU():
            return LayerShape(n, 0, 0, None, numbers_a_step=_held(NUMBERS_A_RECTIFIED, part, spec))
        case Residual():
            return LayerShape(n, 0, 0, None)
        case Spiking():
            neuron, form = layer.neuron or spec.population, layer.recurrence
            held = NUMBERS_A_STEADY_SPIKING_UNIT if part.steady else NUMBERS_A_SPIKING_UNIT
            parameters, further, synapses = trained_weights(neuron, n, spec), 0, 0
            if form is not None:
                synapses = n * n
                parameters += n * n - (0 if form.autapses else n)
                further = further_weights(form.delay, synapses)
            return LayerShape(n, synapses, parameters, neuron, further, round(held * n))
