"""Sparse synapses as the kernels take them: those that exist, sender by sender, of all delays together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from snncore.engines.cpu.presentation import Links, padded

SYNAPSES_FOR_A_PLACE = 0.14
"""A synapse in a list takes as long as seven places in a row of weights, which has one for each neuron and delay."""
PLACES_FOR_A_LIST = 200
"""What a list costs besides its synapses, in places."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The synapses of sender i are `starts[i]` to `starts[i + 1]`. One of delay d onto neuron j has the place
    `(d - shortest) * padded(n_post) + j`."""

    starts: Tensor
    places: Tensor
    values: Tensor
    links: Links

    @property
    def shortest(self) -> int:
        return self.links.delays[0]

    @property
    def span(self) -> int:
        return self.links.longest - self.shortest + 1


def pays(links: Links, n_existing: int) -> bool:
    """Whether a list of so many synapses is faster than rows of weights (docs/decisions/014 has the measurements)."""
    places = len(links.delays) * links.n_post
    return n_existing <= SYNAPSES_FOR_A_PLACE * (places - PLACES_FOR_A_LIST) * links.n_pre


def listed(links: Links) -> Listed | None:
    """The synapses as a list, where that pays."""
    weight = links.synapses.weight.detach()
    n_existing = int(torch.count_nonzero(weight))
    if not pays(links, n_existing):
        return None
    by_sender = weight.T.contiguous()
    senders, places = by_sender.nonzero(as_tuple=True)
    starts = torch.zeros(padded(links.n_pre) + 1, dtype=torch.int64)
    starts[1:] = torch.bincount(senders, minlength=len(starts) - 1).cumsum(0)
    # one more than there are, so that there is an address
    values = weight.new_zeros(n_existing + 1)
    values[:-1] = by_sender[senders, places]
    if len(links.delays) > 1:
        delay = links.synapses.delay.T[senders, places].long()
        places = places + (delay - links.delays[0]) * padded(links.n_post)
    return Listed(starts, places.to(torch.int32), values, links)
