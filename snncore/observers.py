"""Ideal observers: how often who counts the input's spikes, and guesses between equal counts, is right.

No network that sees the same spikes does better in the mean where the count of a feature is all that the spikes tell of
it, as with independent spikes at a constant rate.
"""

from __future__ import annotations

import torch
from torch import Tensor


def spikes_by_feature(counts: Tensor, group_size: int) -> Tensor:
    """How many spikes the neurons of each feature fired together, `[B, F]`, from those of each neuron `[B, N]`."""
    return counts.reshape(len(counts), -1, group_size).sum(dim=2)


def chance_of_argmax(seen: Tensor, label: Tensor) -> Tensor:
    """That a guess among the largest of `seen` `[n, K]` is the class `label` `[n]`."""
    largest = seen == seen.amax(dim=1, keepdim=True)
    among = largest.gather(1, label[:, None])[:, 0]
    return among.double() / largest.sum(dim=1)


def chance_of_winners(seen: Tensor, winners: Tensor) -> Tensor:
    """That the k largest of `seen` `[n, K]` are the `winners` `[n, K]`, where k is how many of them a row has: more
    than were asked for, where inputs are equal.

    With m values equal to the k-th largest, of which j are needed, there are m over j ways to choose.
    """
    k = winners.sum(dim=1, keepdim=True)
    border = seen.sort(dim=1, descending=True).values.gather(1, k - 1)
    possible = ((seen >= border) | ~winners).all(dim=1) & ((seen <= border) | winners).all(dim=1)
    tied = seen == border
    m, j = tied.sum(dim=1).double(), (tied & winners).sum(dim=1).double()
    ways = (torch.lgamma(m + 1) - torch.lgamma(j + 1) - torch.lgamma(m - j + 1)).exp()
    return possible.double() / ways
