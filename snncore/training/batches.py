"""Batches, encoded while the one before is being trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from snncore import spec
from snncore.datasets import AnySamples, EventSamples
from snncore.datasets.augmentation import augmented
from snncore.encoders import encode, encode_events
from snncore.engines import Input
from snncore.streams import stream

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Batch(NamedTuple):
    """Samples `[B, F]`, their classes `[B]` where there are any, and what the network sees of them. Events have no
    features, F = 0."""

    x: Tensor
    y: Tensor | None
    inputs: Input
    unseen_events: float = 0.0
    """The share of the events that fall outside of the presentation."""


def prepare(
    job: spec.JobSpec, samples: AnySamples, purpose: str, *where: int, dtype: torch.dtype, device: torch.device
) -> Batch:
    """Samples as tensors, encoded with the stream that is named by purpose and counters.

    Images are standardised if the dataset says so, and augmented if the purpose is "train".
    """
    if isinstance(samples, EventSamples):
        assert isinstance(job.encoding, spec.Events)
        inputs, unseen = encode_events(job.encoding, samples, spec.n_inputs(job), device)
        nothing = torch.empty(len(samples), 0, dtype=dtype, device=device)
        return Batch(nothing, torch.from_numpy(samples.y).to(device), inputs, unseen)
    dataset, shape, features = job.dataset, spec.image_shape(job.dataset), samples.x
    prepared = dataset if isinstance(dataset, spec.PreparedImages) else None
    if prepared is not None and prepared.augmentation is not None and purpose == "train":
        assert shape is not None
        features = augmented(features, shape, prepared.augmentation, stream(job.seed, "augment", *where))
    # Torch wants an array that it may write to, which a part of a file that is mapped for reading is not.
    x = torch.from_numpy(np.require(features, requirements=["C", "W"])).to(device=device, dtype=dtype)
    x = x if samples.scale == 1 else x * samples.scale
    if prepared is not None and prepared.standardise is not None:
        x = standardised(x, prepared.standardise)
    y = None if samples.y is None else torch.from_numpy(samples.y).to(device)
    draw = stream(job.seed, f"encode/{purpose}", *where)
    return Batch(x, y, encode(job.encoding, x, draw, shape))


def standardised(x: Tensor, constants: spec.Standardisation) -> Tensor:
    """(x - mean) / std of each channel, of images `[B, F]` whose channels vary fastest."""
    mean, std = (torch.tensor(values, dtype=x.dtype, device=x.device) for values in (constants.mean, constants.std))
    return ((x.reshape(len(x), -1, len(mean)) - mean) / std).reshape(x.shape)


@contextmanager
def ahead(make: Callable[[Request], Answer], requests: Iterable[Request]) -> Iterator[Iterator[Answer]]:
    """`map(make, requests)`, with the next answer made in another thread while the last is in use.

    What is made follows from the request alone, so it does not matter when. Leaving the block early waits for the one
    that is being made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:

        def answers() -> Iterator[Answer]:
            waiting: Future[Answer] | None = None
            for request in requests:
                coming = thread.submit(make, request)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
            if waiting is not None:
                yield waiting.result()

        yield answers()
