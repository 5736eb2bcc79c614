"""Kernel calls on several threads.

The threads are Python's, not OpenMP's: a kernel call releases the interpreter lock and takes milliseconds, nothing
spins while it waits, and the number follows `torch.get_num_threads()` from call to call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="scan")


def run_all(kernel: Callable[..., int], calls: Iterable[tuple[Any, ...]]) -> None:
    """Call the kernel with each of the argument lists, in any order. Raises `MemoryError` where one had no memory."""
    calls = list(calls)
    n_threads = min(torch.get_num_threads(), len(calls))
    failed = (
        any(kernel(*call) for call in calls)
        if n_threads < 2
        else any(list(_pool(n_threads).map(lambda call: kernel(*call), calls)))
    )
    if failed:
        raise MemoryError("the scan kernels found no memory for their scratch rows")
