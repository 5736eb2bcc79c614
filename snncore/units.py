"""LIF units: neurons whose input and leak weights are trained (Gerum & Schilling 2020, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.neurons import NeuronParameters
from snncore.streams import stream


class LIFUnits(nn.Module):
    """The weights of a layer of `n_units`: one of each kind for every unit, image channel, or the layer.

        v[t] = w_input x[t] + (1 - w_leak) v[t-1] (1 - y[t-1])

    which is the LIF neuron of `snncore.neurons` with decay_mem = 1 - w_leak, input_scale = w_input and a reset to zero
    at the next step.
    """

    owner: Tensor
    """Which of the weights each unit has, `[N]`."""

    def __init__(
        self,
        unit: spec.LIFUnit,
        n_units: int,
        *,
        name: str,
        seed: int,
        n_channels: int | None,
        units_a_feature: int = 1,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """`n_channels` are those of the image whose columns or rows the units see, the channel being the fastest of
        their axes, but for the units that see the same feature, which are neighbours. The initial values are drawn from
        the stream of `name`."""
        super().__init__()
        self.form = unit
        n_weights = {"unit": n_units, "channel": n_channels or 0, "layer": 1}[unit.sharing]
        neighbours = units_a_feature if unit.sharing == "channel" else 1
        owner = torch.arange(n_units, device=device) // neighbours % n_weights
        self.register_buffer("owner", owner, persistent=False)

        def weights(kind: str, initial: float | spec.Range) -> nn.Parameter:
            low, high = (initial.low, initial.high) if isinstance(initial, spec.Range) else (initial, initial)
            drawn = stream(seed, f"units/{name}/{kind}").uniform(low, high, n_weights)
            values = torch.from_numpy(drawn).to(device=device, dtype=dtype)
            return nn.Parameter(values, requires_grad=unit.trained in (kind, "both"))

        self.w_input = weights("w_input", unit.w_input)
        self.w_leak = weights("w_leak", unit.w_leak)

    def parameters_of_neurons(self) -> NeuronParameters:
        """The units as neurons. Gradients reach `w_input` and `w_leak` through them."""
        decay, scale = 1 - self.w_leak[self.owner], self.w_input[self.owner]
        smoothing = self.form.smoothing
        zeros = torch.zeros_like(decay.detach())
        return NeuronParameters(
            decay_mem=decay,
            input_scale=scale,
            v_threshold=torch.full_like(zeros, self.form.v_threshold),
            decay_adapt=zeros,
            beta_adapt=zeros,
            n_refractory=zeros.to(torch.int32),
            reset="value",
            v_reset=0.0,
            reset_timing="next_step",
            detach_reset=smoothing is None,
            adaptive=False,
            refractory=False,
            non_negative=self.form.non_negative,
            reset_width=None if smoothing is None else smoothing.reset_width,
        )

    @torch.no_grad()
    def constrain(self) -> None:
        """Put leak weights that an update has moved out of [0, 1] back to the border."""
        self.w_leak.clamp_(0, 1)
