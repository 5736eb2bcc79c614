"""Random numbers from counter-based streams.

Every draw of a run comes from a stream named by what it is for and where in the run it happens, never from a generator
whose state has to be carried along. A run that is killed anywhere and resumed therefore draws what it would have drawn.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def stream(seed: int, purpose: str, *where: int) -> np.random.Generator:
    """The random stream for `purpose` at the counters `where` (at most two, such as epoch and batch).

    Philox4x64 (Salmon et al. 2011) with the key (seed, hash of the purpose) and the counter (0, 0, *where): streams
    with different names or counters never overlap, each being 2**128 numbers long.
    """
    if len(where) > 2:
        raise ValueError("a stream is counted by at most two numbers")
    name = int.from_bytes(blake2b(purpose.encode(), digest_size=8).digest(), "little")
    key = np.array([seed, name], dtype=np.uint64)
    counter = np.array([0, 0, *where, *(0,) * (2 - len(where))], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
