"""Large dense products.

They go through numpy, whose OpenBLAS keeps its own threads: on two cores it took four fifths of the time that torch's
library takes for the products of the flower network, whose OpenMP threads go to sleep between two products.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    """out = left @ right, on as many threads as torch has."""
    with _blas().limit(limits=torch.get_num_threads()):
        np.matmul(left.detach().numpy(), right.detach().numpy(), out=out.numpy())
