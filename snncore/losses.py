"""Losses of decisions: means over the decisions of a batch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from snncore import spec


def class_loss(
    task: spec.Classification | spec.Recall, values: Tensor, rates_hz: Tensor | None, label: Tensor
) -> Tensor:
    """The loss that `task.loss` names, of outputs `[n, K]` and classes `[n]`; of none, 0.

    rate_mse: sum_k (rate_k / rate_scale - 1[k is the class])**2, because the gradient of a cross-entropy of rates,
    target / rate, is without bound (Renner 2020, eq. 4.18). straight_through: the same of the winner, one-hot, with the
    gradient of softmax(values) in its place (Bengio et al. 2013).
    """
    if not len(label):
        return values.sum()
    code = one_hot(label, values.shape[1]).to(values.dtype)
    match task.loss:
        case "cross_entropy":
            return cross_entropy(values, label)
        case "mse":
            return (values.softmax(dim=1) - code).square().sum(dim=1).mean()
        case "straight_through":
            soft = values.softmax(dim=1)
            winner = one_hot(values.argmax(dim=1), values.shape[1]).to(values.dtype)
            return ((winner - soft).detach() + soft - code).square().sum(dim=1).mean()
        case "rate_mse":
            assert rates_hz is not None
            return (rates_hz / task.rate_scale_hz - code).square().sum(dim=1).mean()
        case "borders":
            assert rates_hz is not None
            return borders_loss(task.borders, rates_hz, code > 0)


def borders_loss(borders: spec.Borders, rates_hz: Tensor, winners: Tensor) -> Tensor:
    """sum_n max(0, one - rate_n) of the winners and max(0, rate_n - zero) of the others, in Hz; all `[n, K]`."""
    lacking, exceeding = (borders.one_hz - rates_hz).clamp_min(0), (rates_hz - borders.zero_hz).clamp_min(0)
    return lacking.where(winners, exceeding).sum(dim=1).mean()
