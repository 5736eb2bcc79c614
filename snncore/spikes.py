"""Spike trains as bits: a thirty-second of what they take as floats."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

WORD = 64


def n_words(n_neurons: int) -> int:
    """Words that hold a bit for each of `n_neurons`."""
    return -(-n_neurons // WORD)


@dataclass(frozen=True, slots=True)
class SpikeTrain:
    """The spikes of `stop - start` neurons: neuron `start + i` is bit `(start + i) % 64` of word `(start + i) // 64`.

    `words` is `[T, B, W]`, int64.
    """

    words: Tensor
    start: int
    stop: int

    @classmethod
    def pack(cls, z: Tensor) -> SpikeTrain:
        """From `z` `[T, B, N]`: a spike wherever it is not zero."""
        n = z.shape[2]
        fired = z if z.dtype == torch.bool else z != 0
        if z.device.type == "cpu":
            octets = torch.from_numpy(np.packbits(fired.numpy(), axis=-1, bitorder="little"))
        else:
            octets = torch.nn.functional.pad(fired.to(torch.uint8), (0, -n % 8)).reshape(z.shape[0], z.shape[1], -1, 8)
            octets = (octets << torch.arange(8, dtype=torch.uint8, device=z.device)).sum(-1, dtype=torch.uint8)
        padded = torch.nn.functional.pad(octets, (0, 8 * n_words(n) - octets.shape[2]))
        return cls(padded.contiguous().view(torch.int64), 0, n)

    @property
    def n_steps(self) -> int:
        return self.words.shape[0]

    @property
    def batch(self) -> int:
        return self.words.shape[1]

    @property
    def n_neurons(self) -> int:
        return self.stop - self.start

    @property
    def device(self) -> torch.device:
        return self.words.device

    def neurons(self, start: int, stop: int) -> SpikeTrain:
        """Those from `start` to `stop` alone, counted within this train."""
        return replace(self, start=self.start + start, stop=self.start + stop)

    def to(self, device: torch.device) -> SpikeTrain:
        return replace(self, words=self.words.to(device))

    def dense(self, dtype: torch.dtype) -> Tensor:
        """Zeros and ones `[T, B, N]`."""
        octets = self.words.contiguous().view(torch.uint8)
        if octets.device.type == "cpu":
            bits = torch.from_numpy(np.unpackbits(octets.numpy(), axis=-1, count=self.stop, bitorder="little"))
        else:
            bits = ((octets[..., None] >> torch.arange(8, dtype=torch.uint8, device=octets.device)) & 1).flatten(2)
        return bits[..., self.start : self.stop].to(dtype)

    def sample(self, b: int) -> SpikeTrain:
        """The spikes of one sample of the batch, `B = 1`."""
        return replace(self, words=self.words[:, b : b + 1])

    def counts(self) -> Tensor:
        """Spikes of each neuron `[B, N]`, int64.

        Bits are added 64 neurons at a time: `planes[i]` is bit i of the counts so far, of two steps, of four and so on.
        """
        planes = [self.words]
        while len(planes[0]) > 1:
            odd = len(planes[0]) % 2
            planes = [torch.nn.functional.pad(plane, (0, 0, 0, 0, 0, odd)) for plane in planes]
            carry, sums = torch.zeros_like(planes[0][::2]), []
            for plane in planes:
                a, b = plane[::2], plane[1::2]
                either = a ^ b
                sums.append(either ^ carry)
                carry = (a & b) | (either & carry)
            planes = [*sums, carry]
        bits = [replace(self, words=plane).dense(torch.int64).sum(dim=0) << i for i, plane in enumerate(planes)]
        return torch.stack(bits).sum(dim=0)
