"""DEEP R: sparse synapses that rewire themselves while they learn (Bellec et al. 2018a, algorithm 1).

A weight is w = s theta 1[theta > 0] with a fixed sign s; a synapse with theta <= 0 is dormant. Each update does:

    1. theta <- the optimiser's step along s dL/dw, for dormant synapses too
    2. theta <- 0 where the synapse was dormant before
    3. theta <- theta - lr l1 + sqrt(2 lr T) N(0, 1) where theta > 0
    4. theta <= 0 becomes dormant
    5. as many dormant synapses as there are too few, drawn uniformly, get theta = 1e-12

The weights alone hold this state: theta = |w|, and a synapse is dormant where w = 0. The optimiser works on w itself,
since its step on s theta is s times its step on theta: Adam's moments change their sign with the gradient's, or not at
all. The gradient of dormant synapses keeps those moments up to date, and step 2 takes back what they moved. Autapses
that a layer must not have are neither active nor dormant, and are not counted. A synapse keeps the delay of its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snncore import spec
from snncore.streams import stream
from snncore.synapses import Synapses

NEWBORN = 1e-12
"""theta of a synapse that was just drawn."""


class Rewiring(nn.Module):
    """Keeps some weight matrices of a network sparse, and their signs. It holds the signs, not the weights."""

    def __init__(self, job: spec.JobSpec, synapses: Mapping[str, Synapses]) -> None:
        """`synapses` by the names of their matrices. Those that are rewired lose all weights but those of the initial
        mask, and the others keep their size: |N(0, 1)| / sqrt(fan_in) by default."""
        super().__init__()
        assert job.bptt.rewiring is not None
        self.form = job.bptt.rewiring
        self.seed = job.seed
        chosen = spec.rewired_matrices(job)
        self.matrices = {matrix.name: matrix for matrix, _ in chosen}
        self.synapses = {name: synapses[name] for name in self.matrices}
        groups = [chosen] if self.form.budget == "pooled" else [[one] for one in chosen]
        self.pools = [_Pool(group) for group in groups]
        for pool in self.pools:
            counts = pool.initial_counts(stream(self.seed, "rewire/initial"))
            for name, n in zip(pool.names, counts, strict=True):
                weight = self.synapses[name].weight.detach()
                signs = self._drawn_signs(self.matrices[name]).to(weight.device)
                self.register_buffer(f"signs/{name}", signs)
                weight.copy_(torch.where(self._initial_mask(name, n), weight.abs() * signs, 0))

    # -- the beginning

    def _drawn_signs(self, matrix: spec.WeightMatrix) -> Tensor:
        """1 or -1, int8 `[N_post, N_pre]`. The neurons of a population have the same signs in every matrix."""
        match self.form.signs:
            case spec.DaleSigns(excitatory_share=share):
                of_neurons = np.where(np.arange(matrix.n_pre) < round(share * matrix.n_pre), 1, -1)
                of_neurons = stream(self.seed, f"rewire/signs/{matrix.sender}").permutation(of_neurons)
                signs = np.broadcast_to(of_neurons, (matrix.n_post, matrix.n_pre))
            case spec.RandomSigns():
                draw = stream(self.seed, f"rewire/signs/{matrix.name}")
                signs = 2 * draw.integers(0, 2, (matrix.n_post, matrix.n_pre)) - 1
        return torch.from_numpy(np.ascontiguousarray(signs, dtype=np.int8))

    def _initial_mask(self, name: str, n: int) -> Tensor:
        """The synapses to begin with, bool `[N_post, N_pre]`."""
        weight = self.synapses[name].weight.detach()
        mask = torch.zeros_like(weight, dtype=torch.bool)
        places = self._places(name, ~mask)
        draw = stream(self.seed, f"rewire/initial/{name}")
        with_replacement = self.form.initial_mask == "with_replacement"
        picked = draw.choice(len(places), n, replace=with_replacement)
        mask.view(-1)[places[torch.from_numpy(picked).to(places.device)]] = True
        return mask

    # -- an update

    def signs(self, name: str) -> Tensor:
        """1 or -1 for each place of a matrix, int8 `[N_post, N_pre]`."""
        return self.get_buffer(f"signs/{name}")

    def update(self, optimise: Callable[[], object], learning_rate: float, step: int) -> dict[str, int]:
        """Update `step` of the run: the optimiser's, which `optimise` does at `learning_rate`, and the rewiring around
        it. Gives the synapses that were drawn anew in each matrix."""
        active = {name: synapses.weight.detach() != 0 for name, synapses in self.synapses.items()}
        optimise()
        for name in self.synapses:
            self._retire(name, active[name], learning_rate, step)
        drawn: dict[str, int] = {}
        for pool in self.pools:
            drawn |= self._refill(pool, step)
        return drawn

    def _retire(self, name: str, active: Tensor, learning_rate: float, step: int) -> None:
        """Steps 2 to 4."""
        weight, signs = self.synapses[name].weight.detach(), self.signs(name)
        theta = (weight * signs).masked_fill_(~active, 0)
        change = torch.full_like(theta, -learning_rate * self.form.l1)
        if self.form.temperature:
            alive = theta > 0
            draw = stream(self.seed, f"rewire/noise/{name}", step)
            noise = torch.from_numpy(draw.standard_normal(int(alive.sum()))).to(theta)
            change[alive] += (2 * learning_rate * self.form.temperature) ** 0.5 * noise
        # what is not above zero only goes down; what is no number stays so, for the run to stumble over
        theta += change
        weight.copy_(torch.where(theta <= 0, 0, theta * signs))

    def _refill(self, pool: _Pool, step: int) -> dict[str, int]:
        """Step 5."""
        weights = {name: self.synapses[name].weight.detach() for name in pool.names}
        dormant = {name: self._places(name, weight == 0) for name, weight in weights.items()}
        room = np.array([len(dormant[name]) for name in pool.names])
        missing = pool.most - (pool.size - int(room.sum()))
        counts = pool.split(missing, room, stream(self.seed, "rewire/split", step))
        for name, n in zip(pool.names, counts, strict=True):
            draw = stream(self.seed, f"rewire/draw/{name}", step)
            picked = torch.from_numpy(draw.choice(len(dormant[name]), n, replace=False, shuffle=False))
            places = dormant[name][picked.to(dormant[name].device)]
            weights[name].view(-1)[places] = NEWBORN * self.signs(name).view(-1)[places].to(weights[name].dtype)
        return dict(zip(pool.names, counts, strict=True))

    def _places(self, name: str, where: Tensor) -> Tensor:
        """The flat indices of a matrix at which `where` holds and a synapse may be."""
        if self.synapses[name].masked:
            where = where.clone().fill_diagonal_(False)
        return where.view(-1).nonzero().squeeze(1)

    # -- what it has come to

    def connectivity(self) -> dict[str, float]:
        """The share of its synapses that each matrix has."""
        return {
            name: int(torch.count_nonzero(self.synapses[name].weight)) / matrix.n_synapses
            for name, matrix in self.matrices.items()
        }


class _Pool:
    """Matrices that share a number of synapses."""

    def __init__(self, matrices: Sequence[tuple[spec.WeightMatrix, float]]) -> None:
        self.names = [matrix.name for matrix, _ in matrices]
        self.sizes = np.array([matrix.n_synapses for matrix, _ in matrices])
        self.size = int(self.sizes.sum())
        self.own = np.array([spec.most_synapses([one]) for one in matrices])
        self.most = spec.most_synapses(matrices)
        self.shares = np.array([share * matrix.n_synapses for matrix, share in matrices])

    def initial_counts(self, draw: np.random.Generator) -> list[int]:
        """Each matrix has what it would have alone, and some of them one more, so that the sum is that of all."""
        left = self.most - int(self.own.sum())
        more = self.split(left, np.minimum(self.sizes - self.own, 1), draw)
        return [int(n) + k for n, k in zip(self.own, more, strict=True)]

    def split(self, n: int, room: NDArray[np.int64], draw: np.random.Generator) -> list[int]:
        """`n` synapses over the matrices, at random in proportion to connectivity * size, as far as they have room."""
        counts = np.zeros_like(room)
        while (left := n - int(counts.sum())) > 0:
            shares = np.where(counts < room, self.shares, 0)
            counts = np.minimum(counts + draw.multinomial(left, shares / shares.sum()), room)
        return [int(k) for k in counts]
