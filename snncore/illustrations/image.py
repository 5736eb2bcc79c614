"""What happens to an image in a hybrid network: LIF units, then an LSTM, then a softmax."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from snncore.illustrations.base import Floats, Illustration, Matrix, Parameters, Result, Threshold, Volume
from snncore.illustrations.digits import DigitIndex, digit
from snncore.illustrations.lif import run
from snncore.streams import stream

ROWS, COLUMNS = 400, 500
"""The middle of a photograph that is shown, as of the flowers of Gerum & Schilling 2020."""


class ImageParameters(Parameters):
    image: Literal["flower", "china", "digit"] = Field(
        default="flower", description="A photograph that comes with scikit-learn, or one of its digits."
    )
    digit_index: DigitIndex = 0
    pooling: Literal[4, 5, 10, 20] = Field(
        default=5, description="Blocks of so many pixels squared of a photograph are averaged to one."
    )
    steps_a_column: int = Field(default=1, ge=1, le=4, description="How long each column of the image is shown.")
    w_input: float = Field(default=0.3, ge=-10, le=10, description="Weight of the input of all LIF units.")
    w_leak: float = Field(default=0.1, ge=0, le=1, description="Share of their potential that is lost in a step.")
    threshold: Threshold = 1.0
    n_lstm: int = Field(default=30, ge=1, le=100, description="Cells of the LSTM.")
    n_classes: int = Field(default=10, ge=2, le=100, description="Outputs of the softmax.")
    seed: int = Field(default=0, ge=0, lt=2**53, description="Of the random weights of LSTM and output.")


class HybridWeights(NamedTuple):
    """What follows the LIF units. Gates are in the order input, forget, cell, output."""

    input: Floats
    """`[4 H, N]`"""
    recurrent: Floats
    """`[4 H, H]`"""
    bias: Floats
    """`[4 H]`"""
    output: Floats
    """`[classes, H]`"""
    output_bias: Floats
    """`[classes]`"""


class ImageActivity(Result):
    image: Volume = Field(description="What is shown, from 0 to 1, `[rows, columns, colours]`.")
    weights: Literal["random"] = Field(
        description="Of LSTM and output: they are not trained, so the softmax means nothing."
    )
    steps_a_column: int
    n_steps: int
    n_units: int = Field(description="LIF units: one for each row and colour, colours of a row being neighbours.")
    spike_steps: list[int] = Field(description="Spikes of the LIF units in the order of time: their steps.")
    spike_units: list[int] = Field(description="And their units.")
    v: Matrix = Field(description="Potentials of the LIF units before their reset, `[T, units]`.")
    lstm: Matrix = Field(description="Outputs of the LSTM, `[T, cells]`.")
    softmax: Matrix = Field(description="Probabilities of the classes after each step, `[T, classes]`.")


def compute(parameters: ImageParameters) -> ImageActivity:
    p = parameters
    image = digit(p.digit_index)[:, :, None] if p.image == "digit" else photograph(p.image, p.pooling)
    columns = image.transpose(1, 0, 2).reshape(image.shape[1], -1).repeat(p.steps_a_column, axis=0)
    v, z = run(columns, p.w_input, p.w_leak, p.threshold)
    hidden, softmax = read(z, random_weights(z.shape[1], p.n_lstm, p.n_classes, p.seed))
    steps, units = z.nonzero()
    return ImageActivity(
        image=image,
        weights="random",
        steps_a_column=p.steps_a_column,
        n_steps=len(z),
        n_units=z.shape[1],
        spike_steps=steps.tolist(),
        spike_units=units.tolist(),
        v=v,
        lstm=hidden,
        softmax=softmax,
    )


@cache
def photograph(name: Literal["flower", "china"], pooling: int) -> Floats:
    """The middle of one of scikit-learn's photographs in [0, 1], `[rows, columns, 3]`; read-only."""
    from sklearn.datasets import load_sample_image

    pixels = load_sample_image(f"{name}.jpg")
    top, left = (pixels.shape[0] - ROWS) // 2, (pixels.shape[1] - COLUMNS) // 2
    middle = pixels[top : top + ROWS, left : left + COLUMNS] / 255
    blocks = middle.reshape(ROWS // pooling, pooling, COLUMNS // pooling, pooling, 3)
    pooled: Floats = blocks.mean(axis=(1, 3))
    pooled.setflags(write=False)
    return pooled


def random_weights(n_inputs: int, n_lstm: int, n_classes: int, seed: int) -> HybridWeights:
    """As Keras draws them: Glorot-uniform kernels, an orthogonal recurrent one, biases 0 and of the forget gate 1."""
    draw = stream(seed, "illustrations/image")

    def glorot(n_out: int, n_in: int) -> Floats:
        bound = np.sqrt(6 / (n_in + n_out))
        return draw.uniform(-bound, bound, (n_out, n_in))

    bias = np.zeros(4 * n_lstm)
    bias[n_lstm : 2 * n_lstm] = 1
    q, r = np.linalg.qr(draw.standard_normal((4 * n_lstm, n_lstm)))
    return HybridWeights(
        input=glorot(4 * n_lstm, n_inputs),
        recurrent=q * np.sign(np.diag(r)),
        bias=bias,
        output=glorot(n_classes, n_lstm),
        output_bias=np.zeros(n_classes),
    )


def read(z: Floats, weights: HybridWeights) -> tuple[Floats, Floats]:
    """What the LSTM makes of spikes `[T, N]`: its outputs `[T, H]` and the softmax of the readout `[T, classes]`.

    i, f, o = sigma(...), g = tanh(...);  c[t] = f c[t-1] + i g,  h[t] = o tanh(c[t])
    """
    incoming = z @ weights.input.T + weights.bias
    n = weights.recurrent.shape[1]
    h = c = np.zeros(n)
    outputs = np.empty((len(z), n))
    for t, gates in enumerate(incoming):
        i, f, g, o = (gates + weights.recurrent @ h).reshape(4, n)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        outputs[t] = h
    logits = outputs @ weights.output.T + weights.output_bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return outputs, powers / powers.sum(axis=1, keepdims=True)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * x))


ILLUSTRATION = Illustration(
    name="image",
    title="An image in a hybrid network",
    shows="An image, shown column by column: spikes and potentials of LIF units, the LSTM behind them, the softmax.",
    source="Gerum & Schilling 2020, section 4 (network 1, with random weights)",
    parameters=ImageParameters,
    result=ImageActivity,
    compute=compute,
    examples=({"image": "digit", "digit_index": 7, "steps_a_column": 4}, {"w_input": 0.2, "w_leak": 0.3, "seed": 3}),
)
