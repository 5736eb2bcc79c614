"""Adam, its learning-rate schedules, and the terms of the loss that are about activity."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from snncore import spec
from snncore.training.checkpoints import Plateau


def learning_rate(training: spec.GradientDescent, step: int, steps_per_epoch: int, n_plateaus: int = 0) -> float:
    """The learning rate of optimiser update `step` (counted from 0): a function of the step, and where the schedule
    watches for plateaus, of how many there were."""
    base = training.optimiser.learning_rate
    match training.schedule:
        case spec.ConstantRate():
            return base
        case spec.StepDecay() as schedule:
            return base * schedule.factor ** (step // steps_per_epoch // schedule.every_epochs)
        case spec.PlateauDecay() as schedule:
            return base * float(schedule.factor**n_plateaus)
        case spec.CosineDecay() as schedule:
            if step < schedule.warmup_steps:
                return base * (step + 1) / schedule.warmup_steps
            fall = schedule.fall_epochs
            length = (
                training.epochs * steps_per_epoch - schedule.warmup_steps if fall is None else fall * steps_per_epoch
            )
            way = (step - schedule.warmup_steps) / max(1, length)
            low = schedule.final_fraction
            return base * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * way)))


def watch(plateau: Plateau, schedule: spec.PlateauDecay, accuracy: float) -> None:
    """Note the accuracy of an epoch; as many as the schedule's patience without a better one make a plateau."""
    if accuracy > plateau.best + schedule.min_delta:
        plateau.best, plateau.epochs = accuracy, 0
        return
    plateau.epochs += 1
    if plateau.epochs >= schedule.patience:
        plateau.epochs, plateau.count = 0, plateau.count + 1


def make_adam(network: nn.Module, adam: spec.Adam) -> torch.optim.Adam:
    """Adam over all parameters that are trained, in one kernel."""
    return torch.optim.Adam(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        fused=True,
        lr=adam.learning_rate,
        betas=(adam.beta1, adam.beta2),
        eps=adam.eps,
        weight_decay=adam.weight_decay,
        decoupled_weight_decay=adam.decay == "decoupled",
        amsgrad=adam.amsgrad,
    )


def clip_gradient(network: nn.Module, largest_norm: float | None) -> Tensor:
    """Scale the whole gradient down to `largest_norm`, if one is given; its norm before that."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if largest_norm is None:
        return nn.utils.get_total_norm(gradients)
    return nn.utils.clip_grad_norm_(network.parameters(), largest_norm)


def rate_loss(counts: Mapping[str, Tensor], regulariser: spec.RateRegulariser, n_steps: int, dt_ms: float) -> Tensor:
    """`strength * mean_k (target - rate_k)**2` over the hidden neurons, rates in kHz (Renner 2020, eq. 4.10).

    The rate of a neuron is its mean over the batch and the presentation; `counts` are `[B, N]` by layer.
    """
    hidden = torch.cat([count.mean(dim=0) for layer, count in counts.items() if layer.startswith("hidden")])
    return regulariser.strength * (regulariser.target_hz / 1000 - hidden / (n_steps * dt_ms)).square().mean()


def optimiser_tensors(network: nn.Module, optimiser: torch.optim.Adam) -> dict[str, Tensor]:
    """The state of Adam by parameter name, for a checkpoint."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{name}/{key}"] = value
    return tensors


def restore_optimiser(network: nn.Module, optimiser: torch.optim.Adam, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` took."""
    for name, parameter in network.named_parameters():
        for key in ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
            if (value := tensors.get(f"{name}/{key}")) is not None:
                optimiser.state[parameter][key] = value.to(parameter.device).clone()
