"""No network: the products of a training step done densely, each in the fastest of several layouts.

What an engine that skips no zero could not go below on this machine, were everything but the products free.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.engine.contestants import Training
from benchmarks.engine.workloads import Product, Workload, dense_products

DIFFERENCES = {"W1": "", "W2": "", "W3": "", "W4": ""}
TRIES = 2


def _layouts(product: Product) -> list[Callable[[], object]]:
    """The same product with either factor, and the result, stored by rows or by columns."""
    a = torch.rand(product.rows, product.inner)
    b = torch.rand(product.inner, product.columns)
    ways: list[Callable[[], object]] = []
    for left in (a, a.T.contiguous().T):
        for right in (b, b.T.contiguous().T):
            by_rows = torch.empty(product.rows, product.columns)
            by_columns = torch.empty(product.columns, product.rows)

            # Defaults bind what the loop has now.
            def one(left=left, right=right, out=by_rows) -> object:
                return torch.mm(left, right, out=out)

            def other(left=left, right=right, out=by_columns) -> object:
                return torch.mm(right.T, left.T, out=out)

            ways += [one, other]
    return ways


def _seconds(way: Callable[[], object]) -> float:
    way()
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return min(times)


def build(work: Workload) -> Training:
    fastest = [min(_layouts(product), key=_seconds) for product in dense_products(work)]

    def step() -> None:
        for way in fastest:
            way()

    return Training(step, loss=lambda: float("nan"), firing_rate=lambda: float("nan"))


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}
