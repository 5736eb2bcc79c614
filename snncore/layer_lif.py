"""LIF neurons with one trainable leak and threshold a layer (DIET-SNN, Rathi & Roy 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.neurons import NeuronParameters


class LayerLIFs(nn.Module):
    """The leak and the threshold of a layer of `n_neurons`, each a number.

        u[t] = leak u[t-1] + I[t] - v_threshold o[t-1]

    which is the LIF neuron of `snncore.neurons` with decay_mem = leak and a reset by subtraction.
    """

    def __init__(self, form: spec.LayerLIF, n_neurons: int, *, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.form = form
        self.n_neurons = n_neurons

        def parameter(kind: str, initial: float) -> nn.Parameter:
            value = torch.tensor(initial, dtype=dtype, device=device)
            return nn.Parameter(value, requires_grad=form.trained in (kind, "both"))

        self.leak = parameter("leak", form.leak)
        self.v_threshold = parameter("v_threshold", form.v_threshold)

    def parameters_of_neurons(self) -> NeuronParameters:
        """As those of neurons. Gradients reach `leak` and `v_threshold` through them, the sums over the neurons."""
        n = self.n_neurons

        def constant(value: float) -> Tensor:
            return torch.full((n,), value, dtype=self.leak.dtype, device=self.leak.device)

        return NeuronParameters(
            decay_mem=self.leak.expand(n),
            input_scale=constant(1.0),
            v_threshold=self.v_threshold.expand(n),
            decay_adapt=constant(0.0),
            beta_adapt=constant(0.0),
            n_refractory=constant(0.0).to(torch.int32),
            reset="subtract",
            v_reset=0.0,
            reset_timing=self.form.reset_timing,
            detach_reset=False,
            adaptive=False,
            refractory=False,
        )

    def scalars(self) -> dict[str, float]:
        """Leak and threshold of now."""
        return {"leak": float(self.leak.detach()), "v_threshold": float(self.v_threshold.detach())}

    @torch.no_grad()
    def constrain(self) -> None:
        """Put what an update has moved out of its range back to the border."""
        self.leak.clamp_(0, 1)
        self.v_threshold.clamp_(min=spec.SMALLEST_THRESHOLD)
